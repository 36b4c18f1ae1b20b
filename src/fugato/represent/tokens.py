"""Tokens for composing: one step a note and one a bar, in score time, with a fixed vocabulary.

A bar step says what is known of the bar before its notes are (meter, length, key, density, bars left): a composer's plan. A note step
says where in the bar it starts, in which part, how high, how long and, where that changes, how loud. Steps with several attributes, as
in the Compound Word Transformer (Hsiao et al., AAAI 2021), keep a sequence a fifth as long as one token an attribute; bars and
positions are REMI's (Huang & Yang, ACM MM 2020), parts those of the Multitrack Music Transformer (Dong et al., ICASSP 2023).

Time is counted in ticks of a twelfth of a quarter note, which holds sixteenths and triplets exactly. Whatever lies on that grid comes back
as it was, with these exceptions:

- onsets and ends off the grid are rounded to it (thirty-seconds fall on 1 and 2 ticks in turn), and nothing is shorter than a tick;
- durations are exact up to 8 quarters, whole quarters up to 32, and cut there;
- of notes at one onset, pitch and part the longest is kept; notes may overlap otherwise, and sound across bars as long as they like;
- the eighth part holds all further ones; unpitched percussion is left out;
- bars longer than 8 quarters (cadenzas, chant) are cut into bars of 8; an irregular or pickup bar keeps its length;
- velocities are kept in steps of 16; tempo, titles and key signatures are no part of the music here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.represent.keys import tonic
from fugato.score import Meter, Part, Score, Tempo

VERSION: Final = 1  # of the vocabulary; a model says which it speaks
TICKS: Final = 12  # a quarter note
LONGEST_BAR: Final = 96  # ticks: 8 quarters
N_PARTS: Final = 8

# Columns of a step; 0 is "does not apply" in all but the first.
COLUMNS: Final = ("event", "part", "pitch", "duration", "velocity", "meter", "length", "key", "density", "left")
EVENT, PART, PITCH, DURATION, VELOCITY, METER, LENGTH, KEY, DENSITY, LEFT = range(len(COLUMNS))
N_ATTRIBUTES: Final = 5  # the first columns, which are predicted; the others are given

# Events: 0..95 a note at that tick of its bar, then what is no note.
BAR: Final = 96  # a bar begins
START: Final = 97  # a piece begins
SUFFIX: Final = 98  # what follows stands after a gap that is to be filled
MIDDLE: Final = 99  # what follows fills the gap
END: Final = 100  # of the piece, or of the gap

METERS: Final = tuple(
    (numerator, denominator)
    for denominator, numerators in (
        (4, (4, 3, 2, 6, 5, 1, 7, 8, 9, 10, 11, 12)),
        (8, (6, 3, 12, 9, 4, 2, 7, 5, 8, 1, 10, 11, 15, 18)),
        (2, (2, 3, 4, 1, 6, 5)),
        (16, (3, 6, 9, 12, 2, 4, 5, 7, 8, 24)),
        (1, (1, 2, 3)),
    )
    for numerator in numerators
)
LONG_DURATIONS: Final = np.concatenate([np.arange(1, 97), np.arange(9, 33) * TICKS])  # ticks of durations 1, 2, …
DENSITIES: Final = (0.5, 1.0, 1.5, 2.25, 3.25, 4.5, 7.0)  # notes a quarter that divide the eight densities
LEFT_EDGES: Final = (25, 33, 65)  # bars left: exact to 16, then 17-24, 25-32, 33-64, more
VOCABULARY: Final = (  # values of each column
    END + 1,
    1 + N_PARTS,
    1 + 128,
    1 + len(LONG_DURATIONS),
    1 + 8,
    1 + len(METERS),
    1 + LONGEST_BAR,
    1 + 24,
    2 + len(DENSITIES),
    1 + 16 + 1 + len(LEFT_EDGES),
)
FAMILIES: Final = 1 + 16  # no such part, or a General MIDI family: the program divided by 8

# What is known of the piece as a whole stands beside each of its steps, so that it is never out of sight.
CONTROLS: Final = ("style", "period", *(f"family_{i + 1}" for i in range(N_PARTS)))
STYLE, PERIOD, FAMILY = 0, 1, 2

Rows = NDArray[np.uint8]
Ints = NDArray[np.int64]
_METER_INDEX: Final = {meter: i + 1 for i, meter in enumerate(METERS)}


@dataclass(frozen=True, eq=False)
class Tokens:
    """A piece as steps.

    Attributes
    ----------
    rows : ndarray of uint8, shape=(n_steps, 10)
        `COLUMNS`; sorted by bar, a bar before its notes, then onset, part and pitch.
    programs : tuple of int
        General MIDI program of each part, at most `N_PARTS`.
    """

    rows: Rows
    programs: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_bars(self) -> int:
        return int(np.count_nonzero(self.rows[:, EVENT] == BAR))

    @property
    def n_notes(self) -> int:
        return int(np.count_nonzero(is_note(self.rows)))


def is_note(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Which steps are notes, shape=(..., n_columns) -> shape=(...)."""
    found: NDArray[np.bool_] = rows[..., EVENT] < BAR
    return found


