"""spectrogram-cnn: a small image network over ten seconds of rendered sound.

In:     the piece rendered to audio, STFT magnitude in dB of 10 s, 256 x 256 (`fugato.represent.spectrogram`).
Net:    a VGG block (two 3x3 convolutions, max-pool), a residual block, a dense block (1x1, 3x3, concatenated), each pooled, global
        average, dense 64, dropout 0.5, softmax. Filter widths are not published; `width` sets them.
Train:  Adamax 1e-4, batches of 8, at most 100 epochs, patience 25, L2 1e-4 on the dense layer, class weights; shifts in time and
        frequency. The published rotations and mirrorings are left out: a rotated spectrogram is no sound. The small budget's network
        is too small for its windows: it drops and shifts nothing.
Figure: 87 % of nine composers' segments (2023), drawn at random: neighbours of one recording on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import NetworkRecipe, Published, Standardise, Statistics, dense


def _convolution(n_inputs: int, n_outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(n_inputs, n_outputs, kernel, padding=kernel // 2, bias=False)


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, width: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(known)
        self.vgg = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(),  # the same before or after pooling, and a quarter as much
        )
        self.residual = nn.Sequential(
            _convolution(width, 2 * width),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            _convolution(2 * width, 2 * width),
            nn.BatchNorm2d(2 * width),
        )
        self.shortcut = nn.Sequential(_convolution(width, 2 * width, 1), nn.BatchNorm2d(2 * width))
        self.dense = nn.Sequential(
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            _convolution(2 * width, 4 * width, 1),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            _convolution(4 * width, 2 * width),
        )
        self.hidden = dense(4 * width, 64)
        self.dropout = Dropout(dropout)
        self.output = dense(64, n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 256, 256) -> (batch, n_labels)."""
        x = self.vgg(self.standardise(rows).unsqueeze(1))
        x = F.relu(F.max_pool2d(self.residual(x) + self.shortcut(x), 2))
        x = F.relu(torch.cat([x, self.dense(x)], dim=1))
        x = x.mean(dim=(2, 3))
        scores: Tensor = self.output(self.dropout(F.relu(self.hidden(x))))
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, int(settings["width"]), settings["dropout"])


RECIPE = NetworkRecipe(
    "spectrogram-cnn",
    kind="spectrogram",
    build=build,
    DEFAULTS={
        "width": 64,
        "dropout": 0.5,
        "l2": 1e-4,
        "learning_rate": 1e-4,
        "batch_size": 8,
        "epochs": 100,
        "patience": 25,
        "class_weight": 1,
        "augment": 1,
        "adamax": 1,
        "one_cycle": 0,
        "windows_per_composer": 1000,
    },
    SPACE={"width": (8, 64), "dropout": (0.0, 0.6), "learning_rate": (1e-5, 1e-2)},
    BUDGETS={
        "full": {},
        "small": {
            "width": 16,
            "epochs": 30,
            "dropout": 0.0,
            "augment": 0,
            "learning_rate": 1.5e-2,
            "one_cycle": 1,
            "batch_size": 16,
            "patience": 0,
        },
    },
    penalties={"l2": ("hidden.weight",)},
    published=Published(0.87, "nine", "random-windows", (0.7, 0.15, 0.15)),
    limit=40,
    bfloat16=True,
)
