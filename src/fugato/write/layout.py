"""Where every note of a Score stands on paper: its measure, staff, chord, voice and signs.

`layout` gives what `musicxml` writes down: for each part of the document its staves and clefs, for each of its measures the voices of
each staff as signs whose lengths add up to the measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..score import Meter, Part, Score
from .instruments import BASS, DRUMS, TREBLE, TWO_STAVES, Clef, clef_of
from .rhythm import CLOSE, Value, is_compound, notate, on_grid, spans
from .voices import Chord, Stretch, chords, hands

LONGEST_BAR: Final = Fraction(64)  # quarter notes; longer bars are cut
REACH: Final = 16  # semitones that one hand may have to play at once
BESIDE: Final = 500  # added to the number of a part for its drums, where it has pitched notes too


class Bar(NamedTuple):
    """One measure: where it begins, its length in quarter notes, its meter, and whether that is new."""

    start: Fraction
    length: Fraction
    meter: Meter
    is_new: bool
    number: str
    before: Fraction  # quarter notes missing at its start: of a pickup


class Staves(NamedTuple):
    """One part of the document: the notes of a part of the Score that go on one or two staves."""

    id: str
    part: Part
    notes: tuple[int, ...]  # indices
    clefs: tuple[Clef, ...]  # one a staff
    keys: tuple[int, ...]  # of the drum map; empty where it is pitched


class Voice(NamedTuple):
    """One voice in one bar: its events, None for rests, and their signs, none for a bar of rest."""

    number: int  # from 0
    events: tuple[Chord | None, ...]
    values: tuple[Value, ...]


class Layout(NamedTuple):
    """A Score on paper: ``voices[part][bar][staff]`` are the voices of a staff in a bar."""

    bars: list[Bar]
    parts: list[Staves]
    voices: list[list[list[list[Voice]]]]


def layout(score: Score) -> Layout:
    """Put a Score with notes and notated beats on paper."""
    notes = score.notes
    times = spans(notes["onset"], notes["onset"] + notes["duration"], played=score.format == "midi")
    bars = _bars(score, max(stop for _, stop in times))
    parts = [staves for number, part in enumerate(score.parts) for staves in _staves(score, number, part)]
    return Layout(bars, parts, [_voices_of(score, one, times, bars) for one in parts])


def _bars(score: Score, end: Fraction) -> list[Bar]:
    """The measures of the Score, and as many more as the last note needs."""
    found, _ = on_grid(score.bars)
    starts = sorted({Fraction(0), *(s for s in found if s > 0)})
    bars: list[Bar] = []
    previous: tuple[int, int] | None = None
    i = 0
    while i < len(starts):
        start = starts[i]
        meter = next((m for m in reversed(score.meters) if m.onset <= float(start) + CLOSE), score.meters[0])
        full = _full(meter)
        length = starts[i + 1] - start if i + 1 < len(starts) else full
        if length > max(full, LONGEST_BAR):
            length = full
            starts.insert(i + 1, start + full)
        elif i + 1 == len(starts) and start + length < end:
            starts.append(start + length)
        pickup = not bars and length < full
        shown = (meter.numerator, meter.denominator)
        bars.append(Bar(start, length, meter, shown != previous, "", full - length if pickup else Fraction(0)))
        previous = shown
        i += 1
    first = 0 if bars[0].before else 1
    return [b._replace(number=str(first + n)) for n, b in enumerate(bars)]


def _full(meter: Meter) -> Fraction:
    return Fraction(4 * meter.numerator, meter.denominator)


def _staves(score: Score, number: int, part: Part) -> Iterator[Staves]:
    """The pitched notes of a part, and its drums, each as a part of the document."""
    mine = score.notes["part"] == number
    part = part._replace(program=min(max(part.program, 0), 127))
    for drum in (False, True):
        chosen = np.flatnonzero(mine & (score.notes["drum"] == drum))
        if not len(chosen):
            continue
        pitch = score.notes["pitch"][chosen]
        keys: tuple[int, ...] = ()
        clefs: tuple[Clef, ...]
        if drum:
            clefs, keys = (DRUMS,), tuple(sorted(set(pitch.tolist())))
        elif part.program in TWO_STAVES and _needs_two_hands(score, chosen):
            clefs = (TREBLE, BASS)
        else:
            clefs = (clef_of(part.program, float(np.median(pitch))),)
        beside = drum and len(chosen) < int(mine.sum())  # pitched notes have the number of the part
        yield Staves(f"P{number + 1 + BESIDE * beside}", part, tuple(chosen.tolist()), clefs, keys)


def _needs_two_hands(score: Score, chosen: NDArray[np.int64]) -> bool:
    """Whether notes lie well on both sides of middle C and, where there are other parts, some at once that one hand cannot reach."""
    notes = score.notes[chosen]
    if notes["pitch"].min() >= 53 or notes["pitch"].max() <= 64:
        return False
    if len(score.parts) == 1:
        return True
    edges = np.flatnonzero(np.diff(notes["onset"], prepend=-1.0) > 0)
    low, high = np.minimum.reduceat(notes["pitch"], edges), np.maximum.reduceat(notes["pitch"], edges)
    return bool(np.mean(high.astype(int) - low > REACH) > 0.02)


def _voices_of(
    score: Score, part: Staves, times: Sequence[tuple[Fraction, Fraction]], bars: Sequence[Bar]
) -> list[list[list[Voice]]]:
    """The voices of a part, for each bar and staff."""
    pitch = score.notes["pitch"].astype(np.int64)
    order = sorted(part.notes, key=lambda i: (times[i][0], pitch[i]))
    on_staff = np.zeros(len(order), np.int64)
    if len(part.clefs) == 2:
        on_staff = hands([times[i][0] for i in order], pitch[order])
    edges = [*(b.start for b in bars), bars[-1].start + bars[-1].length]
    found = []
    for number in range(len(part.clefs)):
        notes = [Stretch(i, *times[i], int(pitch[i])) for i, s in zip(order, on_staff, strict=True) if s == number]
        found.append(_by_bar(chords(notes, edges), edges))
    return [[_fill(staff[index], bar) for staff in found] for index, bar in enumerate(bars)]


def _by_bar(found: Sequence[Chord], edges: Sequence[Fraction]) -> list[list[Chord]]:
    """Chords by the bars that they sound in, cut at the bar lines, with what is cut marked as tied."""
    bars: list[list[Chord]] = [[] for _ in edges[1:]]
    first = 0
    for chord in found:
        while edges[first + 1] <= chord.start:
            first += 1
        index = first
        while index < len(bars) and edges[index] < chord.stop:
            start, stop = max(chord.start, edges[index]), min(chord.stop, edges[index + 1])
            notes = tuple(
                n._replace(
                    start=start,
                    stop=stop,
                    tied_from=n.tied_from or start > n.start,
                    tied_to=n.tied_to or stop < n.stop,
                )
                for n in chord.notes
            )
            bars[index].append(Chord(start, stop, notes, chord.voice))
            index += 1
    return bars


def _fill(found: Sequence[Chord], bar: Bar) -> list[Voice]:
    """The voices of a staff in a bar, each filled to its length; an empty bar has one voice with a rest."""
    made = []
    for number in sorted({c.voice for c in found} | {0}):
        events: list[tuple[Chord | None, Fraction, Fraction]] = []
        now = Fraction(0)
        for chord in sorted((c for c in found if c.voice == number), key=lambda c: c.start):
            start, stop = chord.start - bar.start, chord.stop - bar.start
            if start > now:
                events.append((None, now, start))
            events.append((chord, start, stop))
            now = stop
        if now < bar.length:
            events.append((None, now, bar.length))
        values: list[Value] = []
        silent = all(chord is None for chord, _, _ in events)
        if silent and bar.length != _full(
            bar.meter
        ):  # programs also take one whole rest to be as long as the meter says
            places = [Fraction(2 * k) for k in range(math.ceil(bar.length / 2))]
            events = [(None, at, min(at + 2, bar.length)) for at in places]
        if not (
            silent and bar.length == _full(bar.meter)
        ):  # programs take a rest of a bar to be as long as the meter says
            lengths = [(a, b, chord is None) for chord, a, b in events]
            values = notate(lengths, bar.length, compound=is_compound(bar.meter), before=bar.before)
            if sum(v.length for v in values) != bar.length:
                raise AssertionError(f"voice {number + 1} does not fill measure {bar.number}")
        made.append(Voice(number, tuple(chord for chord, _, _ in events), tuple(values)))
    return made
