"""Copies of sampled log-mel spectrograms, and of windows of them, as other recordings of such music might look: for training alone.

Faster or slower, higher or lower, another equaliser, level and noise, a shorter passage. All of it is done on the decibels, so that it
works where the audio itself is not at hand.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent.logmel import RANGE
from fugato.represent.sampled_mel import LEVELS

TEMPO: Final = (0.85, 1.18)  # factors of speed
BANDS: Final = 3  # mel bands at most, up or down: a tone and a half in the middle of the scale
EQUALISER: Final = 2.5  # dB, deviation at five points of the scale
GAIN: Final = 3.0  # dB, deviation
NOISY: Final = 0.25  # share of the copies with a floor of noise
NOISE: Final = (-65.0, -40.0)  # dB under the loudest cell
SHORTEST: Final = 0.12  # of the passage: 3.6 s of half a minute
SHORTER: Final = 0.4
SHARES: Final = (
    0.36,
    0.14,
)  # of the copies that keep from `SHORTER` to all, and from `SHORTEST` to that; the others keep all
SLOPES: Final = 4  # cepstra that equalisers and levels move most

Floats = NDArray[np.float32]


def copied(decibels: NDArray[Any], rng: np.random.Generator, *, shortest: float = 0.0) -> Floats:
    """One copy.

    Parameters
    ----------
    decibels : ndarray of floats, shape=(n_mels, n_frames)
        -80 to 0.
    rng : Generator
    shortest : float
        The least share of the frames that is kept, where that is more than `SHORTEST`: for short passages.

    Returns
    -------
    ndarray of float32, shape=(n_mels, about n_frames)
        -80 dB at least.
    """
    n_mels, n = decibels.shape
    speed = rng.uniform(*TEMPO)
    at = np.arange(0, n - 1e-6, speed)[:n].astype(np.int64)
    drawn = rng.random()
    if drawn < sum(SHARES):
        least, most = (SHORTER, 1.0) if drawn < SHARES[0] else (SHORTEST, SHORTER)
        kept = max(int(len(at) * max(rng.uniform(least, most), shortest)), 1)
        first = int(rng.integers(0, len(at) - kept + 1))
        at = at[first : first + kept]
    shift = int(rng.integers(-BANDS, BANDS + 1))
    band = np.clip(np.arange(n_mels) - shift, 0, n_mels - 1)
    points = np.linspace(0, n_mels - 1, 5)
    curve = np.interp(np.arange(n_mels), points, rng.normal(0, EQUALISER, 5)) + rng.normal(0, GAIN)
    out = decibels[np.ix_(band, at)] + curve[:, None]
    if rng.random() < NOISY:
        level = rng.uniform(*NOISE) + np.linspace(0, rng.uniform(-15, 5), n_mels)  # falling with frequency, mostly
        noise = level[:, None] + rng.gumbel(0, 4.3 / np.log(10), out.shape)
        out = 10 * np.log10(10 ** (out / 10) + 10 ** (noise / 10))
    made: Floats = np.maximum(out, -RANGE).astype(np.float32)
    return made


def changed_windows(rows: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Changed windows of mel bands or cepstra, for the training of networks.

    Bytes are levels of mel bands: each window is equalised, made louder or softer, moved up or down, and loses some bands and moments
    (Park et al., "SpecAugment", Interspeech 2019). Floats are cepstra: each window's level and balance change a little.

    Parameters
    ----------
    rows : ndarray of uint8 or float32, shape=(n, size, n_columns)

    Returns
    -------
    ndarray, shape and dtype as given
    """
    n, size, columns = rows.shape
    if rows.dtype != np.uint8:
        curve = rng.normal(0, 1, (n, 1, columns)) * (np.arange(columns) < SLOPES) * GAIN * 4
        made: NDArray[Any] = (rows + curve).astype(rows.dtype)
        return made
    out = rows.astype(np.float32)
    step = LEVELS / RANGE
    middle = out.mean(axis=(0, 1), keepdims=True)
    for i in range(n):
        shift = int(rng.integers(-BANDS, BANDS + 1))
        band = np.clip(np.arange(columns) - shift, 0, columns - 1)
        curve = np.interp(np.arange(columns), np.linspace(0, columns - 1, 5), rng.normal(0, EQUALISER, 5)) + rng.normal(
            0, GAIN
        )
        out[i] = out[i][:, band] + curve * step
        for _ in range(2):
            wide, long = int(rng.integers(0, columns // 8)), int(rng.integers(0, size // 6))
            low, first = int(rng.integers(0, columns - wide)), int(rng.integers(0, size - long))
            out[i, :, low : low + wide] = middle[0, :, low : low + wide]
            out[i, first : first + long] = middle[0]
    levels: NDArray[Any] = np.clip(np.rint(out), 0, LEVELS).astype(np.uint8)
    return levels
