"""note-transformer: a transformer encoder over chunks of 200 notes.

In:     as `lstm`.
Net:    linear to `units`, learnt positions, four encoder layers with four heads (Vaswani et al., "Attention is all you need", 2017;
        normalised first), mean over notes, softmax.
Train:  Adam, batches of 64, at most 40 epochs, patience 6; windows transposed and stretched, composers weighed alike.
Figure: none; the projects wished for one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import NetworkRecipe, Standardise, Statistics, dense
from fugato.represent.chunks import SIZE

HEADS, LAYERS = 4, 4


class Network(nn.Module):
    def __init__(self, n_labels: int, known: Statistics, units: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(known, programs=True)
        self.embed = dense(len(known.columns), units)
        self.position = nn.Parameter(torch.randn(SIZE, units) * 0.02)
        layer = nn.TransformerEncoderLayer(
            units, HEADS, 4 * units, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        layer.self_attn.dropout = 0.0  # drawing for every pair of notes would take a third of a step
        layer.dropout = layer.dropout1 = layer.dropout2 = Dropout(dropout)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(units), enable_nested_tensor=False)
        self.dropout = Dropout(dropout)
        self.output = dense(units, n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 200, 16) -> (batch, n_labels)."""
        steps = self.encoder(self.embed(self.standardise(rows).clamp(-6, 6)) + self.position)
        scores: Tensor = self.output(self.dropout(steps.mean(dim=1)))
        return scores


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, known, HEADS * -(-int(settings["units"]) // HEADS), settings["dropout"])


RECIPE = NetworkRecipe(
    "note-transformer",
    kind="note-chunks",
    build=build,
    DEFAULTS={
        "units": 96,
        "dropout": 0.2,
        "learning_rate": 5e-4,
        "batch_size": 64,
        "epochs": 40,
        "patience": 6,
        "class_weight": 1,
        "augment": 1,
    },
    SPACE={"units": (32, 192), "dropout": (0.0, 0.5), "learning_rate": (1e-4, 2e-3)},
    BUDGETS={"full": {}, "small": {"epochs": 20, "windows_per_composer": 2000}},
)
