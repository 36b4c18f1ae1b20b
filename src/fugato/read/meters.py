"""Time signatures, tidied the same way for every format."""

from __future__ import annotations

from typing import Final

from fugato.score import Meter

SNAP: Final = 1 / 16  # quarter notes by which a meter may miss its bar line


def tidy_meters(found: list[Meter], *, snap: bool = True) -> list[Meter]:
    """Meters in order of onset, one at a time, without repetitions.

    With `snap`, a meter that misses a bar line of the one before by less than `SNAP` is moved onto it. A change in
    the middle of a bar otherwise starts a new bar there.
    """
    kept: list[Meter] = []
    for meter in sorted(found, key=lambda m: m.onset):
        previous = kept[-1] if kept else Meter(0.0, 4, 4)
        if meter[1:] == previous[1:] and (kept or meter.onset > 0):
            continue
        bar = previous.bar_length
        line = previous.onset + bar * round((meter.onset - previous.onset) / bar)
        onset = line if snap and abs(line - meter.onset) < SNAP else meter.onset
        if kept and onset <= kept[-1].onset:
            kept.pop()
        kept.append(meter._replace(onset=onset))
    return kept
