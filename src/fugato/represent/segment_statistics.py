"""What three seconds of sound are like: levels of the mel bands, how they move, and how cepstra vary together.

Unlike `fugato.represent.sound_covariance` it keeps means, which tell recordings apart as well as genres, and does with 32 frames.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent.mfcc import cosines
from fugato.represent.sound_covariance import SMOOTH, delayed, log_vector

VERSION: Final = 1
FRAMES: Final = 38.7  # sampled frames of a segment of 3 s, on average
# Block: its width. Triangles of matrices of 24, 24 and 36 rows come after four values a band.
BLOCKS: Final = {
    "level": 128,
    "spread": 128,
    "movement": 128,
    "roughness": 128,
    "cepstra": 300,
    "changes": 300,
    "delays": 666,
}


def width() -> int:
    """Length of the vector."""
    return sum(BLOCKS.values())


def block_scale() -> NDArray[np.float32]:
    """One over the root of a block's cells times the number of blocks, for each cell."""
    widths = list(BLOCKS.values())
    return np.repeat([1 / np.sqrt(w * len(widths)) for w in widths], widths).astype(np.float32)


def segments(n_frames: int) -> NDArray[np.int64]:
    """Edges of the segments of a passage of so many sampled frames, shape=(n_segments + 1,); one segment at least."""
    count = max(round(n_frames / FRAMES), 1)
    edges: NDArray[np.int64] = np.rint(np.linspace(0, n_frames, count + 1)).astype(np.int64)
    return edges


def segment_vector(decibels: NDArray[Any]) -> NDArray[np.float32]:
    """The vector of one segment.

    Parameters
    ----------
    decibels : ndarray of floats, shape=(128, n_frames)
        Sampled log-mel; four frames at least.

    Returns
    -------
    ndarray of float32, shape=(width(),)
    """
    heard = np.asarray(decibels, np.float64)
    total = np.cumsum(np.pad(heard, ((SMOOTH // 2 + 1, SMOOTH // 2), (0, 0))), axis=0)
    rough = np.abs(heard - (total[SMOOTH:] - total[:-SMOOTH]) / SMOOTH).mean(axis=1)
    cepstra = cosines(24, len(heard)) @ heard
    parts = [
        heard.mean(axis=1),
        heard.std(axis=1),
        np.abs(np.diff(heard, axis=1)).mean(axis=1),
        np.sqrt(rough),
        log_vector(cepstra, 1.0),
        log_vector(np.diff(cepstra, axis=1), 1.0),
        log_vector(delayed(cepstra[:12], (0, 1, 2)), 1.0),
    ]
    return np.concatenate(parts).astype(np.float32)
