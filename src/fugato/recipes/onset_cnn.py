"""onset-cnn: a residual convolutional network along the events of the normalised stream.

In:     256 events, a row each, of what key, tempo and encoding do not change (`fugato.represent.onsets`); beside every notated file a
        copy as if played. Windows are drawn anew each epoch, composers and pieces alike, from anywhere in a piece; some end early, timing
        is loosened, columns are forgotten.
Net:    embedded symbols, the chord as seen from bass and tonic, the chords that spans of events spell; three stages of residual blocks
        (He et al., "Identity mappings in deep residual networks", ECCV 2016) with max-pooling between, attention pooling with four heads
        beside the maximum, softmax.
Train:  AdamW, one cycle (Smith & Topin, "Super-convergence", 2018), labels smoothed.
Figure: none; it hears what n-grams cannot, and answers together with `ngram-linear`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fugato.recipes.dropout import Dropout
from fugato.recipes.network import NetworkRecipe, Statistics
from fugato.represent.onsets import COLUMNS, SETS, SIZES, SYMBOLS

HEADS = 4
BASS_DEGREE = COLUMNS.index("bass_degree")
PITCH_CLASSES = 12


class _Block(nn.Module):
    """Two convolutions around which the input passes."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.before, self.between = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.first = nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation)
        self.second = nn.Conv1d(width, width, 5, padding=2)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, steps) -> the same."""
        inner = self.first(F.relu(self.before(x)))
        added: Tensor = x + self.second(self.dropout(F.relu(self.between(inner))))
        return added


class Network(nn.Module):
    def __init__(self, n_labels: int, width: int, dropout: float) -> None:
        super().__init__()
        widths = (width, width * 3 // 2, width * 2)
        starts = torch.tensor([sum(SIZES[:i]) for i in range(len(SIZES))])
        self.register_buffer("starts", starts)
        self.register_buffer("bits", torch.tensor([1 << k for k in range(PITCH_CLASSES)]))
        self.register_buffer("classes", torch.arange(PITCH_CLASSES))
        self.symbols = nn.Embedding(sum(SIZES), width)
        nn.init.normal_(self.symbols.weight, std=0.15)
        self.chord = nn.Linear((len(SETS) + 1) * PITCH_CLASSES, width)
        self.early = _Block(widths[0], 1, dropout)
        self.wider = nn.Conv1d(widths[0], widths[1], 1)
        self.middle = nn.Sequential(_Block(widths[1], 1, dropout), _Block(widths[1], 2, dropout))
        self.widest = nn.Conv1d(widths[1], widths[2], 1)
        self.late = nn.Sequential(_Block(widths[2], 1, dropout), _Block(widths[2], 4, dropout))
        self.last = nn.BatchNorm1d(widths[2])
        self.attention = nn.Linear(widths[2], HEADS)
        self.dropout = Dropout(0.4)
        self.output = nn.Linear((HEADS + 1) * widths[2], n_labels)

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, 256, 40) -> (batch, n_labels)."""
        rows = rows.long()
        sets = rows[..., len(SYMBOLS) :: 2] + 256 * rows[..., len(SYMBOLS) + 1 :: 2]
        heard = sets[..., 0] > 0  # every chord has its bass; padding has none
        embedded = self._summed(rows[..., : len(SYMBOLS)] + self.starts)
        classes = sets.unsqueeze(-1) // self.bits % 2
        bass = (rows[..., BASS_DEGREE] + PITCH_CLASSES - 1) % PITCH_CLASSES
        turned = (self.classes + PITCH_CLASSES - bass.unsqueeze(-1)) % PITCH_CLASSES
        above_tonic = classes[..., 0, :].gather(-1, turned)
        chord = self.chord(torch.cat([classes.flatten(2), above_tonic], dim=-1).to(embedded.dtype))
        x = ((embedded + chord) * heard.unsqueeze(-1)).transpose(1, 2)
        x = F.max_pool1d(self.early(x), 2)
        x = F.max_pool1d(self.middle(self.wider(x)), 2)
        x = F.relu(self.last(self.late(self.widest(x))))
        silent = ~heard[:, ::4]
        weight = self.attention(x.transpose(1, 2)).masked_fill(silent.unsqueeze(-1), -1e4).softmax(dim=1)
        pooled = torch.matmul(x, weight).flatten(1)
        highest = x.masked_fill(silent.unsqueeze(1), -1e4).amax(dim=2)
        scores: Tensor = self.output(self.dropout(torch.cat([pooled, highest], dim=1)))
        return scores

    def _summed(self, symbols: Tensor) -> Tensor:
        """What the symbols of each event stand for, added up, (batch, 256, 32) -> (batch, 256, width)."""
        if not self.training:
            return self.symbols(symbols).sum(dim=2)
        # The same in a fifth of the time, and nothing that ONNX has.
        bags = F.embedding_bag(symbols.flatten(0, 1), self.symbols.weight, mode="sum")
        return bags.unflatten(0, symbols.shape[:2])


def build(n_labels: int, known: Statistics, settings: Mapping[str, float]) -> nn.Module:
    return Network(n_labels, int(settings["width"]), settings["dropout"])


RECIPE = NetworkRecipe(
    "onset-cnn",
    kind="onsets",
    build=build,
    DEFAULTS={
        "width": 64,
        "dropout": 0.2,
        "learning_rate": 2e-3,
        "batch_size": 64,
        "epochs": 40,
        "patience": 0,
        "monitor_accuracy": 1,
        "augment": 1,
        "epoch_windows": 16_000,
        "weight_decay": 0.03,
        "label_smoothing": 0.05,
        "one_cycle": 1,
    },
    SPACE={"width": (32, 128), "dropout": (0.0, 0.4), "learning_rate": (5e-4, 5e-3), "weight_decay": (0.0, 0.1)},
    BUDGETS={"full": {}, "small": {"epochs": 20, "epoch_windows": 6_000}},
    copies=True,
    watched=0.2,
    bfloat16=True,
)
