"""What a bar is thrown away for after it was written: loops and copies.

Repeats as such are music, and no token is ever punished for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.compose.copies import NO_RUN, CopyIndex, Run, in_order
from fugato.represent import tokens as t

SAME_IN_A_ROW: Final = 4  # equal bars one after another, at most
SAME_IN_ALL: Final = 8  # equal bars in a piece, at most
SAME_PAIRS: Final = 4  # times that two bars may alternate
SAME_SOUNDS: Final = 14  # one note or chord struck again, at most so often in a row

Signature = tuple[tuple[int, int, int], ...]


def signature(rows: NDArray[Any]) -> Signature:
    """A bar's notes (position, pitch, duration) without parts and loudness."""
    notes = rows[rows[:, t.EVENT] < t.BAR]
    return tuple(sorted({(int(n[t.EVENT]), int(n[t.PITCH]), int(n[t.DURATION])) for n in notes}))


def loops(bars: Sequence[Signature], struck: Sequence[frozenset[int]]) -> bool:
    """Whether the newest bar makes a loop.

    Parameters
    ----------
    bars : sequence of Signature
        All bars so far, the newest last.
    struck : sequence of frozenset of int
        Pitches of each onset so far.
    """
    if not bars:
        return False
    new = bars[-1]
    if new and sum(bar == new for bar in bars) > SAME_IN_ALL:
        return True
    if len(bars) > SAME_IN_A_ROW and all(bar == new for bar in bars[-SAME_IN_A_ROW - 1 :]):
        return True
    turn = 2 * (SAME_PAIRS + 1)
    if len(bars) >= turn and all(a == b for a, b in zip(bars[-turn:-2], bars[-turn + 2 :], strict=True)):
        return True
    row = 1
    for a, b in zip(struck[-1:0:-1], struck[-2::-1], strict=False):
        if a != b:
            break
        row += 1
    return row > SAME_SOUNDS or _longest_row(struck[-SAME_SOUNDS * 4 :]) > SAME_SOUNDS


def _longest_row(struck: Sequence[frozenset[int]]) -> int:
    best = row = 0
    for i, now in enumerate(struck):
        row = row + 1 if i and now == struck[i - 1] else 1
        best = max(best, row)
    return best


def onsets_of(rows: NDArray[Any]) -> list[frozenset[int]]:
    """Pitches that start together, in order of time, of the notes of one bar."""
    at: dict[int, set[int]] = {}
    for note in rows[rows[:, t.EVENT] < t.BAR]:
        at.setdefault(int(note[t.EVENT]), set()).add(int(note[t.PITCH]))
    return [frozenset(at[position]) for position in sorted(at)]


class CopyGuard:
    """The longest run that new notes share with a training piece.

    Parameters
    ----------
    index : CopyIndex or None
        None guards nothing.
    limit : int
        Notes: what held-out real music shares with the training music in all but one of twenty excerpts.
    """

    def __init__(self, index: CopyIndex | None, limit: int) -> None:
        self.index, self.limit = index, limit
        self.onset = np.zeros(0, np.int64)
        self.pitch = np.zeros(0, np.int64)

    def run(self, rows: NDArray[Any], start: int, *, growing: bool = False) -> Run:
        """The longest run of all new notes with those of a bar that starts at tick `start`; `growing` where more will follow."""
        if self.index is None:
            return NO_RUN
        return self.index.longest(*self._with(rows, start), growing=growing)

    def keep(self, rows: NDArray[Any], start: int) -> None:
        """The bar stays."""
        self.onset, self.pitch = self._with(rows, start)

    def _with(self, rows: NDArray[Any], start: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        notes = rows[rows[:, t.EVENT] < t.BAR].astype(np.int64)
        return in_order(
            np.concatenate([self.onset, start + notes[:, t.EVENT]]),
            np.concatenate([self.pitch, notes[:, t.PITCH] - 1]),
        )
