"""The longest run of notes that pieces share with a whole collection, in any key, compared note by note.

Notes are taken in order of onset and pitch, whatever their part, doubled ones once; a run is as long as its steps in time (ticks of a
twelfth of a quarter note) and its intervals are the same. Runs of every length are hashed with 64 bits, so the answer is exact but for
collisions that nobody will meet. `fugato.compose.CopyIndex`, which watches while music is written, keeps every eighth hash and
therefore calls runs longer by up to fourteen notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BITS: Final = 22  # of the table that sieves the collection before it is compared
_FACTOR: Final = np.uint64(0x100000001B3)
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)

Ints = NDArray[np.int64]
Line = tuple[Ints, Ints]


def moves(lines: Sequence[Line]) -> tuple[NDArray[np.uint64], Ints]:
    """Steps and intervals of all lines, one after another, and how many moves are left in the line of each, itself counted in."""
    found, left = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for onset, pitch in lines:
        found.append((np.diff(onset) * 256 + np.diff(pitch) + 128).astype(np.uint64) * _SPREAD + np.uint64(1))
        left.append(np.arange(len(found[-1]), 0, -1))
    return np.concatenate(found), np.concatenate(left)


def longest_shared(pieces: Sequence[Line], collection: Sequence[Line]) -> list[int]:
    """For each piece the notes of its longest run that stands in a piece of the collection too.

    Parameters
    ----------
    pieces, collection : sequences of (onset, pitch)
        As `fugato.compose.copies.line` gives them.

    Returns
    -------
    list of int
        0 where not even two notes with their distance in time and pitch are shared.
    """
    theirs, room = moves(collection)
    mine, left = moves(pieces)
    owner = np.repeat(np.arange(len(pieces)), [max(len(onset) - 1, 0) for onset, _ in pieces])
    longest = np.zeros(len(pieces), np.int64)
    here, there = np.zeros(len(mine), np.uint64), np.zeros(len(theirs), np.uint64)
    at = np.arange(len(theirs))  # where a run of the collection still stands in some piece
    size = 0
    with np.errstate(over="ignore"):
        while len(at):
            own = np.flatnonzero(left > size)
            here[own] = here[own] * _FACTOR + mine[own + size]
            own = own[np.isin(owner[own], np.flatnonzero(longest == (size + 1 if size else 0)))]
            at = at[room[at] > size]
            there[at] = there[at] * _FACTOR + theirs[at + size]
            if not len(own):
                break
            asked = np.unique(here[own])
            at = at[_among(there[at], asked)]
            shared = np.isin(here[own], np.unique(there[at]))
            longest[owner[own[shared]]] = size + 2
            size += 1
    found: list[int] = longest.tolist()
    return found


def _among(values: NDArray[np.uint64], asked: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which values are asked for; `asked` ascending."""
    sieve = np.zeros(1 << BITS, bool)
    sieve[(asked >> np.uint64(64 - BITS)).astype(np.int64)] = True
    found: NDArray[Any] = sieve[(values >> np.uint64(64 - BITS)).astype(np.int64)]
    some = np.flatnonzero(found)
    place = np.minimum(np.searchsorted(asked, values[some]), len(asked) - 1)
    found[some] = asked[place] == values[some]
    return found
