"""Catalogue and opus numbers in titles: the second way, beside fingerprints, in which pieces are known to share a work.

Movements of a sonata have no notes in common, but their titles say "op. 13" or "KV 331". Numbers count only together with the
composer, and only in catalogues that this composer has.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Composer -> patterns of the catalogue that lists the works. "op. 28 no. 4" is one work, "op. 13" with movements is one.
_NUMBER: Final = r"[\s._:-]*0*(\d+)"
_NOT_RANGE: Final = r"(?!\s*-\s*\d)(?!\d)"
CATALOGUES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "Bach": (("bwv", r"bwv"),),
    "Mozart": (("k", r"k(?:v|\.)?"),),
    "Scarlatti": (("k", r"k(?:k|\.)?"), ("l", r"l\.?")),
    "Schubert": (("d", r"d(?:eutsch|\.)?"),),
    "Vivaldi": (("rv", r"rv"),),
    "Handel": (("hwv", r"hwv"),),
    "Liszt": (("s", r"s\.?"),),
    "Beethoven": (("woo", r"woo"),),
    "Brahms": (("woo", r"woo"),),
    "Weiss": (("sw", r"(?:sw|ss|smith)"),),
    "Visee": (),
}
_OPUS: Final = re.compile(rf"\bop(?:us|\.)?{_NUMBER}{_NOT_RANGE}")
_WITHIN: Final = re.compile(r"(?:\bno|\bnr|\bn|#|\bnum(?:ber)?)[\s._:°]*0*(\d+)(?!\d)|^\s*\((\d+)\)")
_HOBOKEN: Final = re.compile(r"\bhob[\s._:-]*([ivx]+)[\s._:/-]*0*(\d+)")
_KINDS: Final = re.compile(
    r"\b(sonat|symphon|sinfon|quartet|quintet|trio|concerto|partita|suite|english suite|french suite|invention|fug)\w*"
    r"[^\d/]{0,24}?\b(?:no|nr|n|#)[\s._:°]*0*(\d+)(?!\d)"
)


# A number that counts a composer's sonatas or symphonies, not the pieces of an opus: "Sonata No. 21, op. 53", "Symphony op. 68 no. 6"
_COUNTED: Final = re.compile(r"\b(?:sonat|symphon|sinfon|quartet|quintet|trio|concert)\w*[^\d/]{0,24}$")
_SYMPHONY: Final = re.compile(r"\b(?:symphon|sinfon)")


def work_keys(composer: str, title: str) -> frozenset[str]:
    """Keys of the work that a title names, such as ``{"Chopin op 28 4"}``; empty where it names none.

    Two pieces with a key in common are taken for parts or copies of one work.
    """
    text = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower().replace("_", " ")
    keys = set()
    catalogued = CATALOGUES.get(composer, ())
    for name, pattern in catalogued:
        for match in re.finditer(rf"\b{pattern}{_NUMBER}{_NOT_RANGE}", text):
            keys.add(f"{composer} {name} {int(match[1])}")
    if composer == "Haydn":
        keys |= {f"Haydn hob {m[1]} {int(m[2])}" for m in _HOBOKEN.finditer(text)}
    for match in _OPUS.finditer(text):
        number = "" if _SYMPHONY.search(text) else _number_within(text, match)
        keys.add(f"{composer} op {int(match[1])} {number}".rstrip())
    if not keys:
        for match in _KINDS.finditer(text):
            keys.add(f"{composer} {match[1]} {int(match[2])}")
    return frozenset(keys)


def _number_within(text: str, opus: re.Match[str]) -> str:
    """The number of a piece within an opus, as it stands after the opus, or before it; "" where there is none."""
    before = text[: opus.start()]
    after = _WITHIN.search(text, opus.end())
    found = after or _WITHIN.search(before)
    if found is None or (after is None and _COUNTED.search(before[: found.start()])):
        return ""
    return str(int(next(g for g in found.groups() if g)))
