"""chord-lstm: the published generator of 2023, the next note or chord from the hundred before it.

In:     each sound as a word, a note's name with its octave or a chord's normal order joined by dots; index over the number of words, one
        number a step.
Net:    LSTM 512 three times with dropout 0.3 between, batch normalisation, dropout 0.3, dense 256 (ReLU), batch normalisation, dropout
        0.3, softmax over the words. (The text asks for recurrent dropout; its training listing has the ordinary one, as here.)
Train:  RMSprop, categorical cross-entropy, 20 epochs, batches of 128.
Sample: the likeliest word, as published, or drawn with a temperature; one every half quarter note.
Figure: none.

The published vocabulary was the training folder's, and a user's own file failed for its unknown chords. Here it travels with the model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fugato.compose.published import frequencies
from fugato.errors import FugatoError
from fugato.recipes.dropout import Dropout
from fugato.recipes.next_step import check_settings, events_of, fit, onnx_of, windows
from fugato.represent.note_events import LENGTHS, MOST_AT_ONCE, STEPS, sounds, symbol_of

NAME: Final = "chord-lstm"
WINDOW: Final = 100  # sounds
DEFAULTS: Final[dict[str, float]] = {
    "units": 512,
    "dense": 256,
    "dropout": 0.3,
    "learning_rate": 1e-3,
    "batch_size": 128,
    "epochs": 20,
    "windows": 0,  # drawn to learn from; 0 is all
    "min_works": 15,
}
BUDGETS: Final[dict[str, dict[str, float]]] = {"full": {}, "small": {"windows": 10_000}}
SPACE: Final = {"learning_rate": (3e-4, 3e-3), "units": (128, 512)}


class NextSound(nn.Module):
    """From a window of words to scores of the next."""

    def __init__(self, n_words: int, units: int, dense: int, dropout: float) -> None:
        super().__init__()
        self.n_words = n_words
        self.lstm = nn.LSTM(1, units, num_layers=3, dropout=dropout, batch_first=True)
        self.head = nn.Sequential(
            nn.BatchNorm1d(units),
            Dropout(dropout),
            nn.Linear(units, dense),
            nn.ReLU(),
            nn.BatchNorm1d(dense),
            Dropout(dropout),
            nn.Linear(dense, n_words),
        )

    def forward(self, window: Tensor) -> Tensor:  # (B, 100)
        states, _ = self.lstm(window.to(torch.float32).unsqueeze(-1) / self.n_words)  # (B, 100, units)
        scores: Tensor = self.head(states[:, -1])  # (B, n_words)
        return scores


def check(chosen: dict[str, Any]) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_settings(NAME, chosen, DEFAULTS, whole=("units", "dense", "batch_size", "epochs"))


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
    """Train the network on the words of the training part."""
    train, valid = events_of(phrases, "train"), events_of(phrases, "valid")
    heard = [sounds(p) for p in train]
    words = Counter(symbol_of(p) for piece in heard for p in piece.pitches)
    symbols = sorted(words)
    index = {word: i for i, word in enumerate(symbols)}
    rows = [np.array([index[symbol_of(p)] for p in piece.pitches], np.int64) for piece in heard]
    judged = [[index.get(symbol_of(p), -1) for p in sounds(piece).pitches] for piece in valid]
    data = windows(rows, WINDOW, int(settings["windows"]), np.random.default_rng([seed, 0]))
    if not len(data[0]):
        raise FugatoError("bad-data", f"No piece has more than {WINDOW} notes and chords to learn from.")
    known = [np.array([i for i in row if i >= 0], np.int64) for row in judged]
    torch.manual_seed(seed)
    network = NextSound(len(symbols), int(settings["units"]), int(settings["dense"]), settings["dropout"])
    epochs = int(settings["epochs"])
    history = fit(
        network,
        torch.optim.RMSprop(network.parameters(), settings["learning_rate"], alpha=0.9, eps=1e-7),  # Keras' values
        data,
        windows(known, WINDOW, 2000, np.random.default_rng([seed, 1])),
        checkpoint=folder / "network.pt",
        epochs=epochs,
        batch_size=int(settings["batch_size"]),
        seed=seed,
        resume=resume,
        minutes=minutes,
        progress=None if progress is None else lambda done: progress(done, epochs),
    )
    pitch = np.concatenate([p.pitch for p in train])
    octaves = np.zeros((12, 11), np.int64)
    np.add.at(octaves, (pitch % 12, pitch // 12), 1)
    sizes = np.array([len(p) for piece in heard for p in piece.pitches])
    parts = {
        "network": onnx_of(network, WINDOW, len(symbols)),
        "vocabulary": {
            "window": WINDOW,
            "symbols": symbols,
            "symbol_counts": [words[s] for s in symbols],
            "octave_counts": octaves.tolist(),
            "size_counts": frequencies(sizes, MOST_AT_ONCE + 1),
            "pitch_counts": frequencies(pitch, 128),
            "length_counts": frequencies(np.concatenate([p.length for p in train]), LENGTHS),
            "step_counts": frequencies(np.concatenate([piece.step for piece in heard]), STEPS),
        },
        "history": history,
    }
    best = min(h["held_out"] for h in history)
    protocol = f"windows of {WINDOW} known sounds of the valid part, works left out of training"
    figures = [{"name": "nll_per_sound", "value": round(best, 4), "protocol": protocol, "n": len(valid)}]
    made = {"parameters": sum(p.numel() for p in network.parameters()), "epochs": len(history)}
    return parts, {"name": "sounds", "settings": {"window": WINDOW}}, figures if math.isfinite(best) else [], made
