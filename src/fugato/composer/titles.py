"""Titles of works as people write them: collections name them after web pages and folders."""

from __future__ import annotations

import html
import re
from typing import Final

_CHANGES: Final = (
    (re.compile(r"\s*\\\s*"), " "),
    (re.compile(r" / "), ": "),  # what was a folder
    (re.compile(r"\s*\(\[[^\]]*\]\s*=\s*[\d.]+\)"), ""),  # a metronome mark
    (re.compile(r"\s+\|\s+"), ", "),
)
_NUMBERED: Final = re.compile(r" / (\d{4})(\d{2})[a-z]*$")  # a file named after its number in the Bach catalogue
_CATALOGUE: Final = re.compile(r"\b(bwv|hwv|rv|kv)\.?\s*0*(\d+)", re.IGNORECASE)
_RANGE: Final = re.compile(r"((?:BWV|HWV|RV|KV) \d+)- ?(?=\d)")


def for_people(title: str) -> str:
    """A title without entities, folders and metronome marks, catalogue numbers written out.

    >>> for_people("cantatas / bwv.012- 13 (Sch&uuml;bler)")
    'Cantatas: BWV 12–13 (Schübler)'
    """
    text = _NUMBERED.sub(_bwv, html.unescape(title))
    for pattern, shown in _CHANGES:
        text = pattern.sub(shown, text)
    text = _CATALOGUE.sub(lambda found: f"{found[1].upper()} {found[2]}", text)
    text = _RANGE.sub(r"\1–", text).strip()
    return text[:1].upper() + text[1:]


def _bwv(found: re.Match[str]) -> str:
    movement = int(found[2])
    return f": BWV {int(found[1])}" + (f"/{movement}" if movement else "")
