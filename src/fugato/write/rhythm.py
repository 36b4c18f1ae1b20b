"""Times as notation writes them: a grid for onsets and ends, tuplets, and note values with dots, joined by ties.

Times are `Fraction` of a quarter note. What a bar holds is written in three steps. Where times do not lie on halves of halves, the
smallest span of the meter that holds them becomes a tuplet (three in the time of two, and so on). Everything else, and the inside of
each tuplet in its own time, is cut into values that one sign with dots can write. A note is cut where it would hide a place of the
meter that is more than twice as strong as its start, so that an off-beat quarter stays one sign and the middle of a 4/4 bar can be
seen (Gould, *Behind Bars*, 2011, "Time-signatures" and "Ties"); rests hide no stronger place at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..score import Meter

TYPES: Final[dict[Fraction, str]] = {
    Fraction(8): "breve",
    Fraction(4): "whole",
    Fraction(2): "half",
    Fraction(1): "quarter",
    Fraction(1, 2): "eighth",
    Fraction(1, 4): "16th",
    Fraction(1, 8): "32nd",
    Fraction(1, 16): "64th",
    Fraction(1, 32): "128th",
    Fraction(1, 64): "256th",
    Fraction(1, 128): "512th",
    Fraction(1, 256): "1024th",
}
DENOMINATORS: Final = (
    1,
    2,
    4,
    8,
    16,
    32,
    3,
    6,
    12,
    24,
    5,
    10,
    20,
    7,
    14,
    9,
    18,
)  # of times that are written as they are
PLAYED: Final = (1, 2, 4, 8, 16, 3, 6, 12)  # of onsets in a MIDI file: what else there is may be rubato
ENDS: Final = (1, 2, 4, 3, 6)  # and of ends, which are played short
RARE: Final = (5, 7, 9)  # tuplets that are believed there where a beat has two onsets of them
CLOSE: Final = 0.0015  # quarter notes: nearer than this, no two such times lie together
GRID: Final = (8, 12)  # and of those that are moved to the nearest
SHORTEST: Final = Fraction(1, 12)  # of a note whose end was moved
_HALF: Final = Fraction(1, 2)
_DOTTED: Final = Fraction(3, 2)  # the beat of compound meters
_SMALLEST: Final = Fraction(1, 8)  # span that is not looked into further for a smaller tuplet
_VALUES: Final = {
    base * (2 - Fraction(1, 2**dots)): (name, dots) for dots in (2, 1, 0) for base, name in TYPES.items()
}  # of length: sign and dots


class Tuplet(NamedTuple):
    """`actual` notes in the time of `normal`, from `start` to `stop` (quarter notes from the start of the bar)."""

    start: Fraction
    stop: Fraction
    actual: int
    normal: int


class Value(NamedTuple):
    """One sign: a stretch of an event that is written as one note or rest."""

    event: int  # index of the event that it is a stretch of
    start: Fraction  # quarter notes from the start of the bar
    length: Fraction  # sounding quarter notes
    type: str  # MusicXML's word: "quarter", "eighth", ...
    dots: int
    tuplet: Tuplet | None
    first: bool  # of its tuplet
    last: bool


# -- the grid --------------------------------------------------------------------------------------------------------


def on_grid(
    times: NDArray[np.float64], denominators: Sequence[int] = DENOMINATORS
) -> tuple[list[Fraction], NDArray[np.bool_]]:
    """Times as fractions, and which of them had to be moved by more than rounding.

    Parameters
    ----------
    times : ndarray, shape=(n,)
        Quarter notes.
    denominators : sequence of int
        Of the fractions that are tried, in this order.

    Returns
    -------
    fractions : list of Fraction
    moved : ndarray of bool, shape=(n,)
    """
    unique, inverse = np.unique(times, return_inverse=True)
    steps, chosen = np.zeros(len(unique)), np.zeros(len(unique), np.int64)
    for d in denominators:
        near = (chosen == 0) & (np.abs(unique * d - np.rint(unique * d)) <= CLOSE * d)
        steps[near], chosen[near] = np.rint(unique[near] * d), d
    moved = chosen == 0
    for i in np.flatnonzero(moved).tolist():
        best = min(GRID, key=lambda d: abs(unique[i] - round(unique[i] * d) / d))
        steps[i], chosen[i] = round(unique[i] * best), best
    made = [Fraction(int(s), int(d)) for s, d in zip(steps.tolist(), chosen.tolist(), strict=True)]
    return [made[i] for i in inverse.tolist()], moved[inverse]


def spans(
    onset: NDArray[np.float64], end: NDArray[np.float64], *, played: bool = False
) -> list[tuple[Fraction, Fraction]]:
    """Onsets and ends of notes on the grid.

    Parameters
    ----------
    onset, end : ndarray, shape=(n,)
        Quarter notes.
    played : bool
        Whether the notes come from a MIDI file, where a player or program may have shifted and shortened them. A note whose end is
        on no usual place then ends at the nearest sixteenth or onset of another note.

    Returns
    -------
    list of (Fraction, Fraction)
    """
    if not played:
        pairs = zip(on_grid(onset)[0], on_grid(end)[0], strict=True)
        return [(start, stop if stop > start else start + SHORTEST) for start, stop in pairs]
    starts = _played_onsets(onset)
    stops, moved = on_grid(end, ENDS)
    places = sorted(set(starts))
    values = np.array([float(p) for p in places])
    made = []
    for start, stop, late, is_moved in zip(starts, stops, end.tolist(), moved.tolist(), strict=True):
        if is_moved or stop <= start:
            at = int(np.searchsorted(values, late))
            near = {Fraction(round(late * 4), 4), *places[max(at - 1, 0) : at + 1]}
            stop = min((p for p in near if p > start), key=lambda p: abs(float(p) - late), default=start + SHORTEST)
        made.append((start, stop))
    return made


def _played_onsets(onset: NDArray[np.float64]) -> list[Fraction]:
    """Onsets on the usual places, and on those of rare tuplets where a beat has two of a kind."""
    usual, _ = on_grid(onset, PLAYED)
    exact, _ = on_grid(onset, (*PLAYED, *RARE))
    beats: dict[tuple[int, int], set[Fraction]] = {}
    for time in exact:
        beats.setdefault((time.numerator // time.denominator, time.denominator), set()).add(time)
    return [
        e if e == u or len(beats[e.numerator // e.denominator, e.denominator]) > 1 else u
        for e, u in zip(exact, usual, strict=True)
    ]


# -- the bar ---------------------------------------------------------------------------------------------------------


def is_compound(meter: Meter) -> bool:
    """Whether the beat is a dotted quarter: 6/8, 9/8, 12/8."""
    return meter.denominator == 8 and meter.numerator % 3 == 0 and meter.numerator > 3


def notate(
    events: Sequence[tuple[Fraction, Fraction, bool]], length: Fraction, *, compound: bool, before: Fraction
) -> list[Value]:
    """The signs of one voice in one bar.

    Parameters
    ----------
    events : sequence of (start, stop, is_rest)
        In order, without gaps, from 0 to `length`.
    length : Fraction
        Quarter notes in the bar.
    compound : bool
        Whether the beat is a dotted quarter.
    before : Fraction
        Quarter notes that are missing at the start of the bar: of a pickup, the rest of the full bar.

    Returns
    -------
    list of Value
        In order; their lengths add up to `length`.
    """
    points = sorted({p for start, stop, _ in events for p in (start, stop)})
    regions = find_tuplets(points, length, compound=compound, before=before)
    values: list[Value] = []
    for index, (start, stop, rest) in enumerate(events):
        for a, b, region in _pieces(start, stop, regions):
            if region is None:
                cut = _split_compound if compound else _split
                for x, d in cut(a + before, b + before, rest):
                    name, dots = _VALUES[d]
                    values.append(Value(index, x - before, d, name, dots, None, False, False))
                continue
            scale = Fraction(region.actual, region.normal)
            for x, d in _split((a - region.start) * scale, (b - region.start) * scale, rest):
                name, dots = _VALUES[d]
                at, sounding = region.start + x / scale, d / scale
                first, last = at == region.start, at + sounding == region.stop
                values.append(Value(index, at, sounding, name, dots, region, first, last))
    return values


def _pieces(
    start: Fraction, stop: Fraction, regions: Sequence[Tuplet]
) -> list[tuple[Fraction, Fraction, Tuplet | None]]:
    """A stretch of time, cut at the edges of tuplets."""
    made: list[tuple[Fraction, Fraction, Tuplet | None]] = []
    now = start
    for region in regions:
        if region.stop <= now or region.start >= stop:
            continue
        if region.start > now:
            made.append((now, region.start, None))
            now = region.start
        made.append((now, min(region.stop, stop), region))
        now = min(region.stop, stop)
    if now < stop:
        made.append((now, stop, None))
    return made


# -- tuplets ---------------------------------------------------------------------------------------------------------


def find_tuplets(
    points: Sequence[Fraction], length: Fraction, *, compound: bool, before: Fraction = Fraction(0)
) -> list[Tuplet]:
    """Spans of a bar that must be tuplets, in order; `points` are where the notes and rests of a voice begin and end."""
    if all(_is_dyadic(p) for p in points) and _is_dyadic(before):
        return []
    found: list[Tuplet] = []
    now = Fraction(0)
    largest = Fraction(3) if compound else Fraction(4)
    while now < length:
        at = now + before
        size = _span(at, length - now, largest, compound)
        if size is None:  # the bar begins or ends within a tuplet
            edge = min(length, (at // 1 + 1) - before)
            found.append(_tuplet(now, edge, [p for p in points if now <= p <= edge], whole=False))
            now = edge
        else:
            _look(points, now, size, compound, found)
            now += size
    return found


def _span(at: Fraction, left: Fraction, largest: Fraction, compound: bool) -> Fraction | None:
    """The longest span of the meter that begins at a place and fits in what is left."""
    size = largest
    while size >= _SMALLEST / 8:
        if size <= left and at % size == 0:
            return size
        size = _HALF if compound and size == _DOTTED else size / 2
    return None


def _look(points: Sequence[Fraction], start: Fraction, size: Fraction, compound: bool, found: list[Tuplet]) -> None:
    """Find the tuplets within one span of the meter."""
    inside = [p for p in points if start < p < start + size]
    if all(_is_dyadic(p) for p in inside):
        return
    count = 3 if compound and size == _DOTTED else 2
    part = size / count
    edges = [start + part * i for i in range(count)]
    if size <= _SMALLEST:
        found.append(_tuplet(start, start + size, inside, whole=True))
        return
    crossed = any(edge not in inside for edge in edges[1:])
    finest = max(_fineness([p for p in inside if e < p < e + part], e, part) for e in edges)
    if crossed and _fineness(inside, start, size) <= finest:
        found.append(_tuplet(start, start + size, inside, whole=True))
        return
    for edge in edges:
        _look(points, edge, part, compound, found)


def _tuplet(start: Fraction, stop: Fraction, points: Sequence[Fraction], *, whole: bool) -> Tuplet:
    """The tuplet that fills a span and has a place for each of the points."""
    size = stop - start
    if whole:
        fine = _fineness(points, start, size)
        base = _odd(size.numerator)  # 3 for a dotted beat
    else:
        fine = _common([p.denominator for p in (*points, start, stop)])
        base = 1
    actual = _odd(fine)
    if actual == 3 and fine == 6 and base == 1 and whole:
        return Tuplet(start, stop, 6, 4)
    normal = base
    while normal * 2 <= actual:
        normal *= 2
    return Tuplet(start, stop, actual, normal)


def _fineness(points: Sequence[Fraction], start: Fraction, size: Fraction) -> int:
    """Into how many equal parts a span must be divided for the points to lie on their edges."""
    return _common([((p - start) / size).denominator for p in points])


def _common(numbers: Sequence[int]) -> int:
    return int(np.lcm.reduce(np.array([1, *numbers])))


def _odd(number: int) -> int:
    while number % 2 == 0:
        number //= 2
    return number


def _is_dyadic(time: Fraction) -> bool:
    return time.denominator & (time.denominator - 1) == 0


# -- values ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8192)
def _split(a: Fraction, b: Fraction, rest: bool) -> tuple[tuple[Fraction, Fraction], ...]:
    """Cut from `a` to `b` into (start, length) that one sign can write, in a meter of halves of halves."""
    place, strength = _strongest(a, b)
    value = _VALUES.get(b - a)
    if value is not None:
        own = _strength(a)
        dots = value[1]
        if rest:
            fits = dots == 0 and strength <= own
        else:
            fits = strength <= 2 * own and (dots < 2 or own >= b - a)
        if fits or strength == 0:
            return ((a, b - a),)
    return _split(a, place, rest) + _split(place, b, rest)


@lru_cache(maxsize=8192)
def _split_compound(a: Fraction, b: Fraction, rest: bool) -> tuple[tuple[Fraction, Fraction], ...]:
    """The same where beats are dotted quarters: no sign hides a beat, but those that fill whole beats."""
    place = _beat_within(a, b)
    if place is None:  # within one beat
        start = a - a % _DOTTED
        if a == start and b - start == _DOTTED:
            return ((a, b - a),)
        return tuple((start + x, d) for x, d in _split_eighths(a - start, b - start, rest))
    if a % _DOTTED == 0 and b % _DOTTED == 0 and b - a in _VALUES:
        return ((a, b - a),)
    return _split_compound(a, place, rest) + _split_compound(place, b, rest)


def _split_eighths(a: Fraction, b: Fraction, rest: bool) -> tuple[tuple[Fraction, Fraction], ...]:
    """Within a dotted beat, whose three eighths are alike."""
    value = _VALUES.get(b - a)
    place, strength = _strongest(a, b, _HALF)
    if value is not None and value[1] < 2:
        own = Fraction(8) if a == 0 else min(_strength(a), _HALF)
        if strength <= (own if rest else 2 * own):
            return ((a, b - a),)
    return _split_eighths(a, place, rest) + _split_eighths(place, b, rest)


def _beat_within(a: Fraction, b: Fraction) -> Fraction | None:
    """The strongest dotted beat strictly between two places."""
    size = 8 * _DOTTED
    while size >= _DOTTED:
        place = (a // size + 1) * size
        if place < b:
            return place
        size /= 2
    return None


def _strongest(a: Fraction, b: Fraction, largest: Fraction = Fraction(8)) -> tuple[Fraction, Fraction]:
    """The place strictly between two others that is a multiple of the largest power of two, and that power (0 if there is none)."""
    size = largest
    while size >= Fraction(1, 1024):
        place = (a // size + 1) * size
        if place < b:
            return place, size
        size /= 2
    return b, Fraction(0)


def _strength(place: Fraction) -> Fraction:
    """The largest power of two, up to 16, that divides a place."""
    if place == 0:
        return Fraction(16)
    if place.denominator > 1:
        return Fraction(1, place.denominator)
    return Fraction(min(place.numerator & -place.numerator, 16))
