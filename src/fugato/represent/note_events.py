"""A piece as a row of note events: the time since the note before, the pitch, the length; and as a row of sounds, as chord-lstm reads it.

The events are those of `fugato.represent.tokens`, twelve ticks a quarter note and the same classes of length, in order of onset and then
pitch, so that systems that read pieces in different ways can be asked how well they foretell the same notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..score import Meter, Part, Score, Tempo
from . import tokens as t

STEPS: Final = 97  # classes of the time since the note before: 0 to 95 ticks, and eight quarters or more
LENGTHS: Final = len(t.LONG_DURATIONS)  # classes of length
NAMES: Final = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MOST_AT_ONCE: Final = 16

Ints = NDArray[np.int64]


class NoteEvents(NamedTuple):
    """Columns of note events, shape=(n,) each: class of step, MIDI pitch, class of length from 0."""

    step: Ints
    pitch: Ints
    length: Ints


def note_events(score: Score) -> NoteEvents:
    """The note events of a Score; raises as `fugato.represent.tokens.encode`."""
    return events_of_rows(t.encode(score).rows)


def events_of_rows(rows: NDArray[Any]) -> NoteEvents:
    """The note events of the steps of a piece, shape=(n_steps, 10), with its bars."""
    steps = rows[rows[:, t.EVENT] <= t.BAR].astype(np.int64)
    is_bar = steps[:, t.EVENT] == t.BAR
    lengths = steps[is_bar, t.LENGTH]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else np.zeros(1, np.int64)
    bar = np.maximum(np.cumsum(is_bar) - 1, 0)
    notes = steps[~is_bar]
    onset = starts[bar[~is_bar]] + notes[:, t.EVENT]
    pitch, length = notes[:, t.PITCH] - 1, notes[:, t.DURATION] - 1
    order = np.lexsort((length, pitch, onset))
    step = np.minimum(np.diff(onset[order], prepend=0), STEPS - 1)
    return NoteEvents(step, pitch[order], length[order])


def score_of_events(
    events: NoteEvents, *, bars: int, meter: tuple[int, int] = (4, 4), tempo: float = 120.0, program: int = 0
) -> Score:
    """The piece that note events stand for, cut at its last bar line."""
    onset = np.cumsum(events.step) / t.TICKS
    duration = t.LONG_DURATIONS[events.length] / t.TICKS
    end = bars * 4.0 * meter[0] / meter[1]
    inside = onset < end - 1e-9
    onset, duration = onset[inside], np.minimum(duration[inside], end - onset[inside])
    return Score.from_notes(
        onset,
        duration,
        events.pitch[inside],
        parts=[Part(program=program)],
        tempos=[Tempo(0.0, tempo)],
        meters=[Meter(0.0, *meter)],
        bars=np.arange(bars) * 4.0 * meter[0] / meter[1],
        beats="notated",
    )


# -- sounds ------------------------------------------------------------------------------------------------------------


class Sounds(NamedTuple):
    """What starts together: ``pitches[i]`` from low to high, the ticks since the sound before, and the classes of length."""

    step: Ints
    pitches: list[tuple[int, ...]]
    lengths: list[tuple[int, ...]]


def sounds(events: NoteEvents) -> Sounds:
    """Note events that start together, as one sound each."""
    first = np.flatnonzero((events.step > 0) | (np.arange(len(events.step)) == 0))
    edges = [*first.tolist(), len(events.step)]
    pitches = [tuple(events.pitch[a:b].tolist()) for a, b in pairwise(edges)]
    lengths = [tuple(events.length[a:b].tolist()) for a, b in pairwise(edges)]
    return Sounds(events.step[first], pitches, lengths)


def symbol_of(pitches: Sequence[int]) -> str:
    """The word for a sound: a note's name with its octave ("D#4"), a chord's normal order joined by dots ("0.4.7")."""
    if len(set(pitches)) == 1:
        return f"{NAMES[pitches[0] % 12]}{pitches[0] // 12 - 1}"
    return ".".join(map(str, normal_order([p % 12 for p in pitches])))


def pitches_of(symbol: str) -> tuple[int, ...]:
    """MIDI pitches that a word is played with: a note as it stands, a chord's pitch classes upwards from middle C's octave."""
    if symbol[0].isalpha():
        name = symbol[: 1 + (symbol[1] == "#")]
        return (12 * (int(symbol[len(name) :]) + 1) + NAMES.index(name),)
    made: list[int] = []
    for pitch_class in map(int, symbol.split(".")):
        pitch = 60 + pitch_class
        while made and pitch <= made[-1]:
            pitch += 12
        made.append(pitch)
    return tuple(made)


def normal_order(pitch_classes: Sequence[int]) -> tuple[int, ...]:
    """The most compact order of some pitch classes (Forte): smallest span, then packed to the left, then the lowest first note."""
    found = sorted({p % 12 for p in pitch_classes})
    turns = [(*found[i:], *found[:i]) for i in range(len(found))]

    def spans(turn: tuple[int, ...]) -> tuple[int, ...]:
        from_first = [(p - turn[0]) % 12 for p in turn]
        return (from_first[-1], *from_first[1:-1])

    return min(turns, key=lambda turn: (spans(turn), turn[0]))
