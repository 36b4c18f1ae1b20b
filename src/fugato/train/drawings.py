"""Drawings of recipes that are no `NetworkRecipe`: linear models, kernels, counts, and networks whose size the music decides.

They are drawn with their default settings. What training decides is an example (words), or stands without a number (segments kept).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch

from fugato.write.network_picture import Layer

WORDS: Final = 300  # of an invented collection
SYMBOLS: Final = 128  # pitches

Drawn = list[Layer] | tuple[Any, tuple[Any, ...]]  # layers, or a network and its inputs


def _mel_covariance(recipe: Any, n_labels: int, rows: int) -> Drawn:
    width = recipe.sound_covariance.width()
    return [
        Layer("log-mel", "Input", ("n", 128, "frames"), 0),
        Layer("", "Covariances of bands and changes", ("n", width), 0),
        Layer("mean, scale", "Standardise", ("n", width), 2 * width),
        Layer("weights", "Dense (discriminants)", ("n", n_labels), (width + 1) * n_labels),
        Layer("", "Softmax", ("n", n_labels), 0),
    ]


def _segment_kernel(recipe: Any, n_labels: int, rows: int) -> Drawn:
    width, rank = recipe.width(), recipe.RANK
    return [
        Layer("log-mel of 3 s", "Input", ("n", 128, "frames"), 0),
        Layer("", "Statistics of the segment", ("n", width), 0),
        Layer("directions", "Dense (main directions)", ("n", rank), (width + 1) * rank),
        Layer("", "Gaussian kernel, segments kept", ("n", "segments"), 0),
        Layer("", "Dense (one weight a segment)", ("n", n_labels), 0),
        Layer("", "Mean over the segments, softmax", ("n", n_labels), 0),
    ]


def _feature_table(recipe: Any, n_labels: int, rows: int) -> Drawn:
    return [
        Layer("57 clip features", "Input", ("n", 57), 0),
        Layer("mean, scale", "Standardise", ("n", 57), 2 * 57),
        Layer("", "Gaussian kernel, clips kept", ("n", "clips"), 0),
        Layer("", "Dense (one weight a clip)", ("n", n_labels), 0),
        Layer("", "Softmax", ("n", n_labels), 0),
    ]


def _markov(recipe: Any, n_labels: int, rows: int) -> Drawn:
    order = int(recipe.DEFAULTS["order"])
    return [
        Layer("note events", "Input", (order,), 0),
        *(Layer("", f"Counts after {k} events", (), 0) for k in range(order, -1, -1)),
        Layer("", "Mixture (Witten & Bell)", (), 0),
    ]


def _chord_lstm(recipe: Any, n_labels: int, rows: int) -> Drawn:
    of = recipe.DEFAULTS
    network = recipe.NextSound(WORDS, int(of["units"]), int(of["dense"]), of["dropout"])
    return network, (torch.zeros(rows, recipe.WINDOW, dtype=torch.int64),)


def _pitch_duration_lstm(recipe: Any, n_labels: int, rows: int) -> Drawn:
    of = recipe.DEFAULTS
    network = recipe.NextSymbol(SYMBOLS, int(of["embedding"]), int(of["units"]))
    return network, (torch.zeros(rows, recipe.WINDOW, dtype=torch.int64),)


# (the recipe's module, number of names, inputs at a time) -> what is drawn
DRAWINGS: Final[dict[str, Callable[[Any, int, int], Drawn]]] = {
    "mel-covariance": _mel_covariance,
    "segment-kernel": _segment_kernel,
    "feature-table": _feature_table,
    "markov": _markov,
    "chord-lstm": _chord_lstm,
    "pitch-duration-lstm": _pitch_duration_lstm,
}
