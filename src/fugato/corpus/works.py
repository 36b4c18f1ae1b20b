"""Works: which pieces are the same music, by a fingerprint that key, tempo and encoding do not change.

A piece is fingerprinted by the runs of `RUN` successive non-zero intervals of its highest and of its lowest line, hashed. Two
pieces share a work when enough of the rarer fingerprint is found in the other, so a movement is found inside a whole work, and
a performance meets its score. Interval n-grams with an inverted index are the classical method of melodic retrieval (Downie,
"Evaluating a simple approach to music information retrieval", 1999; Uitdenbogerd & Zobel, ACM MM 1999).

A fingerprint holds hashes in no order: no music can be rebuilt from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.represent.stream import Stream

RUN: Final = 7  # intervals in a gram: 8 notes of one line
COMMON: Final = 60  # a gram found in more pieces than this is a scale or a figure, not a work
SHARED_SHARE: Final = 0.08  # of the smaller fingerprint
SHARED_GRAMS: Final = 30  # at least so many, lest pieces meet by chance
SHORT_SHARE: Final = 0.5  # of a piece too short to have so many
SHORT_GRAMS: Final = 6

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Hashes = NDArray[np.uint32]


class Shared(NamedTuple):
    """Two pieces with common grams: their positions, how many grams they share, and that number over the smaller set."""

    first: int
    second: int
    grams: int
    share: float


def fingerprint(events: Stream) -> Hashes:
    """Distinct hashed grams of both outer lines, ascending, shape=(n_grams,)."""
    lines = [_line_grams(events.top, 1), _line_grams(events.bass, 2)]
    grams = np.sort(np.concatenate(lines))
    return grams[distinct(grams)]


def distinct(ascending: NDArray[Any]) -> NDArray[np.bool_]:
    """Marks the first of each value, shape=(n,); a sort and this are a hundred times as fast as the hashing `np.unique`."""
    first = np.ones(len(ascending), bool)
    first[1:] = ascending[1:] != ascending[:-1]
    return first


def _line_grams(line: NDArray[np.int64], salt: int) -> Hashes:
    steps = np.diff(line)
    steps = steps[steps != 0]
    n = len(steps) - RUN + 1
    if n <= 0:
        return np.zeros(0, np.uint32)
    code = np.full(n, salt, np.uint64)
    for k in range(RUN):
        code = (code ^ (steps[k : k + n] + 128).astype(np.uint64)) * _MULTIPLIER
        code ^= code >> np.uint64(29)
    return (code >> np.uint64(32)).astype(np.uint32)


def shared_grams(fingerprints: Sequence[Hashes], *, common: int = COMMON, least: int = 2) -> list[Shared]:
    """All pairs with at least `least` grams in common, grams of more than `common` pieces left out.

    The share is taken of the smaller fingerprint with its common grams left out as well, so that two pieces full of scales
    are not alike for that.
    """
    first, second, grams, sizes = count_pairs(fingerprints, common=common)
    keep = grams >= least
    smaller = np.minimum(sizes[first], sizes[second])
    return [
        Shared(int(a), int(b), int(g), float(g) / max(int(s), 1))
        for a, b, g, s in zip(first[keep], second[keep], grams[keep], smaller[keep], strict=True)
    ]


def count_pairs(
    fingerprints: Sequence[Hashes], *, common: int = COMMON
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Common grams of every pair of pieces, by an inverted index.

    Returns
    -------
    first, second : ndarray of int64, shape=(n_pairs,)
        first < second.
    grams : ndarray of int64, shape=(n_pairs,)
    sizes : ndarray of int64, shape=(n_pieces,)
        Grams of each piece that at most `common` pieces have.
    """
    lengths = [len(f) for f in fingerprints]
    piece = np.repeat(np.arange(len(fingerprints)), lengths)
    gram = np.concatenate(fingerprints) if len(fingerprints) else np.zeros(0, np.uint32)
    both = np.sort(
        gram.astype(np.uint64) << np.uint64(32) | piece.astype(np.uint64)
    )  # one sort of whole words is the fastest
    gram, piece = (both >> np.uint64(32)).astype(np.uint32), (both & np.uint64(0xFFFFFFFF)).astype(np.int64)
    starts = np.flatnonzero(distinct(gram))
    counts = np.diff(np.append(starts, len(gram)))
    rare = counts <= common
    sizes = np.bincount(piece[np.repeat(rare, counts)], minlength=len(fingerprints))
    n = len(fingerprints)
    keys = np.zeros(0, np.int64)
    totals = np.zeros(0, np.int64)
    pending: list[NDArray[np.int64]] = []
    waiting = 0
    for k in np.flatnonzero(np.bincount(counts[rare & (counts > 1)])):
        rows = piece[starts[counts == k][:, None] + np.arange(k)]  # (n_grams, k), ascending along each row
        a, b = np.triu_indices(int(k), 1)
        block = max(int(4e6 // len(a)), 1)
        for i in range(0, len(rows), block):
            part = rows[i : i + block]
            pending.append((part[:, a] * n + part[:, b]).ravel())
            waiting += pending[-1].size
            if waiting > 2e7:
                keys, totals = _merge(keys, totals, pending)
                pending, waiting = [], 0
    keys, totals = _merge(keys, totals, pending)
    return keys // max(n, 1), keys % max(n, 1), totals, sizes


def _merge(
    keys: NDArray[np.int64], totals: NDArray[np.int64], pending: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if not pending:
        return keys, totals
    new, counts = np.unique(np.concatenate(pending), return_counts=True)
    both, inverse = np.unique(np.concatenate((keys, new)), return_inverse=True)
    return both, np.bincount(inverse, np.concatenate((totals, counts)), len(both)).astype(np.int64)


def same_work(grams: NDArray[np.int64], smaller: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether pairs with `grams` common grams, of `smaller` in the smaller fingerprint, share a work."""
    needed = np.minimum(SHARED_GRAMS, np.maximum(SHORT_SHARE * smaller, SHORT_GRAMS))
    decided: NDArray[np.bool_] = (grams > SHARED_SHARE * smaller) & (grams >= needed)
    return decided


def join(n: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Connected components of pairs over n pieces, as the smallest member of each, shape=(n,)."""
    group = np.arange(n)
    while len(first):
        low = np.minimum(group[first], group[second])
        before = group.copy()
        np.minimum.at(group, first, low)
        np.minimum.at(group, second, low)
        np.minimum.at(group, before[first], low)
        np.minimum.at(group, before[second], low)
        group = group[group]
        if (group == before).all() and (group[first] == group[second]).all():
            break
    return group
