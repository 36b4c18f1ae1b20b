"""ABC -> Scores, parsed by music21, tune by tune.

After the *ABC music standard 2.1* (December 2011). Title and composer come from the fields ``T:`` and ``C:``. A file with several
``X:`` fields is a book; a tune that cannot be read is left out of it with a warning.
"""

from __future__ import annotations

import logging
import re

from fugato.errors import FugatoError
from fugato.read.limits import Limits
from fugato.score import Score

log = logging.getLogger(__name__)


def read_abc(text: str, limits: Limits, warnings: tuple[str, ...] = ()) -> list[Score]:
    """Every tune of a file that has notes; with several, each says in a warning which one it is."""
    header, tunes = split_tunes(text)
    scores: list[Score] = []
    failed: list[FugatoError] = []
    for number, tune in enumerate(tunes, 1):
        place = (f"Tune {number} of a book of {len(tunes)}.",) if len(tunes) > 1 else ()
        try:
            scores.append(_tune(header + tune, limits, (*warnings, *place)))
        except FugatoError as e:
            if e.kind == "too-large":
                raise
            failed.append(e)
        except MemoryError:
            raise
        except Exception as e:
            log.debug("tune %d", number, exc_info=True)
            failed.append(FugatoError("corrupt", f"The ABC makes no sense ({type(e).__name__}: {e})."))
    if not scores:
        raise failed[0] if failed else FugatoError("empty", "There is no tune in it.")
    return scores


def split_tunes(text: str) -> tuple[str, list[str]]:
    """What stands before the first ``X:`` field and holds for every tune, and the tunes."""
    starts = [m.start() for m in re.finditer(r"^X:", text, re.M)]
    if not starts:
        return "", [text]
    ends = [*starts[1:], len(text)]
    header = "".join(
        line + "\n" for line in text[: starts[0]].splitlines() if re.match(r"[BCDFGHLMNORSZ]:", line)
    )
    return header, [text[a:b] for a, b in zip(starts, ends, strict=True)]


def _tune(text: str, limits: Limits, warnings: tuple[str, ...]) -> Score:
    from music21 import converter, stream

    from fugato.read.streams import check, score_of_stream

    piece = converter.parseData(text, format="abc")
    if isinstance(piece, stream.Opus):
        piece = next(iter(piece.scores))
    check(piece)
    return score_of_stream(
        piece, "abc", limits, title=_field(text, "T"), composer=_field(text, "C"), warnings=warnings
    )


def _field(text: str, letter: str) -> str:
    found = re.search(rf"^{letter}:[ \t]*(.*?)[ \t]*(?:%.*)?$", text, re.M)
    return found[1] if found else ""
