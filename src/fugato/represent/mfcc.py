"""Mel-frequency cepstral coefficients by librosa's definition: the orthonormal discrete cosine transform (type II) of each frame of a
log-mel spectrogram, of which the first 13 to 20 coefficients are kept (Davis and Mermelstein, "Comparison of parametric representations
for monosyllabic word recognition", 1980).

The decibels are those of the power itself (0 dB is a power of 1), with a floor 80 dB below the loudest cell. Which power stands at 0 dB
moves the first coefficient alone, by sqrt(128) for every dB.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.represent.logmel import Sound, log_mel

N_MFCC: Final = 20


def mfcc(sound: Sound, *, n_mfcc: int = N_MFCC) -> NDArray[np.float32]:
    """The coefficients of a whole sound.

    Parameters
    ----------
    sound : Recording, or ndarray of floats, shape=(n,)
        An array is mono at 22,050 samples a second.
    n_mfcc : int
        How many, from the lowest.

    Returns
    -------
    ndarray of float32, shape=(n_mfcc, 1 + n // 512)

    Raises
    ------
    FugatoError
        As `log_mel` and `cepstrum`.
    """
    return cepstrum(log_mel(sound, ref=1.0), n_mfcc=n_mfcc)


def cepstrum(decibels: NDArray[Any], *, n_mfcc: int = N_MFCC) -> NDArray[np.float32]:
    """The coefficients of log-mel spectrograms that are there already.

    Parameters
    ----------
    decibels : ndarray of floats, shape=(..., n_mels, n_frames)

    Returns
    -------
    ndarray of float32, shape=(..., n_mfcc, n_frames)

    Raises
    ------
    FugatoError
        ``bad-option`` for fewer than one coefficient, or more than there are bands.
    """
    bands = decibels.shape[-2]
    if not 1 <= n_mfcc <= bands:
        raise FugatoError("bad-option", f"From {bands} bands come 1 to {bands} coefficients, not {n_mfcc}.")
    out: NDArray[np.float32] = np.matmul(cosines(n_mfcc, bands), decibels, dtype=np.float32)
    return out


@lru_cache(maxsize=16)
def cosines(n_mfcc: int, bands: int) -> NDArray[np.float32]:
    """The first rows of the orthonormal DCT-II, shape=(n_mfcc, bands), read-only."""
    k, n = np.arange(n_mfcc)[:, None], np.arange(bands)
    table = np.sqrt(2 / bands) * np.cos(np.pi * k * (2 * n + 1) / (2 * bands))
    table[0] /= np.sqrt(2)
    out: NDArray[np.float32] = table.astype(np.float32)
    out.flags.writeable = False
    return out
