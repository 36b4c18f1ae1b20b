"""What every recipe of a network declares, and the pieces that several networks share.

A recipe is one `NetworkRecipe`: which windows it looks through, how the network is built, its settings with the published values, the
grid that the publication searched and the space worth searching. The training loop, tuning, export and serving read
everything from there. Networks take rows as they are kept on disk; scaling is part of the network, fitted on training rows, so that what is
exported needs nothing beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fugato.errors import FugatoError
from fugato.recipes.options import check_names
from fugato.represent.chunks import FEATURES
from fugato.represent.windows import KINDS, SOUND_KINDS, settings

CORRELATED: Final = 0.95  # a column that follows an earlier one more closely is dropped, as published
ROWS_LOOKED_AT: Final = 2_000_000  # for means and deviations; more changes nothing that could be measured

# What the training loop understands, whatever the network.
COMMON: Final[dict[str, float]] = {
    "learning_rate": 1e-3,
    "batch_size": 64,
    "epochs": 50,  # at most
    "patience": 5,  # epochs without a better validation figure before training stops; 0 never stops early
    "monitor_accuracy": 0,  # 1: better means a higher validation accuracy, 0: a lower loss
    "windows_per_composer": 0,  # drawn for training; 0 takes all
    "class_weight": 0,  # 1: composers count the same whatever their number of windows
    "focal_gamma": 0,  # above 0: focal loss (Lin et al., "Focal loss for dense object detection", ICCV 2017)
    "augment": 0,  # 1: training windows are transposed, stretched and shifted a little
    "adamax": 0,  # 1: Adamax in place of Adam
}
# And what it understands where a recipe has it.
MORE: Final[dict[str, float]] = {
    "epoch_windows": 0,  # drawn anew every epoch, composers and their pieces as often as one another; 0: all windows once
    "weight_decay": 0,  # above 0: AdamW (Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019)
    "label_smoothing": 0,
    "one_cycle": 0,  # 1: the learning rate rises to its value and falls to nothing over all epochs
    "mixup": 0,  # above 0: windows are mixed in pairs by Beta(mixup, mixup) (Zhang et al., "mixup", ICLR 2018)
}
WHOLE: Final = frozenset(
    {
        "batch_size",
        "epochs",
        "patience",
        "monitor_accuracy",
        "windows_per_composer",
        "class_weight",
        "augment",
        "adamax",
        "epoch_windows",
        "one_cycle",
    }
)


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a network must know of its training rows.

    Attributes
    ----------
    columns : ndarray of int64, shape=(n_inputs,)
        Those that it reads.
    mean, scale : ndarrays of float32, shape=(n_inputs,)
    program : ndarray of float32, shape=(128,)
        Share of each General MIDI program among the notes.
    """

    columns: NDArray[np.int64]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    program: NDArray[np.float32]


@dataclass(frozen=True)
class Published:
    """The figure that a recipe rebuilds.

    Attributes
    ----------
    accuracy : float
    corpus : str
        What it was measured on.
    protocol : str
        Name of the way in which it was measured, for `fugato.study.protocols`.
    fractions : tuple of float
        Of windows to learn from, to stop by and to judge, where windows are split.
    hop : int
        Rows between windows there; 0 for the recipe's own.
    """

    accuracy: float
    corpus: str
    protocol: str
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    hop: int = 0


