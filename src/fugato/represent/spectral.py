"""Short-time Fourier transforms and decibels, by librosa's definitions (McFee et al., "librosa: Audio and music signal analysis
in Python", SciPy 2015) in NumPy alone.

Frame t is centred at sample t x hop_length, with zeros before the first and after the last sample; the window is a periodic Hann
window as long as the frame. Bin k stands for k x rate / n_fft Hz.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=16)
def hann(size: int) -> NDArray[np.float32]:
    """The periodic Hann window, shape=(size,), read-only."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    window.flags.writeable = False
    return window


def stft(samples: NDArray[Any], *, n_fft: int = 2048, hop_length: int = 512) -> NDArray[np.complex64]:
    """Spectra of overlapping frames.

    Parameters
    ----------
    samples : ndarray of floats, shape=(..., n_samples)
    n_fft, hop_length : int
        Samples of a frame, and from the centre of one to the centre of the next.

    Returns
    -------
    ndarray of complex64, shape=(..., 1 + n_fft // 2, n_frames)
        n_frames is 1 + n_samples // hop_length (for an odd n_fft, (n_samples - 1) // hop_length).
    """
    half = n_fft // 2
    padded = np.zeros((*samples.shape[:-1], samples.shape[-1] + 2 * half), np.float32)
    padded[..., half : half + samples.shape[-1]] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[..., ::hop_length, :]
    spectra = np.fft.rfft(frames * hann(n_fft), axis=-1).astype(np.complex64, copy=False)
    return np.swapaxes(spectra, -1, -2)


def power(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """The squared magnitude, of the same shape."""
    squares: NDArray[np.float32] = spectra.real**2
    squares += spectra.imag**2
    return squares


def power_to_db(
    powers: NDArray[Any], *, ref: float = 1.0, amin: float = 1e-10, top_db: float | None = 80.0
) -> NDArray[np.float32]:
    """Powers in decibels relative to one of them.

    Parameters
    ----------
    powers : ndarray of floats, shape=(...)
    ref : float
        The power at 0 dB.
    amin : float
        Powers and `ref` count at least so much.
    top_db : float, optional
        What lies more than this below the loudest cell is raised to there.

    Returns
    -------
    ndarray of float32, shape=(...)
    """
    decibels: NDArray[np.float32] = np.log10(np.maximum(powers, amin), dtype=np.float32)
    decibels *= np.float32(10.0)
    decibels -= np.float32(10.0 * np.log10(max(ref, amin)))
    if top_db is not None and decibels.size:
        np.maximum(decibels, decibels.max() - np.float32(top_db), out=decibels)
    return decibels
