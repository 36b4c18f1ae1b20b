"""Which staff a note of a keyboard goes on, and which voice of its staff.

The hands are told apart by a split point that moves with the music: the path through the onsets along which both hands have little
to stretch, the split falls into gaps, and moves little (dynamic programming, as Viterbi's). Notes that begin and end together are a
chord. Chords are dealt to voices so that no voice has two at a time, near in pitch to what the voice had before, the higher voice
above the lower one: a greedy form of the voice separation by proximity of Chew & Wu ("Separating Voices in Polyphonic Music", CMMR
2004), with chords as Kilian & Hoos allow them (ISMIR 2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, permutations
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

VOICES: Final = 4  # of a staff: what notation programs hold
STRETCH: Final = 12  # semitones that a hand spans with ease
SPLITS: Final = np.arange(40, 84)  # candidates: notes from the split on go to the upper staff
MIDDLE: Final = 60.0


class Stretch(NamedTuple):
    """A note, or the part of one that is written by itself: from `start` to `stop`, tied to its other parts."""

    note: int  # index
    start: Fraction
    stop: Fraction
    pitch: int
    tied_from: bool = False
    tied_to: bool = False


class Chord(NamedTuple):
    """What begins and ends together in one voice, from low to high."""

    start: Fraction
    stop: Fraction
    notes: tuple[Stretch, ...]
    voice: int  # from 0, the highest


def hands(onset: Sequence[Fraction], pitch: NDArray[np.int64]) -> NDArray[np.int64]:
    """Staff of each note of a keyboard part: 0 the upper, 1 the lower.

    Parameters
    ----------
    onset : sequence of Fraction, length n
        In ascending order.
    pitch : ndarray of int, shape=(n,)
        MIDI note numbers.

    Returns
    -------
    ndarray of int, shape=(n,)
    """
    edges = [0, *(i for i in range(1, len(onset)) if onset[i] != onset[i - 1]), len(onset)]
    groups = [tuple(sorted(pitch[a:b].tolist())) for a, b in pairwise(edges)]
    cost = np.stack([_cost(g) for g in groups])  # (n_onsets, n_splits)
    move = 0.15 * np.abs(SPLITS[:, None] - SPLITS[None, :])
    total, back = cost[0], np.zeros(cost.shape, np.int64)
    for i in range(1, len(cost)):
        ways = total[:, None] + move
        back[i] = ways.argmin(axis=0)
        total = ways[back[i], np.arange(len(SPLITS))] + cost[i]
    split = np.zeros(len(cost), np.int64)
    split[-1] = int(total.argmin())
    for i in range(len(cost) - 1, 0, -1):
        split[i - 1] = back[i, split[i]]
    staff = np.zeros(len(pitch), np.int64)
    for (a, b), s in zip(pairwise(edges), split.tolist(), strict=True):
        staff[a:b] = pitch[a:b] < SPLITS[s]
    return staff


@lru_cache(maxsize=4096)
def _cost(group: tuple[int, ...]) -> NDArray[np.float64]:
    """What each split costs for the notes of one onset, from low to high; shape=(n_splits,)."""
    g = np.array(group)
    below = np.searchsorted(g, SPLITS)  # notes of the lower hand
    above = len(g) - below
    last, first = g[np.maximum(below - 1, 0)], g[np.minimum(below, len(g) - 1)]  # beside the split
    cost: NDArray[np.float64] = 0.05 * np.abs(SPLITS - MIDDLE)
    for hand, span in ((below, last - g[0]), (above, g[-1] - first)):
        cost += np.where(hand > 1, np.maximum(span - STRETCH, 0), 0) + 2.0 * np.maximum(hand - 5, 0)
    cost += np.where(
        (below > 0) & (above > 0), np.maximum(1.5 - 0.25 * (first - last), 0.0), 0.0
    )  # hands close together
    cost += 0.4 * np.maximum(3.0 - np.abs(g - SPLITS[:, None] + 0.5), 0.0).sum(axis=1)  # a note just beside the split
    return cost


def chords(notes: Sequence[Stretch], bars: Sequence[Fraction]) -> list[Chord]:
    """Notes of one staff as chords in voices.

    Where more than `VOICES` chords overlap, all notes of that bar are cut where any of them begins or ends, and tied: one voice of
    chords then says the same.

    Parameters
    ----------
    notes : sequence of Stretch
        In order of start.
    bars : sequence of Fraction
        Where bars begin, ascending, and the end of the last.

    Returns
    -------
    list of Chord
        In order of start.
    """
    copies = _copies(notes)
    grouped = _group(notes, copies)
    if _most(grouped) > VOICES:
        notes = _cut_crowded(notes, grouped, bars)
        grouped = _group(notes, copies)
    return _deal(grouped)


def _copies(notes: Sequence[Stretch]) -> dict[int, int]:
    """For each note, how many others of its pitch sound already when it begins: those cannot share a chord."""
    free: dict[int, list[Fraction]] = {}  # for each pitch, when its copies end
    found = {}
    for note in notes:
        ends = free.setdefault(note.pitch, [])
        copy = next((i for i, end in enumerate(ends) if end <= note.start), len(ends))
        ends[copy : copy + 1] = [note.stop]
        found[note.note] = copy
    return found


def _group(notes: Sequence[Stretch], copies: Mapping[int, int]) -> list[tuple[Stretch, ...]]:
    """Notes that begin and end together."""
    found: dict[tuple[Fraction, Fraction, int], list[Stretch]] = {}
    for note in notes:
        found.setdefault((note.start, note.stop, copies[note.note]), []).append(note)
    return [tuple(sorted(members, key=lambda n: n.pitch)) for members in found.values()]


def _most(grouped: Sequence[tuple[Stretch, ...]]) -> int:
    """How many chords sound at once, at most."""
    events = sorted([(g[0].start, 1) for g in grouped] + [(g[0].stop, -1) for g in grouped])
    now = most = 0
    for _, step in events:
        now += step
        most = max(most, now)
    return most


def _cut_crowded(
    notes: Sequence[Stretch], grouped: Sequence[tuple[Stretch, ...]], bars: Sequence[Fraction]
) -> list[Stretch]:
    """Notes cut at all onsets and ends of the bars in which too many chords overlap."""
    spans = list(pairwise(bars))
    within = [[g for g in grouped if g[0].start < stop and g[0].stop > start] for start, stop in spans]
    crowded = {i for i, inside in enumerate(within) if _most(inside) > VOICES}
    todo = list(crowded)
    while todo:  # and of those beside them into which more than one chord is held: a tie stays in its voice
        i = todo.pop()
        for other, edge in ((i - 1, spans[i][0]), (i + 1, spans[i][1])):
            held = sum(g[0].start < edge < g[0].stop for g in within[i])
            if held > 1 and 0 <= other < len(spans) and other not in crowded:
                crowded.add(other)
                todo.append(other)
    cuts: set[Fraction] = set()
    for i in crowded:
        start, stop = spans[i]
        cuts.update((start, stop))
        cuts.update(p for g in within[i] for p in (g[0].start, g[0].stop) if start < p < stop)
    places = sorted(cuts)
    made = []
    for note in notes:
        edges = [note.start, *(p for p in places if note.start < p < note.stop), note.stop]
        for i, (a, b) in enumerate(pairwise(edges)):
            made.append(note._replace(start=a, stop=b, tied_from=i > 0, tied_to=i < len(edges) - 2))
    return sorted(made, key=lambda n: n.start)


def _deal(grouped: Sequence[tuple[Stretch, ...]]) -> list[Chord]:
    """A voice for each chord; what is tied stays in its voice."""
    groups: dict[Fraction, list[tuple[Stretch, ...]]] = {}
    for g in sorted(grouped, key=lambda g: g[0].start):
        groups.setdefault(g[0].start, []).append(g)
    end: list[Fraction] = [Fraction(-1)] * VOICES
    last: list[float | None] = [None] * VOICES
    voice_of: dict[int, int] = {}
    made = []
    for start, together in groups.items():
        together.sort(key=lambda g: -_height(g))
        while sum(e <= start for e in end) < len(together):  # doubled unisons only
            end.append(Fraction(-1))
            last.append(None)
        free = [v for v, e in enumerate(end) if e <= start]
        busy = [(v, height) for v, e in enumerate(end) if e > start and (height := last[v]) is not None]
        tied = [{voice_of[n.note] for n in g if n.tied_from} for g in together]
        if len(together) == 1 and not busy and tied[0] <= {0}:
            chosen: tuple[int, ...] = (0,)
        else:
            heights = [_height(g) for g in together]
            ways = permutations(free[: len(together) + VOICES], len(together))
            chosen = min(ways, key=lambda way: _price(way, heights, busy, last, end, start, tied))
        for voice, members in zip(chosen, together, strict=True):
            end[voice], last[voice] = members[0].stop, _height(members)
            voice_of.update((n.note, voice) for n in members)
            made.append(Chord(members[0].start, members[0].stop, members, voice))
    return made


def _height(members: tuple[Stretch, ...]) -> float:
    return sum(n.pitch for n in members) / len(members)


def _price(
    way: tuple[int, ...],
    heights: Sequence[float],
    busy: Sequence[tuple[int, float]],
    last: Sequence[float | None],
    end: Sequence[Fraction],
    start: Fraction,
    tied: Sequence[set[int]],
) -> float:
    """What it costs to deal chords of these heights to these voices: leaps, late voices, and voices that cross."""
    price = 0.0
    sounding = [*busy, *zip(way, heights, strict=True)]
    for voice, height, own in zip(way, heights, tied, strict=True):
        before = last[voice]
        price += 3.0 * voice + 1000.0 * len(own - {voice})
        if before is not None and start - end[voice] < 2:
            price += 0.3 * abs(height - before)
    for i, (voice, height) in enumerate(sounding):
        for other, pitch in sounding[:i]:
            price += 20.0 * ((voice < other) == (height < pitch) and height != pitch)
    return price
