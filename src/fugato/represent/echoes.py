"""How a line comes back: the distance from each of its turns to the last one like it, in the same line or in the other.

Fugues and canons answer from voice to voice, variations and rondos return after long, figuration at once: repetition tells composers apart
where no single interval does.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

TURN: Final = 4  # intervals that must be alike
WIDEST: Final = 24  # semitones beyond which leaps are not told apart
FAR: Final = 12  # octaves of distance that are told apart; the next value stands for "never before"
VALUES: Final = FAR + 2


def turns(line: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each run of `TURN` intervals of a line of pitches, shape=(n - TURN,), or empty."""
    steps = np.clip(np.diff(line), -WIDEST, WIDEST) + WIDEST
    m = max(len(steps) - TURN + 1, 0)
    code = np.zeros(m, np.int64)
    for k in range(TURN):
        code = code * (2 * WIDEST + 1) + steps[k : k + m]
    return code


def since(code: NDArray[np.int64]) -> NDArray[np.int64]:
    """Octaves of the distance from each turn to the last one like it in its line, 0..12, or 13 where there is none."""
    order = np.argsort(code, kind="stable")
    apart = np.zeros(len(code), np.int64)
    apart[1:] = np.where(code[order][1:] == code[order][:-1], np.diff(order), 0)
    found = np.empty(len(code), np.int64)
    found[order] = _octaves(apart)
    return found


def since_in(code: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same to the last turn like it that began earlier in another line, both of one length."""
    n = len(code)
    both = np.concatenate([code, other])
    at = np.concatenate([2 * np.arange(n), 2 * np.arange(n) + 1])  # what begins at the same time comes after
    order = np.lexsort((at, both))
    place = np.arange(2 * n)
    last = np.maximum.accumulate(np.where(order >= n, place, -1))
    same = (last >= 0) & (both[order][last] == both[order])
    apart = np.where(same, at[order] // 2 - at[order][last] // 2, 0)
    found = np.empty(2 * n, np.int64)
    found[order] = _octaves(apart)
    return found[:n]


def _octaves(apart: NDArray[np.int64]) -> NDArray[np.int64]:
    octaves = np.minimum(np.log2(np.maximum(apart, 1)).astype(np.int64), FAR)
    return np.where(apart > 0, octaves, FAR + 1)
