"""Score and Answer out of the house again: MIDI, sound and pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..answer import Answer
    from ..score import Score

__all__ = ["plot", "write"]


def write(thing: Score | Any, out: str | os.PathLike[str], **options: Any) -> Path:
    """Write a piece to a file; its name says how.

    ============================== =================================================================================
    .mid .midi                     Standard MIDI File: `fugato.read` gives the same Score back
    .musicxml .xml .mxl            MusicXML 4.0, plain or compressed, for notation programs; not of a performance without beats
    .svg                           engraved pages, by Verovio (the extra `scores`); the second beside it as name-2.svg, and so on
    .wav                           a recording, played by a soundfont where there is one, else by the synthesiser of the package
    ============================== =================================================================================

    Parameters
    ----------
    thing : Score, or anything with a `score` that is one
    out : path
        A file that is there is replaced.
    options
        Of .wav: ``soundfont``, an .sf2 or .sf3 file or "built-in" (default: FUGATO_SOUNDFONT, Debian's, or that of pretty_midi), and
        ``rate``, samples a second.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be written there or so, ``bad-option`` where `thing` is no piece, ``empty`` where there
        is nothing in it, ``unsupported`` where notation is asked of a performance without beats.

    Examples
    --------
    >>> import fugato
    >>> fugato.write(fugato.read("nocturne.mid"), "nocturne.wav")  # doctest: +SKIP
    """
    from ..errors import FugatoError
    from ..score import Score
    from .place import check_place, put

    score = thing if isinstance(thing, Score) else getattr(thing, "score", None)
    if not isinstance(score, Score):
        raise FugatoError("bad-option", f"A Score can be written, not {type(thing).__name__}.")
    played: Score = getattr(thing, "played", score)  # a composition may be played otherwise than it is written
    suffix = Path(out).suffix.lower()
    if suffix in (".mid", ".midi"):
        from .midi import midi_bytes

        return put(check_place(out), midi_bytes(played, **options))
    if suffix in (".musicxml", ".xml", ".mxl"):
        from .musicxml import musicxml_bytes, mxl_bytes

        make = mxl_bytes if suffix == ".mxl" else musicxml_bytes
        return put(check_place(out), make(score, **options))
    if suffix == ".svg":
        from .engrave import write_svg

        return write_svg(score, out, **options)
    if suffix == ".wav":
        from .wav import write_wav

        return write_wav(played, out, **options)
    raise FugatoError(
        "bad-output",
        "A piece is written as .mid, .musicxml, .mxl, .svg or .wav; give it a name that ends so.",
        str(out),
    )


def plot(thing: Answer | Score | Any, out: str | os.PathLike[str], *, score: Score | None = None) -> Path:
    """Draw an answer (the ranking beside the piano roll) or a piece (its piano roll) as PNG or SVG.

    Parameters
    ----------
    thing : Answer, Score, or anything with a `score` that is one, as `Composition`
        Where it has a `new` too, which notes were composed, those are drawn in another colour than the given ones.
    out : path
        Ends in .png or .svg; a picture that is there is replaced.
    score : Score, optional
        The piece that an answer is about. Without it, the file that the answer names is read again if it is there.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FugatoError
        ``bad-output`` where the picture cannot be written, ``bad-option`` where `thing` cannot be drawn.

    Examples
    --------
    >>> import fugato
    >>> answer = fugato.identify("nocturne.mid", explain=True)  # doctest: +SKIP
    >>> fugato.plot(answer, "nocturne.png")  # doctest: +SKIP
    """
    from ..answer import Answer
    from ..errors import FugatoError
    from ..score import Score
    from .picture import plot_answer, plot_score

    if isinstance(thing, Score):
        return plot_score(thing, out)
    if not isinstance(thing, Answer):
        if isinstance(getattr(thing, "score", None), Score):
            return plot_score(thing.score, out, new=getattr(thing, "new", None))
        raise FugatoError("bad-option", f"An Answer or a Score can be drawn, not {type(thing).__name__}.")
    if score is None and thing.input and Path(thing.input).is_file():
        from ..read import read

        try:
            score = read(thing.input)
        except FugatoError:
            score = None  # the ranking alone can still be drawn
    return plot_answer(thing, score, out)
