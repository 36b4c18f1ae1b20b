"""pianoroll-cnn: causal convolutions over ten seconds of piano roll.

In:     velocities of 128 pitches at 20 frames a second, windows of 200 frames every 10 (`fugato.represent.pianoroll`).
Net:    six blocks of causal Conv1D 256, 256, 128, 128, 64, 64 (kernel 3, ReLU), dropout, max-pool 2; dense 64 twice; softmax.
Train:  Adam, batches of 32, at most 50 epochs, best validation accuracy; 50,000 windows a composer.
Figure: 82.06 % of four composers' windows (2025), drawn at random: windows of one piece, overlapping by 95 %, on all sides.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import NetworkRecipe, Published, Standardise, Statistics, dense
from fugato.represent.pianoroll import SIZE

FILTERS = (256, 256, 128, 128, 64, 64)
KERNEL = 3


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(known)
        sizes = (len(known.columns), *FILTERS)
        # Of two dimensions, one of them 1: those of one dimension and their pooling take a CPU half as long again.
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, (1, KERNEL)) for a, b in zip(sizes, FILTERS, strict=False))
        for layer in self.convolutions:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.dropout = Dropout(dropout)
        self.hidden = nn.ModuleList((dense(FILTERS[-1] * (SIZE >> len(FILTERS)), 64), dense(64, 64)))
        self.output = dense(64, n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 200, 128) -> (batch, n_labels)."""
        x = self.standardise(rows).transpose(1, 2).unsqueeze(2)
        for layer in self.convolutions:
            x = F.max_pool2d(self.dropout(F.relu(layer(F.pad(x, (KERNEL - 1, 0))))), (1, 2))
        x = x.flatten(1)
        for hidden in self.hidden:
            x = self.dropout(F.relu(hidden(x)))
        scores: Tensor = self.output(x)
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, settings["dropout"])


RECIPE = NetworkRecipe(
    "pianoroll-cnn",
    kind="pianoroll",
    build=build,
    DEFAULTS={
        "dropout": 0.3,
        "learning_rate": 1e-3,
        "batch_size": 32,
        "epochs": 50,
        "patience": 10,
        "monitor_accuracy": 1,
        "windows_per_composer": 50_000,
    },
    SPACE={"dropout": (0.0, 0.6), "learning_rate": (1e-4, 1e-2)},
    BUDGETS={"full": {}, "small": {"windows_per_composer": 10_000, "epochs": 15}},
    published=Published(0.8206, "classics, four composers", "random-windows"),
    serve_hop=100,
)
