"""The training loop of networks that compose: next-step likelihood, and a kill at any moment costs a few minutes.

Lightning's Fabric underneath: one processor, one GPU or several, in single precision or bfloat16. What is drawn in a step (samples,
dropout) depends on the seed and the step's number alone, so a training that was killed and resumed ends where an uninterrupted one does.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fugato.errors import FugatoError
from fugato.recipes.allocator import freed_memory_kept
from fugato.recipes.remi_transformer import CONTEXT, Network, losses
from fugato.represent import tokens as t
from fugato.train import phrases as ph
from fugato.train.muon import Muon
from fugato.train.precision import AUTO, precision_for
from fugato.train.ranks import only_first

LAST: Final = "last.pt"
BEST: Final = "best.pt"
TIMED: Final = 12  # steps that tell how many fit into the minutes given
WARM: Final = 40  # steps in which the rate rises
FALLING: Final = 0.6  # of all steps, the last ones, in which it falls to nothing
ROUND: Final = 250  # steps at most between two looks at the held-out works
SAVED: Final = 25  # steps at most between two checkpoints: some minutes on a slow machine
EVALUATED: Final = 8  # rows at a time
LOOKED_AT: Final = 160  # rows of held-out works at most while training; all of them at the end
CLIPPED: Final = 1.0  # norm of the gradient

Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network as it was at its best.

    Attributes
    ----------
    network : Network
        In evaluation mode, on the CPU.
    history : list of dict
        For each round ``step``, ``train_loss`` (nats a note step), ``valid_nll`` (nats a note) and ``seconds``.
    best_step : int
    """

    network: Network
    history: list[dict[str, float]]
    best_step: int


class _Learner(nn.Module):
    """The network with its loss, as one module that can be spread over devices."""

    def __init__(self, network: Network, smoothing: float) -> None:
        super().__init__()
        self.network, self.smoothing = network, smoothing

    def forward(self, batch: Tensor) -> Tensor:
        loss = losses(self.network, batch, smoothing=self.smoothing)
        steps = (batch[:, 1:, t.EVENT] <= t.BAR).sum().clamp(min=1)
        return loss.sum() / steps


