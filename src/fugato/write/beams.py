"""Beams: eighths and shorter notes of one voice joined within a beat (Gould, *Behind Bars*, 2011, "Beaming")."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from ..score import Meter
from .rhythm import Value, is_compound

LEVELS: Final = {
    "eighth": 1,
    "16th": 2,
    "32nd": 3,
    "64th": 4,
    "128th": 5,
    "256th": 6,
}  # beams of a value; MusicXML has six


def beams_of(values: Sequence[Value], is_rest: Sequence[bool], meter: Meter, before: Fraction) -> list[str]:
    """The beam elements of each sign of a voice in a bar.

    Parameters
    ----------
    values : sequence of Value
    is_rest : sequence of bool
        Of each event that the values point to.
    meter : Meter
    before : Fraction
        Quarter notes missing at the start of the bar.

    Returns
    -------
    list of str
        One a value; empty where it has no beam.
    """
    made = [""] * len(values)
    for group in _groups(values, is_rest, meter, before):
        levels = [LEVELS[values[i].type] for i in group]
        for k, i in enumerate(group):
            left = levels[k - 1] if k else 0
            right = levels[k + 1] if k + 1 < len(group) else 0
            words = []
            for level in range(1, levels[k] + 1):
                if left >= level and right >= level:
                    word = "continue"
                elif right >= level:
                    word = "begin"
                elif left >= level:
                    word = "end"
                else:
                    word = "backward hook" if left else "forward hook"
                words.append(f'<beam number="{level}">{word}</beam>')
            made[i] = "".join(words)
    return made


def _groups(values: Sequence[Value], is_rest: Sequence[bool], meter: Meter, before: Fraction) -> list[list[int]]:
    """Neighbours that are joined: two or more short notes within one beat or one tuplet."""
    beat = Fraction(3, 2) if is_compound(meter) else Fraction(1)
    if not is_compound(meter) and meter.denominator >= 8:
        beat = Fraction(4 * meter.numerator, meter.denominator) if meter.numerator < 4 else Fraction(1)  # 3/8: the bar
    found: list[list[int]] = []
    last: tuple[object, ...] | None = None
    for i, value in enumerate(values):
        if is_rest[value.event] or value.type not in LEVELS:
            last = None
            continue
        here = ((value.start + before) // beat, value.tuplet)
        if here == last:
            found[-1].append(i)
        else:
            found.append([i])
        last = here
    return [g for g in found if len(g) > 1]
