"""note-lstm: three LSTMs over runs of 100 notes, each only pitch, velocity and duration.

In:     notes of a piece one after another, scaled to 0..1; runs of 100, the first 1,000 notes a piece (`note-rows`).
Net:    LSTM 32, 120, 240 with dropout 0.2 between, dense 120 (ReLU), softmax. The publication calls the first a "dense input layer".
Train:  Adam 1e-4, batches of 32, 300 epochs.
Figure: 89 % of nine composers' segments (2023), drawn at random: runs of one piece that overlap on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import LSTM, NetworkRecipe, Published, Standardise, Statistics, dense


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, units: int, dropout: float) -> None:
        super().__init__()
        sizes = (len(known.columns), units, units * 15 // 4, units * 15 // 2)  # 32, 120, 240 as published
        self.standardise = Standardise(known)
        self.recurrent = nn.ModuleList(LSTM(a, b) for a, b in pairwise(sizes))
        self.dropout = Dropout(dropout)
        self.hidden = dense(sizes[-1], 120)
        self.output = dense(120, n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 100, 3) -> (batch, n_labels)."""
        x = self.standardise(rows)
        for layer in self.recurrent:
            x = self.dropout(layer(x))
        scores: Tensor = self.output(F.relu(self.hidden(x[:, -1])))
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, int(settings["units"]), settings["dropout"])


RECIPE = NetworkRecipe(
    "note-lstm",
    kind="note-rows",
    build=build,
    DEFAULTS={
        "units": 32,
        "dropout": 0.2,
        "learning_rate": 1e-4,
        "batch_size": 32,
        "epochs": 300,
        "patience": 0,
        "monitor_accuracy": 1,
    },
    GRID={"learning_rate": (1e-4, 1e-3, 1e-2), "units": (16, 32, 64), "dropout": (0.2, 0.4)},
    SPACE={"units": (8, 64), "dropout": (0.0, 0.6), "learning_rate": (1e-5, 1e-2)},
    BUDGETS={"full": {}, "small": {"epochs": 100, "learning_rate": 5e-4}},
    threads=1,
    published=Published(0.89, "nine", "random-windows", (0.72, 0.08, 0.2), hop=1),
    limit=10,
)
