"""Ten seconds of sound as a grey picture of 256 x 256 cells, and a recording or a played Score as a pile of them.

The published `spectrogram-cnn` takes the magnitude of a short-time Fourier transform, in dB, of 10 s segments, as a picture of
256 x 256; how these numbers are reached it does not say. Here:

- 11,025 samples a second; frames of 1,024 samples (93 ms, Hann), 431 apart (39 ms), so that 10 s have 256 frames;
- bins 0 to 255 of 513, 10.77 Hz apart, from 0 to 2,746 Hz. Twice the resolution over half the band of frames of 512 samples:
  neighbouring keys are always told apart from A4 up and whole tones from F sharp 3 (an octave lower than with 512, as measured with
  pairs of sines), and all fundamentals up to E7 are in it, that is all but the top eight keys of a piano;
- 0 to 255 for -80 to 0 dB relative to the loudest cell of the segment. That cell counts as no softer than 60 dB below a sine at
  full scale, so that a rest stays dark.

Row 0 is 0 Hz and column 0 the start: low notes lie at the bottom of a picture that is drawn from the bottom (``origin="lower"``).
"""

from __future__ import annotations

import io
import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.represent.spectral import power, power_to_db, stft
from fugato.score import Score
from fugato.write.synth import synthesise

RATE: Final = 11_025  # samples a second
SECONDS: Final = 10.0
LENGTH: Final = 110_250  # samples of a segment
N_FFT: Final = 1024
HOP_LENGTH: Final = 431
SIZE: Final = 256  # bins, and 1 + floor(10 x 11,025 / 431) frames
RANGE: Final = 80.0  # dB from black to white
QUIETEST: Final = (N_FFT / 4) ** 2 * 10.0 ** (-60.0 / 10)  # a full-scale sine under a Hann window has (n_fft / 4) ** 2
LEAST: Final = 0.5  # of a segment: a shorter remainder is left out


def segments(samples: NDArray[Any], rate: int = RATE, seconds: float = SECONDS) -> NDArray[np.float32]:
    """Cut a recording in pieces that do not overlap.

    Parameters
    ----------
    samples : ndarray of floats, shape=(n_samples,)
    rate : int
        Samples a second.
    seconds : float
        Length of a piece.

    Returns
    -------
    ndarray of float32, shape=(n_segments, round(rate x seconds))
        The last is filled up with zeros. A remainder of less than half a piece is left out, unless it is all there is.

    Raises
    ------
    FugatoError
        ``bad-option`` where a piece would have no samples.
    """
    size = round(rate * seconds)
    if size < 1:
        raise FugatoError("bad-option", f"Segments of {seconds:g} s at {rate} samples a second hold nothing.")
    count = max(math.floor(len(samples) / size + 1 - LEAST), min(len(samples), 1))
    cut = np.zeros(count * size, np.float32)
    kept = min(len(samples), len(cut))
    cut[:kept] = samples[:kept]
    return cut.reshape(count, size)


def decibels(segment: NDArray[Any]) -> NDArray[np.float32]:
    """The spectrogram of 10 s of sound at 11,025 samples a second.

    Parameters
    ----------
    segment : ndarray of floats, shape=(110250,)
        Within -1 to 1.

    Returns
    -------
    ndarray of float32, shape=(256, 256)
        Frequency by time, as the top of this file says, from -80 to 0 dB.

    Raises
    ------
    FugatoError
        ``bad-option`` for a segment of another length.
    """
    if segment.shape != (LENGTH,):
        raise FugatoError(
            "bad-option",
            f"A picture is made of {SECONDS:g} s at {RATE:,} samples a second, that is {LENGTH:,} samples in one channel, "
            f"not of an array of shape {segment.shape}.",
        )
    powers = power(stft(segment, n_fft=N_FFT, hop_length=HOP_LENGTH)[:SIZE])
    found = power_to_db(powers, ref=max(float(powers.max()), QUIETEST), top_db=None)
    return np.clip(found, np.float32(-RANGE), np.float32(0.0), out=found)


def picture(segment: NDArray[Any]) -> NDArray[np.uint8]:
    """`decibels` in grey, -80 to 0 dB as 0 to 255, shape=(256, 256), uint8; silence is 0 all over."""
    grey = decibels(segment)
    grey += np.float32(RANGE)
    grey *= np.float32(255.0 / RANGE)
    return np.rint(grey, out=grey).astype(np.uint8)


class Pictures(NamedTuple):
    """Spectrograms of a piece in order of time.

    Attributes
    ----------
    images : ndarray of uint8, shape=(n, 256, 256), frequency by time
    begin : ndarray of float64, shape=(n,), seconds at which each begins
    """

    images: NDArray[np.uint8]
    begin: NDArray[np.float64]


def of_score(score: Score, limit: int = 0) -> Pictures:
    """A Score, played by the synthesiser of the package, in pictures of 10 s each.

    Parameters
    ----------
    score : Score
    limit : int
        Pictures at most, evenly spread over the piece; 0 for all.

    Raises
    ------
    FugatoError
        As `fugato.write.synth.synthesise`: ``empty``, ``too-large``.
    """
    cut = segments(synthesise(score, RATE))
    chosen = np.arange(len(cut))
    if 0 < limit < len(cut):
        chosen = np.linspace(0, len(cut) - 1, limit).round().astype(np.int64)
    images = np.empty((len(chosen), SIZE, SIZE), np.uint8)
    for image, i in zip(images, chosen, strict=True):
        image[:] = picture(cut[i])
    return Pictures(images, chosen.astype(np.float64) * SECONDS)


def excerpt(score: Score, start: float = 0.0) -> NDArray[np.float32]:
    """10 s of a played Score from `start` (seconds), as `decibels`; filled up with silence where the piece ends before."""
    first = max(round(start * RATE), 0)
    part = synthesise(score, RATE)[first : first + LENGTH]
    return decibels(np.pad(part, (0, LENGTH - len(part))))


def spectrogram_bytes(score: Score, *, name: str, sha256: str, limit: int = 0) -> bytes:
    """The pictures of one piece as an npy file, for `fugato.read.read_many` to call in a worker process."""
    try:
        images = of_score(score, limit).images
    except FugatoError as e:
        raise FugatoError(e.kind, e.message, name or None) from e
    out = io.BytesIO()
    np.save(out, images)
    return out.getvalue()
