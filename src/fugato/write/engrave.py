"""Score -> engraved pages as SVG, by Verovio (Pugin, Zitellini & Roland, "Verovio: A library for engraving MEI music notation into
SVG", ISMIR 2014), where the extra `scores` is installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any, Final

from ..errors import FugatoError
from ..score import Score
from .musicxml import musicxml_bytes
from .outside import run
from .place import check_place, put

SECONDS: Final = 60.0  # for Verovio, which needs one for some twenty pages
OPTIONS: Final[dict[str, Any]] = {
    "pageWidth": 2100,  # tenths of a millimetre: A4
    "pageHeight": 2970,
    "scale": 40,
    "adjustPageHeight": True,
    "svgViewBox": True,
    "footer": "none",
    "xmlIdSeed": 1,  # the same piece is the same file
}


def engraved(score: Score) -> list[bytes]:
    """The pages of a Score as SVG; errors as in `write_svg`, but for the place."""
    if importlib.util.find_spec("verovio") is None:
        raise FugatoError(
            "bad-option", "Engraving needs the package verovio: install it with  pip install 'fugato[scores]'."
        )
    return run("engrave", musicxml_bytes(score), seconds=SECONDS, what="Verovio", options=OPTIONS)


def write_svg(score: Score, out: str | os.PathLike[str]) -> Path:
    """Engrave a Score.

    Parameters
    ----------
    score : Score
        With notated beats.
    out : path
        Ends in .svg. Of more than one page, the second goes beside it as name-2.svg, and so on.

    Returns
    -------
    Path
        `out`, the first page.

    Raises
    ------
    FugatoError
        ``bad-option`` where Verovio is not installed, ``unsupported`` where it breaks down and for a performance without beats,
        ``timeout``, ``empty``, ``bad-output``.
    """
    path = check_place(out)
    for number, page in enumerate(engraved(score), 1):
        put(path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}"), page)
    return path
