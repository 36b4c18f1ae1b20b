"""How much of a piece stands in the training music: its longest run that does, in any key.

Notes are taken in order of onset and pitch, whatever their part. A gram is `RUN` successive (step in time, interval) pairs, hashed, so that
transposition does not matter. Of each piece's grams the index keeps those that are the smallest hash of `WINDOW` successive ones
(winnowing: Schleimer, Wilkerson & Aiken, "Winnowing: local algorithms for document fingerprinting", SIGMOD 2003): any common run of
`RUN` + `WINDOW` grams is certain to be seen, and hits that lie as far apart in both pieces belong to one run. A gram of more than `COMMON`
pieces is a scale or a figure and no copy. The index holds hashes and places; no music can be read from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.represent.tokens import BAR, EVENT, LENGTH, PITCH, TICKS
from fugato.score import Score

RUN: Final = 8  # pairs in a gram: nine notes
WINDOW: Final = 8  # grams of which one is kept
COMMON: Final = 40  # pieces with a gram, at most
SAME: Final = 0.9  # share of a piece's grams by which it is another's
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)

Ints = NDArray[np.int64]


class Run(NamedTuple):
    """The longest run of notes that a piece shares with a training piece.

    Attributes
    ----------
    notes : int
        At most so many are the same, `WINDOW` - 1 at either end counted in; 0 where there is no run.
    piece : int
        Of the index; -1 where there is none.
    first, last : int
        The run's notes, in order of onset and pitch.
    """

    notes: int
    piece: int
    first: int
    last: int


NO_RUN: Final = Run(0, -1, 0, 0)


def line(score: Score) -> tuple[Ints, Ints]:
    """Onsets in ticks and pitches of a score's notes, in order, each once; shape=(n,) both."""
    notes = score.pitched
    return in_order(np.rint(notes["onset"] * TICKS).astype(np.int64), notes["pitch"].astype(np.int64))


def line_of_rows(rows: NDArray[Any]) -> tuple[Ints, Ints]:
    """The same of the steps of a piece, shape=(n_steps, 10)."""
    steps = rows.astype(np.int64)
    bars = steps[:, EVENT] == BAR
    ends = np.cumsum(np.where(bars, steps[:, LENGTH], 0))
    begin = np.maximum.accumulate(np.where(bars, ends - steps[:, LENGTH], 0))  # of the bar each step lies in
    notes = steps[:, EVENT] < BAR
    return in_order(begin[notes] + steps[notes, EVENT], steps[notes, PITCH] - 1)


def in_order(onset: Ints, pitch: Ints) -> tuple[Ints, Ints]:
    """Notes by onset, then pitch, doubled ones once."""
    both = np.unique(onset * 128 + pitch)
    return both // 128, both % 128


def grams(onset: Ints, pitch: Ints) -> NDArray[np.uint32]:
    """The hash of each run of `RUN` pairs, shape=(max(n - RUN, 0),)."""
    n = len(onset) - RUN
    if n <= 0:
        return np.zeros(0, np.uint32)
    pair = (np.minimum(np.diff(onset), 255) * 256 + np.diff(pitch) + 128).astype(np.uint64)
    code = np.full(n, 1, np.uint64)
    for k in range(RUN):
        code = (code ^ pair[k : k + n]) * _FACTOR
        code ^= code >> np.uint64(29)
    return (code >> np.uint64(32)).astype(np.uint32)


def winnowed(hashes: NDArray[np.uint32]) -> Ints:
    """Places of the grams that an index keeps, ascending: of `WINDOW` successive ones the smallest, of equal ones the last."""
    if not len(hashes):
        return np.zeros(0, np.int64)
    if len(hashes) <= WINDOW:
        return np.array([len(hashes) - 1 - int(np.argmin(hashes[::-1]))])
    windows = np.lib.stride_tricks.sliding_window_view(hashes, WINDOW)
    least = WINDOW - 1 - np.argmin(windows[:, ::-1], axis=1)
    return np.unique(least + np.arange(len(windows)))


