"""Samples and Scores as WAV files: 16-bit PCM, one channel or more, by the standard library alone."""

from __future__ import annotations

import io
import os
import wave
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError
from ..score import Score
from .soundfont import play

RATE: Final = 44_100  # samples a second: what every player takes
_FULL: Final = 32_767


def write_wav(
    thing: Score | NDArray[Any],
    out: str | os.PathLike[str],
    *,
    rate: int = RATE,
    soundfont: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a piece, played by a soundfont or the synthesiser of the package, or samples as they are.

    Parameters
    ----------
    thing : Score, or ndarray of floats within -1..1, shape=(n_samples,) or (n_samples, n_channels)
        Samples outside are cut off.
    out : path
        Ends in .wav; a file that is there is replaced.
    rate : int
        Samples a second of the file.
    soundfont : path, "built-in" or None
        What plays a Score, as in `fugato.write.soundfont.play`.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be written there, ``bad-option`` for a rate that cannot be, and what
        `fugato.write.soundfont.play` raises.
    """
    path = Path(out)
    if path.suffix.lower() != ".wav":
        raise FugatoError("bad-output", "Sound is written as .wav; give it a name that ends so.", str(path))
    if path.is_dir():
        raise FugatoError("bad-output", "That is a folder; give the sound a name in it.", str(path))
    if not path.absolute().parent.is_dir():
        raise FugatoError("bad-output", "There is no such folder to write the sound to; make it first.", str(path))
    if not 1 <= rate <= 192_000:
        raise FugatoError("bad-option", f"{rate} samples a second; a WAV file is written with up to 192,000.")
    samples: NDArray[Any] = (
        play(thing, rate, soundfont=soundfont) if isinstance(thing, Score) else np.asarray(thing, np.float32)
    )
    try:
        path.write_bytes(wav_bytes(samples, rate))
    except OSError as error:
        raise FugatoError(
            "bad-output", f"The sound cannot be written ({error.strerror or error}).", str(path)
        ) from error
    return path


def wav_bytes(samples: NDArray[Any], rate: int = RATE) -> bytes:
    """A whole WAV file of samples, floats within -1..1 or int16, shape=(n_samples,) or (n_samples, n_channels)."""
    if samples.dtype == np.int16:
        steps = samples.astype("<i2")
    else:
        steps = np.rint(np.clip(samples, -1.0, 1.0) * _FULL).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(steps.tobytes())
    return out.getvalue()