@freed_memory_kept()
def fit(
    network: Network,
    phrases: ph.Phrases,
    settings: Mapping[str, float],
    folder: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    minutes: float | None = None,
    devices: int | str = "auto",
    nodes: int = 1,
    precision: str = AUTO,
    progress: Progress | None = None,
) -> Trained:
    """Train a network.

    Parameters
    ----------
    network : Network
        New, or one to go on from.
    phrases : Phrases
    settings : mapping
        All of them.
    folder : Path
        For ``last.pt``, ``best.pt`` and ``history.json``.
    seed : int
    resume : bool
        Go on from the folder's last checkpoint, if there is one.
    minutes : float, optional
        Wall clock: how many steps fit into it is measured once, and kept when the training is resumed. The held-out looks come on top.
    devices, nodes, precision
        As `lightning.Fabric` takes them, or "auto" (`fugato.train.precision`).
    progress : callable, optional
        Told (steps done, steps in all).

    Raises
    ------
    FugatoError
        ``bad-option`` where the loss is no number any more.
    SystemExit
        Of status 0, in all but the first of several processes that train together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fabric = lightning.Fabric(devices=devices, num_nodes=nodes, precision=precision_for(True, precision))
    if fabric.world_size > 1:
        fabric.launch()
    learner = _Learner(network, settings["label_smoothing"])
    optimisers = _optimisers(network, settings)
    module, *wrapped = fabric.setup(learner, *optimisers)
    size, device = int(settings["batch_size"]), fabric.device
    per_epoch = max(phrases.steps("train") // (size * CONTEXT * fabric.world_size), 1)
    state: dict[str, Any] = {"step": 0, "total": int(settings["epochs"]) * per_epoch, "history": []}
    state.update(
        best=float("inf"), best_step=0, stopped=False, timed=minutes is None, loss_sum=0.0, loss_n=0, spent=0.0
    )
    if resume and (folder / LAST).exists():
        saved = torch.load(folder / LAST, weights_only=True, map_location="cpu")
        network.load_state_dict(saved.pop("network"))
        for optimiser, own in zip(optimisers, saved.pop("optimisers"), strict=True):
            optimiser.load_state_dict(own)
        state.update(saved)
    held = ph.whole(phrases, phrases.of("valid"), CONTEXT)
    held = held[:: max(len(held) // LOOKED_AT, 1)]
    every = min(per_epoch, ROUND)
    patience = int(settings["patience"]) * -(-per_epoch // every)
    began = time.perf_counter()
    timed_from = (time.perf_counter(), state["step"])
    while state["step"] < state["total"] and not state["stopped"]:
        step = state["step"]
        rng = np.random.default_rng([seed, step, fabric.global_rank])
        batch = torch.from_numpy(ph.batch(phrases, rng, size, CONTEXT + 1, settings)).to(device)
        torch.manual_seed(int(rng.integers(2**62)))
        for optimiser, base in zip(optimisers, _rates(settings), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = base * rate(step, state["total"])
        module.train()
        loss = module(batch)
        fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIPPED)
        for optimiser in wrapped:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        state["loss_sum"] += float(loss.detach())
        state["loss_n"] += 1
        state["step"] += 1
        if not state["timed"] and state["step"] - timed_from[1] == TIMED:
            seconds = (time.perf_counter() - timed_from[0]) / TIMED
            fitting = max(int(minutes * 60 / seconds), TIMED + 1)  # type: ignore[operator]
            state["total"] = fabric.broadcast(min(state["total"], fitting))  # as many in all processes
            state["timed"] = True
        if progress is not None:
            progress(state["step"], state["total"])
        looked = state["step"] % every == 0 or state["step"] == state["total"]
        if looked:
            if not np.isfinite(state["loss_sum"]):
                raise FugatoError("bad-option", "The training broke down: its loss is no number. Lower learning_rate.")
            valid = fabric.broadcast(nll(network, held, device=device, precision=fabric)["note"])
            took = state["spent"] + time.perf_counter() - began
            mean = state["loss_sum"] / state["loss_n"]
            figures = {"step": state["step"], "train_loss": mean, "valid_nll": valid, "seconds": took}
            state["history"].append(figures)
            _log.info("step %d of %d: %s", state["step"], state["total"], figures)
            state.update(loss_sum=0.0, loss_n=0, spent=0.0)
            began = time.perf_counter()
            if valid < state["best"]:
                state["best"], state["best_step"] = valid, state["step"]
                if fabric.is_global_zero:
                    _write(folder / BEST, network.state_dict())
            rounds = (state["step"] - state["best_step"]) // every
            state["stopped"] = bool(patience and rounds >= patience)
            if fabric.is_global_zero:
                (folder / "history.json").write_text(json.dumps(state["history"]), encoding="utf-8")
        if fabric.is_global_zero and (looked or state["step"] % SAVED == 0):
            own = {"network": network.state_dict(), "optimisers": [o.state_dict() for o in optimisers]}
            spent = state["spent"] + time.perf_counter() - began
            _write(folder / LAST, {**state, "spent": spent, **own})
    fabric.barrier()
    only_first()
    network.load_state_dict(torch.load(folder / BEST, weights_only=True, map_location="cpu"))
    network.eval().cpu()
    return Trained(network, state["history"], state["best_step"])


def rate(step: int, total: int) -> float:
    """Share of the learning rate at a step: it rises, stays, and falls in a straight line to nothing."""
    rising = (step + 1) / min(WARM, max(total // 10, 1))
    falling = (total - step) / (FALLING * total)
    return min(rising, falling, 1.0)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def nll(
    network: Network, rows: Sequence[NDArray[np.int64]], *, device: Any = "cpu", precision: Any = None
) -> dict[str, float]:
    """Negative log-likelihood of whole pieces in nats a note: bars, rests and ends count with the notes they lead to.

    Parameters
    ----------
    network : Network
    rows : sequence of ndarray, each of shape=(n, 20)
        As `fugato.train.phrases.whole` gives.

    Returns
    -------
    dict
        ``note``, and of it ``event``, ``part``, ``pitch``, ``duration``, ``velocity``; ``notes``, how many there were.
    """
    network.eval()
    sums, notes = np.zeros(t.N_ATTRIBUTES), 0
    ordered = sorted(rows, key=len)
    for i in range(0, len(ordered), EVALUATED):
        some = ordered[i : i + EVALUATED]
        batch = np.zeros((len(some), max(map(len, some)), some[0].shape[1]), np.int64)
        batch[:, :, t.EVENT] = t.START  # padding: never foretold, and after all that is
        for row, own in zip(batch, some, strict=True):
            row[: len(own)] = own
        loss = losses(network, torch.from_numpy(batch).to(device))
        sums += loss.sum(dim=(1, 2)).double().cpu().numpy()
        notes += int((batch[:, 1:, t.EVENT] < t.BAR).sum())
    each = sums / max(notes, 1)
    return {"note": float(each.sum()), **dict(zip(t.COLUMNS, each.tolist(), strict=False)), "notes": notes}


def _rates(settings: Mapping[str, float]) -> tuple[float, float]:
    return settings["learning_rate"], settings["matrix_rate"]


def _optimisers(network: Network, settings: Mapping[str, float]) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """AdamW for all that is no weight matrix of a block, Muon for those."""
    matrices = [p for name, p in network.blocks.named_parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    others = [p for p in network.parameters() if id(p) not in inside]
    decayed = [p for p in others if p.ndim == 2]
    plain = [p for p in others if p.ndim != 2]
    adam, matrix = _rates(settings)
    return (
        torch.optim.AdamW(
            [{"params": decayed, "weight_decay": settings["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
            lr=adam,
            betas=(0.9, 0.98),
        ),
        Muon(matrices, matrix, weight_decay=settings["weight_decay"]),
    )


def _write(path: Path, state: Any) -> None:
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)
