"""mfcc-cnn: the published network over three seconds of cepstral coefficients.

In:     130 frames of 16 MFCC (n_fft 2048, hop 512, 22,050 Hz; `fugato.represent.windows`, kind "mfcc"), every frame. From an archive of
        sampled spectrograms, its nearest form: each sampled frame is repeated until the next.
Net:    three convolutions of 32 filters (3x3, 3x3, 2x2, no padding, ReLU), each with max-pooling (3x3, 3x3, 2x2, stride 2, padded as Keras
        pads "same") and batch normalisation; dense 128, 64, 32, each with dropout 0.3; softmax. 86,314 parameters for ten genres.
Train:  Adam 1e-4, batches of 32, 100 epochs, L2 0.001 on every kernel but the last.
Figure: 72.12 % of GTZAN's segments of three seconds (2023), drawn at random, so that segments of one clip stand on both sides; the epoch
        was chosen on the judged part. Best validation 77.13 %.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import NetworkRecipe, Published, Standardise, Statistics, dense

FILTERS = 32


class _Block(nn.Module):
    """Convolution, ReLU, max-pooling with stride 2, batch normalisation."""

    def __init__(self, n_inputs: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_inputs, FILTERS, kernel)
        nn.init.xavier_uniform_(self.convolution.weight)
        nn.init.zeros_(self.convolution.bias)
        self.kernel = kernel
        self.normalise = nn.BatchNorm2d(FILTERS, eps=1e-3, momentum=0.01)  # as Keras has them

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.convolution(x))
        padding = []
        for side in (x.shape[3], x.shape[2]):  # "same" with stride 2: half the side, rounded up
            short = max(((side + 1) // 2 - 1) * 2 + self.kernel - side, 0)
            padding += [short // 2, short - short // 2]
        pooled: Tensor = self.normalise(F.max_pool2d(F.pad(x, padding, value=0.0), self.kernel, 2))
        return pooled


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(known)
        self.blocks = nn.Sequential(_Block(1, 3), _Block(FILTERS, 3), _Block(FILTERS, 2))
        self.hidden = nn.ModuleList([dense(FILTERS * 15, 128), dense(128, 64), dense(64, 32)])
        self.dropout = Dropout(dropout)
        self.output = dense(32, n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 130, 16) -> (batch, n_labels)."""
        x = self.blocks(self.standardise(rows).unsqueeze(1)).flatten(1)  # (batch, 32 * 15)
        for layer in self.hidden:
            x = self.dropout(F.relu(layer(x)))
        scores: Tensor = self.output(x)
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, settings["dropout"])


RECIPE = NetworkRecipe(
    "mfcc-cnn",
    kind="mfcc",
    build=build,
    DEFAULTS={
        "dropout": 0.3,
        "l2": 1e-3,
        "learning_rate": 1e-4,
        "batch_size": 32,
        "epochs": 100,
        "patience": 0,
        "monitor_accuracy": 1,
    },
    SPACE={"dropout": (0.0, 0.6), "l2": (1e-5, 1e-2), "learning_rate": (1e-5, 1e-2)},
    penalties={"l2": ("convolution.weight", "hidden")},
    published=Published(0.7212, "gtzan", "random-segments", (0.64, 0.16, 0.2)),
    threads=1,
)
