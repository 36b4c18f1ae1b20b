"""Score -> samples by a soundfont, with symusic's synthesiser; and where on a machine a soundfont is found.

A soundfont that is asked for by name must work. One that happens to be there is a gift: where it cannot be used, the small synthesiser
of the package plays instead, so that there is always something to hear.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError
from ..score import Score
from .midi import midi_bytes
from .outside import run
from .synth import MAX_SECONDS, synthesise

log = logging.getLogger(__name__)

BUILT_IN: Final = "built-in"  # in place of a path: the synthesiser of the package
VARIABLE: Final = "FUGATO_SOUNDFONT"
DEBIAN: Final = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",  # fluid-soundfont-gm
    "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3",  # musescore-general-soundfont-small
    "/usr/share/sounds/sf3/default-GM.sf3",
    "/usr/share/sounds/sf2/default-GM.sf2",
)
# Processor seconds for the synthesiser, and more for a piece of so many seconds: it plays some hundred times as fast as one listens, but
# symusic's (0.5.9) never comes back from some short high notes of some soundfonts.
SECONDS: Final = 5.0
SHARE: Final = 0.05


def find_soundfont() -> Path | None:
    """A soundfont of this machine: FUGATO_SOUNDFONT, one of Debian's, that of pretty_midi; None where there is none.

    Raises
    ------
    FugatoError
        ``bad-option`` where the variable names a file that is not there.
    """
    named = os.environ.get(VARIABLE)
    if named == BUILT_IN:
        return None
    if named:
        if not Path(named).is_file():
            raise FugatoError("bad-option", f"{VARIABLE} names a soundfont that is not there.", named)
        return Path(named)
    spec = importlib.util.find_spec("pretty_midi")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    places = [*map(Path, DEBIAN), *(Path(f) / "TimGM6mb.sf2" for f in folders)]
    return next((p for p in places if p.is_file()), None)


def play(
    score: Score, rate: int = 44_100, *, soundfont: str | os.PathLike[str] | None = None
) -> NDArray[np.int16] | NDArray[np.float32]:
    """Samples of a piece.

    Parameters
    ----------
    score : Score
    rate : int
        Samples a second.
    soundfont : path, "built-in" or None
        An .sf2 or .sf3 file; the synthesiser of the package; or what `find_soundfont` finds, else that synthesiser.

    Returns
    -------
    ndarray of int16, shape=(n_samples, 2), or of float32 within -0.95 to 0.95, shape=(n_samples,)
        By a soundfont, or by the synthesiser of the package. The loudest sample has 95 % of what a file can hold.

    Raises
    ------
    FugatoError
        ``bad-option`` for a soundfont that was asked for and is not there or cannot be used; ``unsupported`` where it brings the
        synthesiser down; ``empty``, ``too-large`` for a piece of more than two hours.
    """
    if not len(score):
        raise FugatoError("empty", "There are no notes in it to play.")
    asked = soundfont is not None or VARIABLE in os.environ
    font: Any = find_soundfont() if soundfont is None else soundfont
    if font is None or font == BUILT_IN or score.seconds > MAX_SECONDS:
        return synthesise(score, rate)  # which says so where a piece is too long
    if not Path(font).is_file():
        raise FugatoError("bad-option", "There is no such soundfont; give an .sf2 or .sf3 file.", os.fspath(font))
    try:
        options = {"soundfont": os.path.abspath(font), "rate": rate}
        limit = SECONDS + SHARE * score.seconds
        (samples,) = run("play", midi_bytes(score), seconds=limit, what="The synthesiser", **options)
    except FugatoError as e:
        if asked:
            raise FugatoError(e.kind, e.message, os.fspath(font)) from e
        log.info("%s: %s The synthesiser of the package plays instead.", font, e.message)
        return synthesise(score, rate)
    return np.frombuffer(samples, "<i2").reshape(-1, 2)