class CopyIndex:
    """Grams of the training pieces.

    Parameters
    ----------
    gram : ndarray of uint32, shape=(n,)
        Ascending.
    piece, place : ndarray of uint16, shape=(n,)
        The piece of each, and where in it its first note stands, modulo 65536.
    """

    def __init__(self, gram: NDArray[np.uint32], piece: NDArray[np.uint16], place: NDArray[np.uint16]) -> None:
        self.gram, self.piece, self.place = gram, piece, place

    @classmethod
    def build(cls, lines: Sequence[tuple[Ints, Ints]]) -> CopyIndex:
        """Of the notes of each piece, as `line` gives them."""
        none = np.zeros(0, np.int64)
        found = [grams(onset, pitch) for onset, pitch in lines]
        at = [winnowed(hashes) for hashes in found]
        gram = np.concatenate([np.zeros(0, np.uint32), *(h[a] for h, a in zip(found, at, strict=True))])
        piece = np.concatenate([none, *(np.full(len(a), i) for i, a in enumerate(at))])
        place = np.concatenate([none, *at])
        return cls._sorted(gram, piece, place)

    @classmethod
    def _sorted(cls, gram: NDArray[np.uint32], piece: Ints, place: Ints) -> CopyIndex:
        """Each gram once a piece, and none that too many pieces have."""
        order = np.lexsort((place, piece, gram))
        gram, piece, place = gram[order], piece[order], place[order]
        if len(gram):
            first = np.ones(len(gram), bool)  # in its piece: what is repeated there is found at its first place
            first[1:] = (gram[1:] != gram[:-1]) | (piece[1:] != piece[:-1])
            gram, piece, place = gram[first], piece[first], place[first]
            group = np.cumsum(np.append(True, gram[1:] != gram[:-1])) - 1
            rare = np.bincount(group)[group] <= COMMON
            gram, piece, place = gram[rare], piece[rare], place[rare]
        return cls(gram, piece.astype(np.uint16), (place & 0xFFFF).astype(np.uint16))

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> CopyIndex:
        return cls(arrays["gram"], arrays["piece"], arrays["place"])

    def joined(self, other: CopyIndex, before: int) -> CopyIndex:
        """Both in one, the other's pieces counted on from `before`."""
        return self._sorted(
            np.concatenate([self.gram, other.gram]),
            np.concatenate([self.piece.astype(np.int64), other.piece.astype(np.int64) + before]),
            np.concatenate([self.place.astype(np.int64), other.place.astype(np.int64)]),
        )

    def apart(self, other: CopyIndex, n: int) -> tuple[CopyIndex, NDArray[np.bool_]]:
        """This index without the pieces that `other` holds too (`SAME` of their grams in the same places), numbered anew.

        Returns
        -------
        CopyIndex
        ndarray of bool, shape=(n,)
            Which of the `n` pieces stayed.
        """
        own, others = (i.gram.astype(np.uint64) << np.uint64(16) | i.place for i in (self, other))
        piece = self.piece.astype(np.int64)
        shared = np.bincount(piece, np.isin(own, others), minlength=n)
        stays = shared < SAME * np.maximum(np.bincount(piece, minlength=n), 1)
        kept = stays[piece]
        number = np.cumsum(stays) - 1
        return CopyIndex(self.gram[kept], number[piece[kept]].astype(np.uint16), self.place[kept]), stays

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {"gram": self.gram, "piece": self.piece, "place": self.place}

    def longest(self, onset: Ints, pitch: Ints, *, apart_from: Sequence[int] = (), growing: bool = False) -> Run:
        """The longest run of notes that some training piece has too.

        Parameters
        ----------
        onset, pitch : ndarray of int64, shape=(n,)
            As `line` or `in_order` gives them.
        apart_from : sequence of int
            Pieces that are passed over.
        growing : bool
            More notes will follow: a run is counted as long as it may prove to be, whatever they are.
        """
        asked = grams(onset, pitch)
        low = np.searchsorted(self.gram, asked, side="left")
        high = np.searchsorted(self.gram, asked, side="right")
        counts = high - low
        if not counts.any():
            return NO_RUN
        query = np.repeat(np.arange(len(asked)), counts)
        hit = np.repeat(low - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))
        piece, place = self.piece[hit].astype(np.int64), self.place[hit].astype(np.int64)
        if len(apart_from):
            other = ~np.isin(piece, list(apart_from))
            query, piece, place = query[other], piece[other], place[other]
            if not len(query):
                return NO_RUN
        shift = (place - query) & 0xFFFF
        order = np.lexsort((query, shift, piece))
        query, piece, shift = query[order], piece[order], shift[order]
        breaks = np.ones(len(query), bool)  # kept grams of a common run are at most a window apart
        breaks[1:] = (np.diff(piece) != 0) | (np.diff(shift) != 0) | (np.diff(query) > WINDOW)
        first = np.flatnonzero(breaks)
        last = np.append(first[1:], len(query)) - 1
        begin = np.maximum(query[first] - (WINDOW - 1), 0)
        end = query[last] + RUN + WINDOW - 1
        if not growing:
            end = np.minimum(end, len(onset) - 1)
        best = int(np.argmax(end - begin))
        return Run(int(end[best] - begin[best] + 1), int(piece[first[best]]), int(begin[best]), int(end[best]))
