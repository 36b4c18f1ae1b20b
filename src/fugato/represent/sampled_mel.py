"""Log-mel spectrograms as genre models see them: a passage of at most half a minute, one frame in 3.34 of `fugato.represent.logmel`.

A frame lasts 23 ms, and neighbours say nearly the same. The spectrograms of GTZAN that may be shared hold 387 point samples of the some
1,293 frames of a clip, never averages; sound is sampled in the same way, so that a model learnt from either answers for both. Sampled
frames are 77.6 ms apart.

On disk a level is a byte: 0 is -80 dB, 255 is 0 dB, steps of 0.31 dB.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent.logmel import HOP_LENGTH, RANGE, RATE

CLIP_FRAMES: Final = 387  # samples of a clip of 30 s
CLIP_OF: Final = 1293  # frames that such a clip has
SECONDS: Final = CLIP_OF / CLIP_FRAMES * HOP_LENGTH / RATE  # from one sampled frame to the next: 0.0776
LEVELS: Final = 255

Floats = NDArray[np.float32]


def sampled(decibels: NDArray[Any]) -> Floats:
    """Some frames of a spectrogram, evenly spread.

    Parameters
    ----------
    decibels : ndarray of floats, shape=(n_mels, n)

    Returns
    -------
    ndarray of float32, shape=(n_mels, m)
        Frame k is frame floor((k + 0.5) x 3.337) of the input, as long as there are such, and one at least: for a clip of 30 s exactly
        the 387 that were shared, and for its beginning those of them that lie in it.
    """
    n = decibels.shape[1]
    at = np.floor((np.arange(n // 3 + 1) + 0.5) * (CLIP_OF / (CLIP_FRAMES + 0.5))).astype(np.int64)
    at = at[at < n] if n > at[0] else np.zeros(1, np.int64)
    out: Floats = np.asarray(decibels[:, at], np.float32)
    return out


def to_levels(decibels: NDArray[Any]) -> NDArray[np.uint8]:
    """Decibels as bytes, of the same shape."""
    out: NDArray[np.uint8] = np.rint(np.clip(decibels / RANGE + 1, 0, 1) * LEVELS).astype(np.uint8)
    return out


def from_levels(levels: NDArray[np.uint8]) -> Floats:
    """The inverse of `to_levels`, within 0.16 dB."""
    out: Floats = levels.astype(np.float32) * np.float32(RANGE / LEVELS) - np.float32(RANGE)
    return out
