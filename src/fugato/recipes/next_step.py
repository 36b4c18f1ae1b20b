"""Networks that foretell the next symbol from a window of those before it: windows, training that can be stopped and resumed, export."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.recipes.allocator import freed_memory_kept
from fugato.recipes.options import check_names
from fugato.represent.note_events import NoteEvents, events_of_rows

Ints = NDArray[np.int64]


def check_settings(
    name: str, chosen: Mapping[str, Any], defaults: Mapping[str, float], *, whole: Sequence[str]
) -> None:
    """Raise FugatoError("bad-option") for a setting that there is not, or a value that makes no sense."""
    check_names(name, chosen, defaults)
    for key, value in chosen.items():
        if not math.isfinite(value) or value < 0:
            raise FugatoError("bad-option", f"The setting {key} is {value:g}; it must be 0 or more.")
        if key in whole and (value < 1 or value != int(value)):
            raise FugatoError("bad-option", f"The setting {key} is {value:g}; it must be a whole number from 1.")
        if key == "dropout" and value >= 1:
            raise FugatoError("bad-option", f"The setting dropout is {value:g}; it must be below 1.")


def events_of(phrases: Any, part: str) -> list[NoteEvents]:
    """The note events of all pieces of a part of `fugato.train.phrases.Phrases`."""
    return [events_of_rows(phrases.tokens(int(i))) for i in phrases.of(part)]


def windows(rows: Sequence[Ints], size: int, most: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Windows of `size` symbols and the symbol after each, never over the end of a piece.

    Parameters
    ----------
    rows : sequence of ndarray of int64, shape=(n_symbols,)
        One a piece.
    size : int
    most : int
        Windows, drawn at random where there are more; 0 takes all.
    rng : Generator

    Returns
    -------
    inputs : ndarray of int64, shape=(n_windows, size)
    targets : ndarray of int64, shape=(n_windows,)
    """
    views = [np.lib.stride_tricks.sliding_window_view(r, size + 1) for r in rows if len(r) > size]
    if not views:
        return np.zeros((0, size), np.int64), np.zeros(0, np.int64)
    edges = np.cumsum([0, *(len(v) for v in views)])
    total = int(edges[-1])
    chosen = np.arange(total) if not most or total <= most else np.sort(rng.choice(total, most, replace=False))
    piece = np.searchsorted(edges, chosen, side="right") - 1
    found = np.stack([views[p][i - edges[p]] for p, i in zip(piece.tolist(), chosen.tolist(), strict=True)])
    return found[:, :-1].copy(), found[:, -1].copy()


@freed_memory_kept()
def fit(
    network: Any,
    optimiser: Any,
    data: tuple[Ints, Ints],
    held_out: tuple[Ints, Ints],
    *,
    checkpoint: Path,
    epochs: int,
    batch_size: int,
    seed: int,
    resume: bool,
    minutes: float | None,
    progress: Callable[[int], None] | None = None,
) -> list[dict[str, float]]:
    """Train by cross-entropy; the best epoch on what is held out is kept, the last where nothing is.

    Each epoch depends on the seed and its number alone, and is kept with the optimiser: a training that was stopped and resumed is the
    same as one that was not.

    Returns
    -------
    list of dict
        ``epoch``, ``loss`` and ``held_out`` (nats a symbol) of each.
    """
    import torch
    from torch.nn import functional as F

    inputs, targets = (torch.from_numpy(d) for d in data)
    history: list[dict[str, float]] = []
    best, kept = math.inf, None
    if resume and checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        history, best, kept = state["history"], state["best"], state["kept"]
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    for epoch in range(len(history), epochs):
        if time.monotonic() > deadline and history:
            break
        torch.manual_seed(1_000_003 * seed + epoch)
        network.train()
        order, total = torch.randperm(len(inputs)), 0.0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            if len(rows) < 2 and start:
                continue  # batch normalisation needs two
            loss = F.cross_entropy(network(inputs[rows]), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(rows)
        judged = loss_of(network, held_out)
        history.append({"epoch": epoch + 1, "loss": total / max(len(order), 1), "held_out": judged})
        if not judged > best or kept is None:  # NaN where nothing is held out: the last epoch
            best = judged if judged == judged else math.inf
            kept = {name: value.detach().clone() for name, value in network.state_dict().items()}
        state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
        torch.save({**state, "history": history, "best": best, "kept": kept}, checkpoint)
        if progress:
            progress(epoch + 1)
    if kept is not None:
        network.load_state_dict(kept)
    network.eval()
    return history


def loss_of(network: Any, data: tuple[Ints, Ints]) -> float:
    """Nats a symbol; NaN without windows."""
    import torch
    from torch.nn import functional as F

    inputs, targets = data
    if not len(inputs):
        return math.nan
    network.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(inputs), 512):
            scores = network(torch.from_numpy(inputs[start : start + 512]))
            total += float(F.cross_entropy(scores, torch.from_numpy(targets[start : start + 512]), reduction="sum"))
    return total / len(inputs)


def onnx_of(network: Any, size: int, n_symbols: int) -> bytes:
    """A network from windows of symbols, shape=(n, size), to scores, shape=(n, n_symbols), as ONNX; checked against the network."""
    from fugato.recipes.exported import onnx_bytes

    return onnx_bytes(network, np.random.default_rng(0).integers(0, n_symbols, (5, size)), name="window")
