"""`fugato.plot`: a picture of whatever the house makes, as PNG or SVG.

Scores and answers about them are drawn by `fugato.write`. Recordings, and genre answers over their recordings, need the representations
of sound as well, which `fugato.write` does not know.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fugato.answer import Answer
from fugato.errors import FugatoError
from fugato.read import read_audio
from fugato.recording import Recording
from fugato.represent.outline import outline, sound_view
from fugato.score import Score
from fugato.write import plot as plot_music
from fugato.write.sound_picture import draw_genre, draw_sound


def plot(
    thing: Answer | Score | Recording | Any,
    out: str | os.PathLike[str],
    *,
    score: Score | None = None,
    recording: Recording | None = None,
) -> Path:
    """Draw an answer, a piece or a recording as PNG or SVG.

    A composer answer is its ranking beside the piano roll, a piece its piano roll, a genre answer the waveform, the mel spectrogram and the
    genres of its recording along one time axis, a recording its waveform, power spectrum, STFT, mel spectrogram and MFCC.

    Parameters
    ----------
    thing : Answer, Score, Recording, or anything with a `score` that is one, as `Composition`
    out : path
        Ends in .png or .svg; a picture that is there is replaced.
    score, recording : Score, Recording, optional
        What an answer is about. Without it, the file that the answer names is read again if it is there; where it cannot be, the ranking
        alone is drawn.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FugatoError
        ``bad-output`` where the picture cannot be written, ``bad-option`` where `thing` cannot be drawn; as `Recording.blocks` where a
        recording is.

    Examples
    --------
    >>> import fugato
    >>> from fugato.read import read_audio
    >>> fugato.plot(read_audio("song.flac"), "song.png")  # doctest: +SKIP
    """
    if isinstance(thing, Recording):
        return plot_sound(thing, out)
    if isinstance(thing, Answer) and thing.task == "genre":
        if recording is None and thing.input and Path(thing.input).is_file():
            try:
                recording = read_audio(thing.input)
            except FugatoError:
                recording = None  # the ranking alone can still be drawn
        if recording is not None:
            return plot_genre(thing, recording, out)
    return plot_music(thing, out, score=score)


def plot_sound(recording: Recording, out: str | os.PathLike[str]) -> Path:
    """Draw a recording in five views; parameters, result and errors as in `plot`."""
    return draw_sound(sound_view(recording), out)


def plot_genre(answer: Answer, recording: Recording, out: str | os.PathLike[str]) -> Path:
    """Draw a genre answer over its recording; parameters, result and errors as in `plot`."""
    return draw_genre(answer, outline(recording), out)