def encode(score: Score) -> Tokens:
    """The steps of a piece.

    Raises
    ------
    FugatoError
        ``empty`` or ``drums-only`` where there is no pitched note; ``unsupported`` where the file has no beat: a performance in free time,
        whose quarter notes mean nothing.
    """
    notes = score.pitched
    if not len(notes):
        kind = "drums-only" if len(score) else "empty"
        raise FugatoError(kind, "There is no pitched note in it to go on from.")
    if score.beats != "notated":
        raise FugatoError(
            "unsupported",
            "It has no notated beat: a performance in free time, or a file without a usable tempo. Give a score of the piece, "
            "or quantise it first.",
        )
    begin = np.rint(notes["onset"] * TICKS).astype(np.int64)
    end = np.rint((notes["onset"] + notes["duration"]) * TICKS).astype(np.int64)
    part, programs = _parts(score)
    pitch = notes["pitch"].astype(np.int64)
    ticks = np.maximum(end - begin, 1)
    order = np.lexsort((-ticks, pitch, part, begin))
    begin, part, pitch, ticks = begin[order], part[order], pitch[order], ticks[order]
    level = np.clip(np.rint(notes["velocity"][order] / 16.0), 0, 7).astype(np.int64) + 1
    first = np.ones(len(begin), bool)
    first[1:] = (np.diff(begin) != 0) | (np.diff(part) != 0) | (np.diff(pitch) != 0)
    begin, part, pitch, ticks, level = begin[first], part[first], pitch[first], ticks[first], level[first]

    bars, lengths, meters = _bars(score, begin)
    bar = np.searchsorted(bars, begin, side="right") - 1
    rows = np.zeros((len(begin) + len(bars), len(COLUMNS)), np.uint8)
    n = len(begin)
    rows[:n, EVENT] = begin - bars[bar]
    rows[:n, PART], rows[:n, PITCH] = part + 1, pitch + 1
    rows[:n, DURATION] = duration_index(ticks)
    rows[:n, VELOCITY] = _changes(level, part)
    rows[n:, EVENT] = BAR
    rows[n:, METER], rows[n:, LENGTH] = meters, lengths
    rows[n:, KEY] = key_of(pitch, ticks)
    rows[n:, DENSITY] = density_index(np.bincount(bar, minlength=len(bars)), lengths)
    rows[n:, LEFT] = left_index(np.arange(len(bars), 0, -1))
    place = np.concatenate(
        [2 * bar + 1, 2 * np.arange(len(bars))]
    )  # a bar before its notes, which are in order already
    return Tokens(rows[np.argsort(place, kind="stable")], programs)


