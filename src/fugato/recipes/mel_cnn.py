"""mel-cnn: a small residual network over five seconds of sampled mel bands.

In:     64 sampled frames of 128 mel bands as levels (`fugato.represent.windows`, kind "mel"), less each band's mean.
Net:    a 5x5 convolution that halves the bands; four residual blocks (He et al., "Deep residual learning for image recognition", CVPR
        2016), each halving both sides; the mean over bands, then the mean and the highest value over time; dropout; softmax.
Train:  AdamW with one cycle of the learning rate, label smoothing, mixup; each window equalised, shifted by up to three bands, made louder
        or softer, and robbed of some bands and moments (SpecAugment). A passage is the mean over its windows.
Figure: no publication. Quick tries of such networks gave 0.645 and 0.724 on the filtered split of GTZAN.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import NetworkRecipe, Standardise, Statistics, dense


class _Residual(nn.Module):
    """Two 3x3 convolutions, the first with stride 2, beside a pooled 1x1 convolution."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(n_inputs, n_outputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(n_outputs),
            nn.ReLU(),
            nn.Conv2d(n_outputs, n_outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_outputs),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2), nn.Conv2d(n_inputs, n_outputs, 1, bias=False), nn.BatchNorm2d(n_outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n_inputs, bands, frames) -> (batch, n_outputs, bands / 2, frames / 2)."""
        return F.relu(self.main(x) + self.shortcut(x))


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, width: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(known)
        widths = (width, width * 4 // 3, width * 8 // 3, width * 4, width * 16 // 3)
        self.stem = nn.Sequential(nn.Conv2d(1, width, 5, (2, 1), 2, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(*(_Residual(a, b) for a, b in itertools.pairwise(widths)))
        self.dropout = Dropout(dropout)
        self.output = dense(2 * widths[-1], n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 64, 128) -> (batch, n_labels)."""
        x = self.standardise(rows).transpose(1, 2).unsqueeze(1)  # (batch, 1, 128, 64)
        x = self.blocks(self.stem(x)).mean(dim=2)  # (batch, channels, 4)
        scores: Tensor = self.output(self.dropout(torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)))
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, int(settings["width"]), settings["dropout"])


RECIPE = NetworkRecipe(
    "mel-cnn",
    kind="mel",
    build=build,
    DEFAULTS={
        "width": 24,
        "dropout": 0.3,
        "learning_rate": 3e-3,
        "batch_size": 32,
        "epochs": 60,
        "patience": 0,
        "monitor_accuracy": 1,
        "augment": 1,
        "epoch_windows": 6_000,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "one_cycle": 1,
        "mixup": 0.3,
    },
    SPACE={"width": (12, 48), "dropout": (0.0, 0.5), "learning_rate": (1e-3, 1e-2), "mixup": (0.0, 1.0)},
    BUDGETS={"full": {}, "small": {"width": 12, "epochs": 30, "epoch_windows": 3_000}},
    hop=32,
    serve_hop=32,
)
