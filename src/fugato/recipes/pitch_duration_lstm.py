"""pitch-duration-lstm: the published generator of 2024, a network for the next pitch and one for the next length.

In:     the last 30 pitches; the last 30 classes of length (those of the training music, which travel with the model).
Net:    embedding 128 x 100, LSTM 256, LSTM 256, softmax over 128 pitches; the same over the lengths (its shape is not given).
Train:  Adam, cross-entropy; a model of one composer, by training it on his folder alone.
Sample: softmax(log(p + 1e-8) / temperature), temperature 1 to 5.
Figure: "90 %" accuracy, on what is not said.

The published program plays five notes a second; here each note begins where the one before ends, so that the lengths can be heard.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fugato.compose.published import frequencies
from fugato.errors import FugatoError
from fugato.recipes.next_step import check_settings, events_of, fit, onnx_of, windows
from fugato.represent.note_events import LENGTHS, STEPS

NAME: Final = "pitch-duration-lstm"
WINDOW: Final = 30  # notes
DEFAULTS: Final[dict[str, float]] = {
    "embedding": 100,
    "units": 256,
    "learning_rate": 1e-3,
    "batch_size": 64,
    "epochs": 20,
    "windows": 0,  # drawn to learn from; 0 is all
    "min_works": 15,
}
BUDGETS: Final[dict[str, dict[str, float]]] = {"full": {}, "small": {"windows": 10_000}}
SPACE: Final = {"learning_rate": (3e-4, 3e-3), "units": (128, 512)}


class NextSymbol(nn.Module):
    """From a window of symbols to scores of the next."""

    def __init__(self, n_symbols: int, embedding: int, units: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(n_symbols, embedding)
        self.lstm = nn.LSTM(embedding, units, num_layers=2, batch_first=True)
        self.out = nn.Linear(units, n_symbols)

    def forward(self, window: Tensor) -> Tensor:  # (B, 30)
        states, _ = self.lstm(self.embed(window))  # (B, 30, units)
        scores: Tensor = self.out(states[:, -1])  # (B, n_symbols)
        return scores


def check(chosen: dict[str, Any]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_settings(NAME, chosen, DEFAULTS, whole=("embedding", "units", "batch_size", "epochs"))


def _told(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def learn(
    phrases: Any,
    settings: dict[str, float],
    folder: Path,
    *,
    seed: int,
    resume: bool = False,
    minutes: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Train both networks, the second for as long as the first."""
    train, valid = events_of(phrases, "train"), events_of(phrases, "valid")
    lengths = np.unique(np.concatenate([p.length for p in train]))
    rows = {
        "pitch": ([p.pitch for p in train], [p.pitch for p in valid], 128),
        "duration": (
            [np.searchsorted(lengths, p.length) for p in train],
            [np.searchsorted(lengths, p.length[np.isin(p.length, lengths)]) for p in valid],
            len(lengths),
        ),
    }
    epochs = int(settings["epochs"])
    parts: dict[str, Any] = {}
    history: dict[str, list[dict[str, float]]] = {}
    parameters = 0
    for number, (part, (learnt, judged, size)) in enumerate(rows.items()):
        data = windows(learnt, WINDOW, int(settings["windows"]), np.random.default_rng([seed, number]))
        if not len(data[0]):
            raise FugatoError("bad-data", f"No piece has more than {WINDOW} notes to learn from.")
        torch.manual_seed(seed)
        network = NextSymbol(size, int(settings["embedding"]), int(settings["units"]))
        history[part] = fit(
            network,
            torch.optim.Adam(network.parameters(), settings["learning_rate"]),
            data,
            windows(judged, WINDOW, 5000, np.random.default_rng([seed, 2 + number])),
            checkpoint=folder / f"{part}.pt",
            epochs=epochs,
            batch_size=int(settings["batch_size"]),
            seed=seed,
            resume=resume,
            minutes=None if minutes is None else minutes / len(rows),
            progress=None if progress is None else partial(_told, progress, number * epochs, len(rows) * epochs),
        )
        parts[part] = onnx_of(network, WINDOW, size)
        parameters += sum(p.numel() for p in network.parameters())
    parts["vocabulary"] = {
        "window": WINDOW,
        "lengths": lengths.tolist(),
        "pitch_counts": frequencies(np.concatenate([p.pitch for p in train]), 128),
        "length_counts": frequencies(np.concatenate(rows["duration"][0]), len(lengths)),
        "step_counts": frequencies(np.concatenate([p.step for p in train]), STEPS),
    }
    parts["history"] = history
    protocol = f"windows of {WINDOW} notes of the valid part, works left out of training"
    figures = [
        {"name": f"nll_{part}", "value": round(best, 4), "protocol": protocol, "n": len(valid)}
        for part, epochs_of in history.items()
        if math.isfinite(best := min(h["held_out"] for h in epochs_of))
    ]
    representation = {"name": "note-events", "settings": {"window": WINDOW, "lengths": LENGTHS}}
    return parts, representation, figures, {"parameters": parameters, "epochs": len(history["pitch"])}