def decode(
    tokens: Tokens, *, tempos: Sequence[Tempo] = (Tempo(0.0, 120.0),), velocity: int = 80, **facts: Any
) -> Score:
    """The piece that steps stand for; steps that are neither bar nor note are passed over.

    Parameters
    ----------
    tokens : Tokens
    tempos : sequence of Tempo
    velocity : int
        Of notes before the first that says one.
    facts
        Further attributes of the Score: title, keys, and so on.
    """
    rows = tokens.rows.astype(np.int64)
    rows = rows[(rows[:, EVENT] <= BAR)]
    if not len(rows) or rows[0, EVENT] != BAR:
        raise ValueError("steps begin with a bar")
    is_bar = rows[:, EVENT] == BAR
    lengths = rows[is_bar, LENGTH]
    bars = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    bar = np.cumsum(is_bar) - 1
    notes = rows[~is_bar]
    onset = (bars[bar[~is_bar]] + notes[:, EVENT]) / TICKS
    duration = LONG_DURATIONS[notes[:, DURATION] - 1] / TICKS
    part = notes[:, PART] - 1
    programs = [*tokens.programs, *[0] * N_PARTS][: max([len(tokens.programs), *(part + 1).tolist()])]
    meters = [
        Meter(float(start) / TICKS, *meter_of(int(index), int(length)))
        for start, index, length in zip(bars, rows[is_bar, METER], lengths, strict=True)
    ]
    changed = [m for i, m in enumerate(meters) if not i or m[1:] != meters[i - 1][1:]]
    return Score.from_notes(
        onset,
        duration,
        notes[:, PITCH] - 1,
        velocity=_loudness(notes[:, VELOCITY], part, velocity),
        part=part,
        parts=[Part(program=program) for program in programs],
        tempos=tempos,
        meters=changed,
        bars=bars / TICKS,
        beats="notated",
        **facts,
    )


