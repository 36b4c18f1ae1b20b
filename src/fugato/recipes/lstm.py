"""lstm: one LSTM over chunks of 200 notes.

In:     200 notes of an instrument, 14 columns, standardised (`fugato.represent.chunks`).
Net:    LSTM 64, dropout, softmax; the squares of kernel, recurrent and output weights are punished.
Train:  Adam, batches of 128, at most 30 epochs, patience 3, as the network that was tested in the publication.
Figure: 85.06 % of four composers' windows (2025), cut after all notes of a composer were sorted by start.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import LSTM, NetworkRecipe, Published, Standardise, Statistics, dense


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, units: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(known, programs=True)
        self.recurrent = LSTM(len(known.columns), units)
        self.dropout = Dropout(dropout)
        self.output = dense(units, n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 200, 16) -> (batch, n_labels)."""
        scores: Tensor = self.output(self.dropout(self.recurrent(self.standardise(rows))[:, -1]))
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, int(settings["units"]), settings["dropout"])


RECIPE = NetworkRecipe(
    "lstm",
    kind="note-chunks",
    build=build,
    DEFAULTS={
        "units": 64,
        "dropout": 0.5,
        "l2": 0.01,
        "learning_rate": 5e-4,
        "batch_size": 128,
        "epochs": 30,
        "patience": 3,
    },
    GRID={
        "units": (64, 128),
        "dropout": (0.3, 0.5),
        "learning_rate": (1e-3, 5e-4, 1e-5),
        "batch_size": (64, 128),
    },
    SPACE={"units": (32, 256), "dropout": (0.0, 0.6), "learning_rate": (1e-4, 1e-2), "l2": (1e-6, 1e-2)},
    BUDGETS={"full": {}, "small": {}},
    penalties={"l2": ("recurrent.lstm.weight", "output.weight")},
    threads=1,
    published=Published(0.8506, "classics, four composers", "mixed-chunks"),
)
