"""Humdrum ``**kern`` -> Score, parsed by music21.

After David Huron's *Humdrum Toolkit* reference and humdrum.org's guide to kern. Title and composer come from the
reference records ``!!!OTL`` and ``!!!COM``. Kern is written at sounding pitch.
"""

from __future__ import annotations

import re

from fugato.read.limits import Limits
from fugato.score import Score


def read_kern(text: str, limits: Limits, warnings: tuple[str, ...] = ()) -> Score:
    """Score of one kern file."""
    from music21.humdrum.spineParser import HumdrumDataCollection

    from fugato.read.streams import check, score_of_streams

    collection = HumdrumDataCollection(text)
    collection.parse()
    piece = collection.stream
    check(piece)
    title = _record(text, "OTL") or _record(text, "OPR")
    return score_of_streams([piece], "kern", limits, title=title, composer=_record(text, "COM"), warnings=warnings)


def _record(text: str, code: str) -> str:
    """A reference record in whatever language comes first."""
    found = re.search(rf"^!!!{code}(?:@+\w+)?:[ \t]*(.*)$", text, re.M)
    return found[1].strip() if found else ""
