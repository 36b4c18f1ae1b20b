"""Passages of sound as rows of a table, one a frame: what networks over sound cut their windows from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent.mfcc import cepstrum
from fugato.represent.sampled_mel import sampled, to_levels

N_MFCC: Final = 16
EVERY_FRAME: Final = frozenset({"mfcc"})  # kinds of window that are cut from all frames, not from samples


def mel_rows(decibels: NDArray[Any]) -> NDArray[Any]:
    """Sampled frames as levels.

    Parameters
    ----------
    decibels : ndarray of floats, shape=(128, n)
        A log-mel spectrogram, every frame.

    Returns
    -------
    ndarray of uint8, shape=(n_sampled, 128)
    """
    return np.ascontiguousarray(to_levels(sampled(decibels)).T)


def mfcc_rows(decibels: NDArray[Any]) -> NDArray[Any]:
    """Every frame as 16 cepstral coefficients, float32, shape=(n, 16)."""
    return np.ascontiguousarray(cepstrum(decibels, n_mfcc=N_MFCC).T)


ROWS: Final[Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {"mel": mel_rows, "mfcc": mfcc_rows}