def transposed(rows: Rows, semitones: int) -> Rows:
    """The same steps higher; pitches that would leave the range move back by an octave."""
    out = rows.copy()
    sounding = rows[:, PITCH] > 0
    pitch = rows[sounding, PITCH].astype(np.int64) - 1 + semitones
    out[sounding, PITCH] = np.where(pitch < 0, pitch + 12, np.where(pitch > 127, pitch - 12, pitch)) + 1
    keyed = rows[:, KEY] > 0
    key = rows[keyed, KEY].astype(np.int64) - 1
    out[keyed, KEY] = (key % 12 + semitones) % 12 + 12 * (key // 12) + 1
    return out


def shift_home(key: int) -> int:
    """Semitones, -5..6, that bring music in a key (a value of its column) to C major or A minor; 0 for an unknown key."""
    if not key:
        return 0
    target = 9 if key > 12 else 0
    return (target - (key - 1) + 5) % 12 - 5


def home_key(key: int) -> int:
    """C major or A minor as a value of the column ``key``; 0 for an unknown key."""
    return 0 if not key else 22 if key > 12 else 1


def key_of(pitch: Ints, weight: NDArray[Any]) -> int:
    """The key of notes by the profiles of Krumhansl & Kessler: 1 + tonic for major, 13 + tonic for minor, 0 where there are none."""
    if not len(pitch):
        return 0
    root, minor = tonic(np.bincount(pitch % 12, np.minimum(weight, 4 * TICKS), minlength=12).astype(np.float64))
    return 1 + root + 12 * minor


def duration_index(ticks: NDArray[Any]) -> Ints:
    """Durations in ticks as values of their column; longer than 8 quarters to the nearest that there is."""
    ticks = np.asarray(ticks, np.int64)
    quarters = np.clip(np.rint(ticks / TICKS).astype(np.int64), 9, 32)
    long = LONGEST_BAR + quarters - 8
    index: Ints = np.where(
        ticks <= LONGEST_BAR, np.maximum(ticks, 1), np.where(ticks <= 8.5 * TICKS, LONGEST_BAR, long)
    )
    return index


def density_index(notes: NDArray[Any], lengths: NDArray[Any]) -> Ints:
    """Notes in bars of so many ticks as values of their column, 1 (sparse) to 8."""
    rate = np.asarray(notes) * TICKS / np.maximum(lengths, 1)
    index: Ints = np.searchsorted(DENSITIES, rate, side="right") + 1
    return index


def left_index(left: NDArray[Any]) -> Ints:
    """Bars left, this one counted, as values of their column."""
    left = np.asarray(left, np.int64)
    index: Ints = np.where(left <= 16, left, 17 + np.searchsorted(LEFT_EDGES, left, side="right"))
    return index


def meter_of(index: int, length: int) -> tuple[int, int]:
    """Numerator and denominator of a value of the column ``meter``; of a meter without a value, what its length says."""
    if index:
        return METERS[index - 1]
    for denominator in (4, 8, 16):
        unit = 4 * TICKS // denominator
        if length % unit == 0:
            return length // unit, denominator
    return max(round(length * 32 / (4 * TICKS)), 1), 32


def meter_index(numerator: int, denominator: int) -> int:
    """The value of a meter, 0 where it has none."""
    return _METER_INDEX.get((numerator, denominator), 0)


def families(programs: Sequence[int]) -> Ints:
    """General MIDI family of each of `N_PARTS` parts, shape=(8,); 0 where there is no such part."""
    out = np.zeros(N_PARTS, np.int64)
    out[: len(programs)] = np.asarray(programs[:N_PARTS], np.int64) // 8 + 1
    return out


def controls(style: int, period: int, programs: Sequence[int]) -> Ints:
    """`CONTROLS` of a piece, shape=(10,); 0 is unknown. `style` and `period` count from 1 in the lists that a model keeps."""
    known: Ints = np.concatenate([np.array([style, period], np.int64), families(programs)])
    return known


def _parts(score: Score) -> tuple[Ints, tuple[int, ...]]:
    """The part of each pitched note, 0..7, and the program of each part."""
    used, part = np.unique(score.pitched["part"], return_inverse=True)
    part = np.minimum(part.reshape(-1), N_PARTS - 1).astype(np.int64)
    own = [score.parts[i].program if i < len(score.parts) else 0 for i in used[:N_PARTS]]
    return part, tuple(int(program) for program in own)


def _bars(score: Score, begin: Ints) -> tuple[Ints, Ints, Ints]:
    """Onset and length in ticks and the meter of every bar: the score's own, one more before or after where notes lie outside."""
    starts = np.unique(np.rint(score.bars * TICKS).astype(np.int64))
    changes = np.array([round(m.onset * TICKS) for m in score.meters])
    of_bar = np.clip(np.searchsorted(changes, starts, side="right") - 1, 0, None)
    full = np.array([max(round(m.bar_length * TICKS), 1) for m in score.meters])
    if begin[0] < starts[0]:
        starts, of_bar = np.insert(starts, 0, begin[0]), np.insert(of_bar, 0, of_bar[0])
    end = starts[-1] + full[of_bar[-1]]
    while begin[-1] >= end:
        starts, of_bar = np.append(starts, end), np.append(of_bar, of_bar[-1])
        end += full[of_bar[-1]]
    lengths = np.diff(np.append(starts, end))
    pieces = -(-lengths // LONGEST_BAR)
    if (pieces > 1).any():
        within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = np.repeat(starts, pieces) + LONGEST_BAR * within
        of_bar = np.repeat(of_bar, pieces)
        lengths = np.diff(np.append(starts, end))
    meters = np.array([meter_index(m.numerator, m.denominator) for m in score.meters])
    return starts, lengths, meters[of_bar]


def _changes(level: Ints, part: Ints) -> Ints:
    """Levels where they differ from the one before in the part, else 0."""
    out = level.copy()
    for p in np.unique(part):
        own = np.flatnonzero(part == p)
        out[own[1:][level[own[1:]] == level[own[:-1]]]] = 0
    return out


def _loudness(level: Ints, part: Ints, velocity: int) -> Ints:
    """Velocities from levels that are only given where they change."""
    out = np.zeros(len(level), np.int64)
    for p in np.unique(part):
        own = np.flatnonzero(part == p)
        given = np.where(level[own] > 0, np.arange(len(own)), -1)
        last = np.maximum.accumulate(given)
        out[own] = np.where(last >= 0, np.maximum((level[own][np.maximum(last, 0)] - 1) * 16, 8), velocity)
    return out
