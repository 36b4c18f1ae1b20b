"""What may come next, so that every output can be decoded, written and played.

Within a bar positions never go back, at one position parts and pitches only rise, no note starts in its part while the same pitch still
sounds there, and none is held past the end of what is composed. In the last bar of a piece only the tonic chord sounds. The masks hold at
every temperature; the network only chooses among what is legal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent import tokens as t

LOWEST_PITCH: Final = (
    27  # in the home key: six semitones above A0, the lowest key of a piano, so that it is there in every key
)
HIGHEST_PITCH: Final = 103
MOST_NOTES: Final = 120  # of a bar; then it ends
TRIADS: Final = ((0, 4, 7), (0, 3, 7))  # above the tonic, major and minor

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """A bar that is to be written.

    Attributes
    ----------
    meter, length, key, density, left : int
        Values of the columns of its step; `length` is in ticks.
    start : int
        Ticks from the start of the piece.
    limit : int
        Ticks from there: no note is held past it.
    last : bool
        The piece ends with it.
    prepares : bool
        The bar before that one.
    closes : bool
        It is the last one to be written: of the piece, or of a gap.
    shift : int
        Semitones that pitches stand higher here than they will sound.
    """

    meter: int
    length: int
    key: int
    density: int
    left: int
    start: int
    limit: int
    last: bool = False
    prepares: bool = False
    closes: bool = False
    shift: int = 0

    def row(self) -> NDArray[np.uint8]:
        """Its step, shape=(10,)."""
        row = np.zeros(len(t.COLUMNS), np.uint8)
        row[t.EVENT] = t.BAR
        row[t.METER], row[t.LENGTH], row[t.KEY] = self.meter, self.length, self.key
        row[t.DENSITY], row[t.LEFT] = self.density, self.left
        return row


class Grammar:
    """The state of one bar while it is written.

    Parameters
    ----------
    plan : Plan
    n_parts : int
        Parts that may play.
    sounding : dict of (part, pitch) to int
        Columns of notes begun earlier and the tick at which each ends; a copy is kept.
    may_be_empty : bool
        False after an empty bar, and for the first and the last.
    """

    def __init__(
        self, plan: Plan, n_parts: int, sounding: dict[tuple[int, int], int], *, may_be_empty: bool = True
    ) -> None:
        self.plan, self.n_parts, self.may_be_empty = plan, n_parts, may_be_empty
        self.sounding = {key: end for key, end in sounding.items() if end > plan.start}
        self.position, self.part, self.pitch = 0, 0, 0
        self.n = 0
        self._range = np.zeros(t.VOCABULARY[t.PITCH], bool)
        self._range[1 + LOWEST_PITCH : 2 + HIGHEST_PITCH] = True
        if plan.last and plan.key:
            tonic, minor = (plan.key - 1) % 12, (plan.key - 1) // 12
            inside = np.isin((np.arange(len(self._range)) - 1 - tonic) % 12, TRIADS[minor])
            self._range &= inside

    def events(self) -> Mask:
        """Where the next note may start, or that the bar ends."""
        mask = np.zeros(t.VOCABULARY[t.EVENT], bool)
        if self.n < MOST_NOTES:
            mask[self.position : self.plan.length] = True
            if self.n and not self.parts(self.position).any():
                mask[self.position] = False
        if self.n or self.may_be_empty or not mask.any():
            mask[t.END if self.plan.closes else t.BAR] = True
        return mask

    def parts(self, event: int) -> Mask:
        """Which part may play there."""
        mask = np.zeros(t.VOCABULARY[t.PART], bool)
        first = max(self.part, 1) if event == self.position else 1
        for part in range(first, self.n_parts + 1):
            mask[part] = bool(self.pitches(event, part).any())
        return mask

    def pitches(self, event: int, part: int) -> Mask:
        """Which pitch may start there in the part."""
        mask = self._range.copy()
        if self.n and event == self.position and part == self.part:
            mask[: self.pitch + 1] = False
        now = self.plan.start + event
        for (own, pitch), end in self.sounding.items():
            if own == part and end > now:
                mask[pitch] = False
        return mask

    def durations(self, event: int) -> Mask:
        """How long it may last."""
        mask = np.ones(t.VOCABULARY[t.DURATION], bool)
        mask[0] = False
        room = self.plan.limit - self.plan.start - event
        mask[1:] = room >= t.LONG_DURATIONS
        mask[1] = True  # a tick always fits into the bar
        return mask

    def add(self, row: NDArray[Any]) -> None:
        """A note was chosen."""
        self.position, self.part, self.pitch = int(row[t.EVENT]), int(row[t.PART]), int(row[t.PITCH])
        end = self.plan.start + self.position + int(t.LONG_DURATIONS[int(row[t.DURATION]) - 1])
        self.sounding[self.part, self.pitch] = end
        self.n += 1
