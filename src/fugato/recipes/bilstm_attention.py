"""bilstm-attention: a bidirectional LSTM whose steps are weighed by attention, over chunks of 200 notes.

In:     as `lstm`.
Net:    BiLSTM 128, all steps; the score of a step is tanh(h·w + b_t) with a bias for each step, softmax over steps, weighted sum
        (additive attention after Bahdanau, Cho & Bengio, ICLR 2015, without a query); dropout, softmax.
Train:  Adam, batches of 128, at most 200 epochs, patience 5, as the network that was tested in the publication.
Figure: 90.38 % of four composers' windows (2025), cut as for `lstm`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import LSTM, NetworkRecipe, Published, Standardise, Statistics, dense
from fugato.represent.chunks import SIZE


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, units: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(known, programs=True)
        self.recurrent = LSTM(len(known.columns), units, bidirectional=True)
        self.attention = nn.Linear(2 * units, 1, bias=False)
        nn.init.normal_(self.attention.weight, std=0.05)
        self.step_bias = nn.Parameter(torch.zeros(SIZE))
        self.dropout = Dropout(dropout)
        self.output = dense(2 * units, n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 200, 16) -> (batch, n_labels)."""
        steps = self.recurrent(self.standardise(rows))
        weight = torch.softmax(torch.tanh(self.attention(steps).squeeze(-1) + self.step_bias), dim=1)
        scores: Tensor = self.output(self.dropout((steps * weight.unsqueeze(-1)).sum(dim=1)))
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, int(settings["units"]), settings["dropout"])


RECIPE = NetworkRecipe(
    "bilstm-attention",
    kind="note-chunks",
    build=build,
    DEFAULTS={
        "units": 128,
        "dropout": 0.5,
        "learning_rate": 5e-4,
        "batch_size": 128,
        "epochs": 200,
        "patience": 5,
    },
    GRID={"units": (64, 128), "dropout": (0.3, 0.5), "learning_rate": (1e-3, 5e-4), "batch_size": (64, 128)},
    SPACE={"units": (32, 256), "dropout": (0.0, 0.6), "learning_rate": (1e-4, 1e-2)},
    BUDGETS={"full": {}, "small": {"epochs": 30}},
    threads=1,
    published=Published(0.9038, "classics, four composers", "mixed-chunks"),
)