@dataclass(frozen=True)
class NetworkRecipe:
    """A network and all that is needed to train it.

    Attributes
    ----------
    NAME : str
    kind : str
        Its windows, a name in `fugato.represent.windows.KINDS` or, of recordings, in `SOUND_KINDS` there.
    build : callable
        (n_labels, statistics, settings) -> torch.nn.Module from rows, shape=(batch, size, n_columns), to scores,
        shape=(batch, n_labels).
    DEFAULTS : dict
        Settings as published, on top of `COMMON`.
    GRID : dict of tuples
        The values that the publication searched.
    SPACE : dict of (low, high)
        For searching anew.
    BUDGETS : dict of dict
        Settings for smaller machines, by name; "full" changes nothing.
    penalties : dict
        Name of a setting and which parameters (by a part of their names) its square is added of.
    published : Published, optional
    threads : int
        On a CPU; 0 for all. The steps of a small recurrent network are too short to share: its threads would wait for each other.
    copies : bool
        Learn from copies as if played, too.
    hop, serve_hop, limit : int
        Rows between windows in training and in use, windows a piece at most; 0 for the kind's own.
    watched : float
        Of the pieces that others stop by, the share that it keeps to look on while it learns; it learns from the rest. For recipes that
        follow one cycle to its end and have nothing to stop by.
    bfloat16 : bool
        Its steps are markedly faster in bfloat16 on a processor that multiplies in it, and it learns as well (`benchmarks/steps.py`).
    """

    NAME: str
    kind: str
    build: Callable[[int, Statistics, Mapping[str, float]], nn.Module]
    DEFAULTS: dict[str, float]
    GRID: dict[str, tuple[float, ...]] = field(default_factory=dict)
    SPACE: dict[str, tuple[float, float]] = field(default_factory=dict)
    BUDGETS: dict[str, dict[str, float]] = field(default_factory=lambda: {"full": {}})
    penalties: dict[str, tuple[str, ...]] = field(default_factory=dict)
    published: Published | None = None
    threads: int = 0
    copies: bool = False
    hop: int = 0
    serve_hop: int = 0
    limit: int = 0
    watched: float = 1.0
    bfloat16: bool = False

    def settings(self, chosen: Mapping[str, float] | None = None, budget: str = "full") -> dict[str, float]:
        """All settings: common, published, of the budget, chosen; in this order."""
        if budget not in self.BUDGETS:
            raise FugatoError("bad-option", f"{self.NAME} has no budget {budget!r}; it has {', '.join(self.BUDGETS)}.")
        return {**COMMON, **self.DEFAULTS, **self.BUDGETS[budget], **(chosen or {})}

    def check(self, chosen: Mapping[str, float]) -> None:
        """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
        known = {**COMMON, **self.DEFAULTS}
        check_names(self.NAME, chosen, known)
        for name, value in chosen.items():
            if not math.isfinite(value) or value < 0:
                raise FugatoError("bad-option", f"The setting {name} is {value:g}; it must be 0 or more.")
            least = 1 if name in {"batch_size", "epochs", "units", "width"} else 0
            if (name in WHOLE or least) and (value != int(value) or value < least):
                raise FugatoError(
                    "bad-option", f"The setting {name} is {value:g}; it must be a whole number from {least}."
                )
            if name == "learning_rate" and value == 0:
                raise FugatoError("bad-option", "The setting learning_rate is 0; nothing would be learnt.")
            if name == "dropout" and value >= 1:
                raise FugatoError("bad-option", f"The setting dropout is {value:g}; it must be below 1.")

    def representation(self) -> dict[str, Any]:
        """What the card says of the input."""
        return {"name": self.kind, "settings": {**settings(self.kind), "hop": self.serve_hop or self.hop}}

    def statistics(self, rows: NDArray[Any]) -> Statistics:
        """Of training rows, shape=(n_rows, n_columns)."""
        if self.kind == "note-chunks":
            return note_statistics(rows)
        return column_statistics(rows) if self.kind in SOUND_KINDS else plain_statistics(rows)


def note_statistics(rows: NDArray[Any]) -> Statistics:
    """Programs become their share of the notes, columns that follow earlier ones are dropped, the others are standardised.

    ``start`` is never read: it places a note in the file, and says nothing of the music.
    """
    step = max(len(rows) // ROWS_LOOKED_AT, 1)
    seen = np.asarray(rows[::step], np.float64)
    at = FEATURES.index("program")
    program = np.bincount(np.clip(seen[:, at], 0, 127).astype(np.int64), minlength=128) / max(len(seen), 1)
    seen[:, at] = program[np.clip(seen[:, at], 0, 127).astype(np.int64)]
    deviation = seen.std(axis=0)
    spread = np.where(deviation > 0, deviation, 1.0)
    unit = (seen - seen.mean(axis=0)) / spread
    follows = np.abs(unit.T @ unit / max(len(seen), 1)) > CORRELATED
    columns = [i for i, name in enumerate(FEATURES) if name != "start" and not follows[i, :i].any()]
    return Statistics(
        np.array(columns, np.int64),
        seen.mean(axis=0)[columns].astype(np.float32),
        spread[columns].astype(np.float32),
        program.astype(np.float32),
    )


def column_statistics(rows: NDArray[Any]) -> Statistics:
    """Every column less its mean, over the deviation of all of them together: the balance of mel bands stays audible."""
    seen = np.asarray(rows[:: max(len(rows) // ROWS_LOOKED_AT, 1)], np.float32)
    mean = seen.mean(axis=0)
    spread = np.full(rows.shape[1], max(float((seen - mean).std()), 1e-6), np.float32)
    return Statistics(np.arange(rows.shape[1]), mean, spread, np.zeros(128, np.float32))


def plain_statistics(rows: NDArray[Any]) -> Statistics:
    """Every column as it is: bytes are scaled to 0..1, floats are left alone."""
    n = rows.shape[1]
    largest = 255.0 if n == len(KINDS["spectrogram"].columns) else 127.0
    scale = largest if rows.dtype == np.uint8 else 1.0
    none = np.zeros(n, np.float32)
    return Statistics(np.arange(n), none, np.full(n, scale, np.float32), np.zeros(128, np.float32))


class Standardise(nn.Module):
    """Rows as they are kept to the columns that a network reads: the first layer of each."""

    def __init__(self, known: Statistics, *, programs: bool = False) -> None:
        super().__init__()
        self.programs = programs
        self.register_buffer("columns", torch.from_numpy(known.columns))
        self.register_buffer("mean", torch.from_numpy(known.mean))
        self.register_buffer("scale", torch.from_numpy(known.scale))
        self.register_buffer("program", torch.from_numpy(known.program))

    def forward(self, rows: Tensor) -> Tensor:
        """(batch, size, n_columns) -> (batch, size, n_inputs)."""
        rows = rows.to(self.mean.dtype)
        if self.programs:
            at = FEATURES.index("program")
            share = self.program[rows[..., at].clamp(0, 127).long()]
            rows = torch.cat([rows[..., :at], share.unsqueeze(-1), rows[..., at + 1 :]], dim=-1)
            rows = rows.index_select(-1, self.columns)
        return (rows - self.mean) / self.scale


class LSTM(nn.Module):
    """`torch.nn.LSTM`, batch first, started as Keras starts one: Glorot, orthogonal, forget gate open."""

    def __init__(self, n_inputs: int, units: int, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_inputs, units, batch_first=True, bidirectional=bidirectional)
        for name, weight in self.lstm.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(weight)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(weight)
            else:
                nn.init.zeros_(weight)
                if name.startswith("bias_ih"):
                    nn.init.ones_(weight.data[units : 2 * units])

    def forward(self, x: Tensor) -> Tensor:
        """(batch, size, n_inputs) -> all steps, (batch, size, units or twice that)."""
        steps: Tensor = self.lstm(x)[0]
        return steps


def dense(n_inputs: int, n_outputs: int) -> nn.Linear:
    """A fully connected layer, Glorot and zero."""
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
