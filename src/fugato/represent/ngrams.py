"""N-grams over the normalised stream: what is counted, and how the counts become one vector of fixed width.

Every event or step of the stream is read as several *symbols* (melodic interval, bass interval, chord above the bass, step length
relative to the piece's median, scale degree, texture …). A *span* is a run of 2 to 16 events heard as one: the chord that a broken one
spells, the line of the lowest notes and that of the highest. Where a file has beats, places in the bar and written lengths are read, too.

A *block* counts runs of one symbol, or of several read together. Small blocks are exact tables and hold relative frequencies under a
square root, so that their inner product is Bhattacharyya's coefficient; large ones are hashed (Weinberger et al., "Feature hashing for
large scale multitask learning", ICML 2009) and hold log counts weighted by inverse document frequency (Salton & Buckley, 1988). Each block
has unit length, so that no block drowns another.

Interval and rhythm n-grams for composers go back to Wołkowicz, Kulka & Kešelj, "N-gram-based approach to composer recognition"
(Archives of Acoustics, 2008).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.represent import echoes
from fugato.represent.keys import local_keys, tonic
from fugato.represent.stream import Stream

VERSION: Final = 4  # of the layout; a model made with another one cannot be used
LARGEST_TABLE: Final = 5000  # cells of an exact block
METRE: Final = frozenset(
    {"place", "arrival", "written_step", "written_top", "written_bass", "bar_length"}
)  # symbols of files with beats
SPANS: Final = (2, 4, 8, 16)  # events that are heard as one; powers of two
RATIO_EDGES: Final = np.log2([0.18, 0.29, 0.42, 0.58, 0.71, 0.87, 1.15, 1.41, 1.72, 2.4, 3.5, 5.5])

# Symbol: number of values. Those of `_STEPS` stand between an event and the next, `ratio` between two steps.
ALPHABETS: Final[dict[str, int]] = {
    "melody": 33,  # interval of the highest line, semitones, -16..16
    "bass": 33,
    "leap": 33,  # the same without repeated notes
    "bass_leap": 33,
    "step": 17,  # half-octaves of step length against the piece's median step
    "ratio": 13,  # of successive steps
    "degree": 24,  # of the highest note above the tonic, major and minor apart
    "bass_degree": 24,
    "size": 9,  # notes that start together
    "gap": 49,  # semitones between the outer notes
    "half_gap": 25,
    "third_gap": 21,
    "vertical": 48,  # the same as interval class and octave
    "chord": 2048,  # pitch classes above the bass, bit k - 1 for k semitones
    "classes": 13,  # number of different pitch classes
    "length": 15,  # half-octaves of every note's length against the median step
    "top_length": 15,  # of the highest note's
    "bass_length": 15,
    "hold": 15,  # of the highest note's against the step that follows: legato and staccato
    "bass_hold": 15,
    "sounding": 12,  # notes that sound just after the event
    "held": 8,  # those of them that began before it
    "register": 49,  # highest note against its median
    "bass_register": 49,
    "near_classes": 13,  # different pitch classes within 4 events
    "wide_classes": 13,  # within 16 events
    "local_degree": 24,  # of the highest note above the tonic of the moment
    "local_bass_degree": 24,
    "key": 24,  # of the moment, above the tonic of the piece
    "key_change": 25,  # from one key to the next: distance of the tonics and mode of the new one; the last: never
    "echo": echoes.VALUES,  # octaves of the distance to the last turn of the melody like this one
    "bass_echo": echoes.VALUES,
    "answer": echoes.VALUES,  # the same from a turn of the melody to one of the bass: imitation
    "bass_answer": echoes.VALUES,
    "width": 61,  # semitones between the medians of the outer lines, once a piece
    **{f"low_{span}": 33 for span in SPANS},  # from the lowest note of a span to that of the next, semitones, -16..16
    **{f"high_{span}": 33 for span in SPANS},
    **{f"chord_{span}": 2048 for span in SPANS},  # pitch classes of a span above its lowest note
    "place": 64,  # in the bar, sixteenths
    "arrival": 64,  # the place of the event after
    "written_step": 17,  # half-octaves of step length against a quarter note
    "written_top": 17,  # of the highest note's length
    "written_bass": 17,
    "bar_length": 41,  # eighths
}


@dataclass(frozen=True)
class Block:
    """A part of the vector: runs of symbols that are counted together.

    Attributes
    ----------
    name : str
    grams : tuple of (symbols, order)
        Symbols joined by "+" are read together; order is the length of the run.
    bits : int
        Hashed to 2**bits cells; 0 for an exact table.
    stride : int
        Events from one value of a run to the next.
    """

    name: str
    grams: tuple[tuple[str, int], ...]
    bits: int = 0
    stride: int = 1

    @cached_property
    def width(self) -> int:
        """Cells of the vector."""
        if self.bits:
            return 1 << self.bits
        ((symbols, order),) = self.grams
        return int(np.prod([ALPHABETS[s] for s in symbols.split("+")] * order))

    @cached_property
    def metrical(self) -> bool:
        """Whether only a file with beats has any of it."""
        return any(name in METRE for symbols, _ in self.grams for name in symbols.split("+"))


def _tables(*specs: str) -> tuple[Block, ...]:
    """Exact blocks from "symbols/order"."""
    return tuple(Block(s, ((s.split("/")[0], int(s.split("/")[1])),)) for s in specs)


BLOCKS: Final[tuple[Block, ...]] = (
    *_tables("melody/1", "melody/2", "bass/1", "bass/2", "melody+bass/1"),
    *_tables("step/1", "step/2", "ratio/1", "ratio/2", "ratio/3", "melody+step/1", "bass+step/1"),
    *_tables("degree/1", "bass_degree/1"),
    *_tables("size/1", "size/2", "size/3", "gap/1", "third_gap/2", "size+half_gap/1", "classes/1", "chord/1"),
    *_tables("length/1", "top_length/2", "bass_length/2", "hold/1", "bass_hold/1", "sounding/1", "held/1"),
    *_tables("near_classes/1", "wide_classes/1", "register/1", "bass_register/1", "width/1"),
    *_tables("local_degree/1", "local_degree/2", "local_bass_degree/2", "local_degree+local_bass_degree/1"),
    *_tables("key/1", "key_change/1", "echo/1", "echo/2", "bass_echo/1", "bass_echo/2", "answer/1", "bass_answer/1"),
    *_tables(*(f"chord_{span}/1" for span in SPANS)),
    *_tables("place/1", "written_step/2", "written_top/1"),
    Block("melody", (("melody", 3), ("melody", 4), ("melody", 5), ("leap", 4), ("leap", 5)), 13),
    Block("bass", (("bass", 3), ("bass", 4), ("bass_leap", 3), ("bass_leap", 4)), 13),
    Block("chords", (("chord+bass", 1), ("chord+bass", 2), ("chord", 2)), 13),
    Block("melody and rhythm", (("melody+ratio", 1), ("melody+ratio", 2), ("melody+ratio", 3)), 13),
    Block("bass and rhythm", (("bass+ratio", 1), ("bass+ratio", 2), ("bass+ratio", 3)), 13),
    Block("outer voices", (("melody+bass", 2), ("vertical+melody+bass", 1), ("vertical", 2), ("vertical", 3)), 13),
    Block("texture", (("size", 4), ("size", 6), ("size+third_gap", 2)), 13),
    Block(
        "local degrees",
        (("local_degree", 3), ("local_degree", 4), ("local_bass_degree", 3), ("local_bass_degree", 4)),
        13,
    ),
    Block("chords in the key", (("chord+local_bass_degree", 1), ("chord+local_bass_degree", 2)), 13),
    *(
        Block(
            f"outer voices of {span} events",
            (
                (f"low_{span}+high_{span}", 1),
                *((f"{line}_{span}", order) for line in ("low", "high") for order in (2, 3)),
            ),
            12,
            stride=span,
        )
        for span in SPANS
    ),
    Block(
        "metre",
        (
            ("place+size", 1),
            ("place+written_top", 1),
            ("place+written_bass", 1),
            ("bar_length+place", 1),
            ("place", 3),
            ("place", 5),
        ),
        13,
    ),
    Block("lines in the bar", (("arrival+melody", 1), ("arrival+bass", 1)), 12),
    Block("written rhythm", (("written_top+written_step", 1), ("written_step", 3), ("written_step", 4)), 12),
)


class Layout(NamedTuple):
    """Where a block lies in the vector."""

    start: int
    stop: int
    hashed: bool
    metrical: bool


@lru_cache
def layout(blocks: tuple[Block, ...] = BLOCKS) -> tuple[Layout, ...]:
    """The place of each block in the vector, in order."""
    edges = np.cumsum([0, *(b.width for b in blocks)])
    return tuple(
        Layout(int(a), int(b), block.bits > 0, block.metrical)
        for a, b, block in zip(edges, edges[1:], blocks, strict=False)
    )


def width(blocks: tuple[Block, ...] = BLOCKS) -> int:
    """Length of the vector."""
    return sum(b.width for b in blocks)


def metrical(blocks: tuple[Block, ...] = BLOCKS) -> NDArray[np.bool_]:
    """Which cells only a file with beats can have, shape=(width,)."""
    return np.repeat([block.metrical for block in blocks], [block.width for block in blocks])


@lru_cache(maxsize=1)  # n-grams and the rows of a network are made of the same symbols, one after the other
def symbols(events: Stream) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Every symbol of `ALPHABETS` along the stream.

    Returns
    -------
    dict of str to (values, event)
        Arrays of equal shape=(m,): the symbol's value, and the index of the event at which it starts.
    """
    top, bass, n = events.top, events.bass, len(events)
    at = np.arange(n)
    steps = np.maximum(np.diff(events.onset), 1e-4)
    key, mode = tonic(events.pitch_classes)
    melody, low = np.diff(top), np.diff(bass)
    gap = top - bass
    usual = _median(steps) if n > 1 else 1.0
    pace = np.clip(np.rint(2 * np.log2(steps / usual)), -8, 8).astype(np.int64) + 8
    ratios = np.searchsorted(RATIO_EDGES, np.log2(steps[1:] / steps[:-1])) if n > 2 else np.zeros(0, np.int64)
    middle = (int(_median(top)), int(_median(bass))) if n else (0, 0)
    moved, low_moved = melody != 0, low != 0
    spans = {span: (low, high, sets) for span, low, high, sets in _spans(events)}
    near, wide = spans[4][2], spans[16][2]
    now, home = local_keys(events), key + 12 * mode
    turns, bass_turns = echoes.turns(top), echoes.turns(bass)
    found = {
        "melody": (_clipped(melody, 16), at[:-1]),
        "bass": (_clipped(low, 16), at[:-1]),
        "leap": (_clipped(melody[moved], 16), at[:-1][moved]),
        "bass_leap": (_clipped(low[low_moved], 16), at[:-1][low_moved]),
        "step": (pace, at[:-1]),
        "ratio": (ratios, at[:-2]),
        "degree": ((top - key) % 12 + 12 * mode, at),
        "bass_degree": ((bass - key) % 12 + 12 * mode, at),
        "size": (np.minimum(events.size, 9) - 1, at),
        "gap": (np.minimum(gap, 48), at),
        "half_gap": (np.minimum(gap // 2, 24), at),
        "third_gap": (np.minimum(gap // 3, 20), at),
        "vertical": (gap % 12 + 12 * np.minimum(gap // 12, 3), at),
        "chord": (events.chord >> 1, at),
        "classes": (_BIT_COUNT[events.chord], at),
        "length": (_length_class(events.lengths, usual), events.event_of_note),
        "top_length": (_length_class(events.top_length, usual), at),
        "bass_length": (_length_class(events.bass_length, usual), at),
        "hold": (_length_class(events.top_length[:-1], steps), at[:-1]),
        "bass_hold": (_length_class(events.bass_length[:-1], steps), at[:-1]),
        "sounding": (np.clip(events.sounding, 0, 11), at),
        "held": (np.clip(events.sounding - events.size, 0, 7), at),
        "register": (_clipped(top - middle[0], 24), at),
        "bass_register": (_clipped(bass - middle[1], 24), at),
        "near_classes": (_BIT_COUNT[near], at[: len(near)]),
        "wide_classes": (_BIT_COUNT[wide], at[: len(wide)]),
        "local_degree": ((top - now) % 12 + now // 12 * 12, at),
        "local_bass_degree": ((bass - now) % 12 + now // 12 * 12, at),
        "key": ((now - home) % 12 + now // 12 * 12, at),
        "key_change": _key_changes(now),
        "echo": (echoes.since(turns), at[: len(turns)]),
        "bass_echo": (echoes.since(bass_turns), at[: len(turns)]),
        "answer": (echoes.since_in(turns, bass_turns), at[: len(turns)]),
        "bass_answer": (echoes.since_in(bass_turns, turns), at[: len(turns)]),
        "width": (np.full(min(n, 1), min(max(middle[0] - middle[1], 0), 60)), at[:1]),
        **_metre(events),
    }
    for span, (low_note, high_note, sets) in spans.items():
        for line, notes in (("low", low_note), ("high", high_note)):
            moves = _clipped(notes[span:] - notes[:-span], 16)
            found[f"{line}_{span}"] = (moves, at[: len(moves)])
        found[f"chord_{span}"] = (_rotated(sets, low_note % 12) >> 1, at[: len(sets)])
    return found


def _metre(events: Stream) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """What only a file with beats says: places in the bar and written lengths; all empty without."""
    at = np.arange(len(events.place))
    place = np.clip(np.rint(4 * events.place), 0, 63).astype(np.int64)
    bar = np.full(len(at), min(max(round(2 * events.bar_length), 0), 40))
    return {
        "place": (place, at),
        "arrival": (place[1:], at[:-1]),
        "written_step": (_written(np.diff(events.onset)[: len(at)]), at[:-1]),
        "written_top": (_written(events.top_length[: len(at)]), at),
        "written_bass": (_written(events.bass_length[: len(at)]), at),
        "bar_length": (bar, at),
    }


def _written(quarters: NDArray[np.float64]) -> NDArray[np.int64]:
    """Half-octaves of lengths against a quarter note, from a 128th (0) to eight quarters (16)."""
    classes: NDArray[np.int64] = np.clip(np.rint(2 * np.log2(np.maximum(quarters, 1e-3))), -10, 6).astype(np.int64) + 10
    return classes


def _key_changes(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each change of key and the event from which the new one holds; a piece that stays at home says so once, at its start."""
    at = np.flatnonzero(np.diff(keys)) + 1
    if not len(at):
        return np.full(min(len(keys), 1), 24), np.zeros(min(len(keys), 1), np.int64)
    return (keys[at] - keys[at - 1]) % 12 + keys[at] // 12 * 12, at


def _clipped(values: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Values within -limit..limit, counted from 0."""
    return np.minimum(np.maximum(values, -limit), limit) + limit


def _median(values: NDArray[Any]) -> float:
    """As `np.median`, without its precautions, which take longer than the sorting."""
    half = len(values) // 2
    ordered = np.sort(values)
    return float(ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def _length_class(lengths: NDArray[np.float64], unit: float | NDArray[np.float64]) -> NDArray[np.int64]:
    """Half-octaves of lengths against a unit, from an eighth of it (0) to sixteen of it (14)."""
    ratio = np.maximum(lengths, 1e-4) / unit
    classes: NDArray[np.int64] = np.clip(np.rint(2 * np.log2(ratio)), -6, 8).astype(np.int64) + 6
    return classes


def _spans(events: Stream) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """For each of `SPANS` the lowest and highest note of every run of so many events, and its pitch classes, bit k for pitch class k."""
    low, high, sets = events.bass, events.top, _rotated(events.chord, -events.bass % 12)
    for span in SPANS:  # each of them is two of the last side by side
        n, later = max(len(low) - span // 2, 0), span // 2
        low, high = np.minimum(low[:n], low[later:]), np.maximum(high[:n], high[later:])
        sets = sets[:n] | sets[later:]
        yield span, low, high, sets


def _rotated(sets: NDArray[np.int64], key: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Pitch-class sets as seen from pitch class `key`."""
    return ((sets >> key) | (sets << (12 - key))) & 4095


_BIT_COUNT: Final = np.array([bin(c).count("1") for c in range(4096)])


def grams(events: Stream, blocks: tuple[Block, ...] = BLOCKS) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each block its grams along the stream.

    Yields
    ------
    cell : ndarray of int64, shape=(m,)
        Cell within the block, 0..width - 1.
    event : ndarray of int64, shape=(m,)
        The event at which the gram starts.
    """
    runs = _runs(events, blocks)
    cells = _cells(runs)
    for number in range(len(blocks)):
        mine = [(cell, run.at[: len(cell)]) for run, cell in zip(runs, cells, strict=True) if run.block == number]
        none = np.zeros(0, np.int64)
        yield np.concatenate([none, *(cell for cell, _ in mine)]), np.concatenate([none, *(at for _, at in mine)])


class _Run(NamedTuple):
    """One kind of gram of a block: runs of `order` among the values of a symbol (or several, read together)."""

    block: int
    values: NDArray[np.int64]
    at: NDArray[np.int64]  # events at which the values are
    size: int  # of the alphabet
    order: int
    stride: int
    salt: int
    bits: int

    @property
    def n_grams(self) -> int:
        return len(self.values) - (self.order - 1) * self.stride

    def part(self, number: int) -> NDArray[np.int64]:
        """The value with that number of each run."""
        return self.values[number * self.stride :][: self.n_grams]


def _runs(events: Stream, blocks: tuple[Block, ...]) -> list[_Run]:
    """The kinds of grams of each block in turn, without those for which the piece is too short."""
    found = symbols(events)
    joined: dict[str, Any] = {}
    runs = []
    for number, block in enumerate(blocks):
        for salt, (names, order) in enumerate(block.grams, 1):
            if names not in joined:  # several blocks read the same symbols
                joined[names] = _joined(found, names)
            values, at, size = joined[names]
            if len(values) > (order - 1) * block.stride:
                runs.append(_Run(number, values, at, size, order, block.stride, salt, block.bits))
    return runs


def _cells(runs: list[_Run]) -> list[NDArray[np.int64]]:
    """For each of the runs the cells of its grams within the block, in order of the stream."""
    codes = iter(_hashed([run for run in runs if run.bits]))
    return [next(codes) if run.bits else _exact(run) for run in runs]


def _exact(run: _Run) -> NDArray[np.int64]:
    """Each run of values as a number in base `size`."""
    code = run.part(0).copy()
    for k in range(1, run.order):
        code *= run.size
        code += run.part(k)
    return code


def _joined(found: dict[str, Any], names: str) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Symbols read together at the same event, as one value."""
    first, *others = names.split("+")
    values, at = found[first]
    size = ALPHABETS[first]
    for name in others:
        more = found[name][0]
        m = min(len(values), len(more))
        values, at = values[:m] * ALPHABETS[name] + more[:m], at[:m]
        size *= ALPHABETS[name]
    return values, at, size


def _hashed(runs: list[_Run]) -> list[NDArray[np.int64]]:
    """Each run of values mixed to `bits` bits.

    All kinds of grams are mixed side by side, those of the longest runs first: a step takes what is left of them at once.
    """
    if not runs:
        return []
    order = sorted(range(len(runs)), key=lambda i: -runs[i].order)
    ranked = [runs[i] for i in order]
    sizes = [run.n_grams for run in ranked]
    ends = np.cumsum(sizes)
    code = np.repeat(np.array([run.salt for run in ranked], np.uint64), sizes)
    for k in range(ranked[0].order):
        left = [run for run in ranked if run.order > k]
        numbers = np.concatenate([run.part(k) for run in left]).view(np.uint64)
        numbers += np.uint64(1)
        part = code[: len(numbers)]
        part ^= numbers
        part *= np.uint64(0x9E3779B97F4A7C15)
        part ^= np.right_shift(part, np.uint64(29), out=numbers)
    code >>= np.repeat(np.array([64 - run.bits for run in ranked], np.uint64), sizes)
    pieces = np.split(code.view(np.int64), ends[:-1])
    cells = dict(zip(order, pieces, strict=True))
    return [cells[i] for i in range(len(runs))]


def count(events: Stream, blocks: tuple[Block, ...] = BLOCKS) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Grams of a piece over the whole vector.

    Returns
    -------
    cell : ndarray of int32, shape=(n_cells,)
        Cells that occur, ascending.
    times : ndarray of int32, shape=(n_cells,)
        How often.
    """
    runs, places = _runs(events, blocks), layout(blocks)
    cells = [np.zeros(0, np.int64)]
    for run, cell in zip(runs, _cells(runs), strict=True):
        cell += places[run.block].start
        cells.append(cell)
    table = np.bincount(np.concatenate(cells))
    occurring = np.flatnonzero(table != 0)  # of booleans it is several times as fast
    return occurring.astype(np.int32), table[occurring].astype(np.int32)


def weigh(
    cell: NDArray[np.int32],
    times: NDArray[np.int32],
    rarity: NDArray[np.float32],
    places: tuple[Layout, ...],
) -> NDArray[np.float32]:
    """Counts of one piece as vector values; every block has unit length.

    Parameters
    ----------
    cell, times : ndarrays, shape=(n_cells,)
        As `count` gives them.
    rarity : ndarray of float32, shape=(width,)
        Inverse document frequency; read for hashed blocks only. 0 leaves a cell out of any block.
    places : tuple of Layout

    Returns
    -------
    ndarray of float32, shape=(n_cells,)
    """
    edges = np.searchsorted(cell, np.array([p.start for p in places] + [places[-1].stop], cell.dtype))
    sizes = np.diff(edges)
    rare = rarity.take(cell)
    hashed = np.repeat([p.hashed for p in places], sizes)
    values = np.where(hashed, np.log1p(times) * rare, np.sqrt(times) * (rare > 0))
    squares = values * values
    norms = np.array([np.sqrt(squares[a:b].sum()) for a, b in itertools.pairwise(edges.tolist())])
    unit: NDArray[np.float32] = (values / np.repeat(np.where(norms > 0, norms, 1), sizes)).astype(np.float32)
    return unit
