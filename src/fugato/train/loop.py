"""The training loop of every network: Lightning underneath, and a kill at any moment costs at most one epoch.

Everything random in an epoch (order, dropout, augmentation) is drawn from the seed and the number of the epoch alone, so that a training
that was killed and resumed ends where an uninterrupted one does.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from fugato.errors import FugatoError
from fugato.models import softmax
from fugato.recipes.allocator import freed_memory_kept
from fugato.recipes.network import NetworkRecipe
from fugato.represent.augment import augment as change_chunks
from fugato.represent.chunks import NOTE_FEATURES
from fugato.represent.chunks import rows as chunk_rows
from fugato.represent.onsets import changed as change_onsets
from fugato.represent.sound_copies import changed_windows as change_sound
from fugato.represent.windows import SOUND_KINDS
from fugato.train.precision import AUTO, precision_for
from fugato.train.ranks import is_first, together
from fugato.train.store import Windows

LAST: Final = "last.ckpt"
BEST: Final = "best.pt"
DONE: Final = "done.json"
EVALUATED: Final = 512  # windows at a time, when nothing is learnt
HEARD: Final = 2**21  # numbers of such windows together: layers of pictures make many of each
SEMITONES: Final = 3  # of a transposed window, at most
ROLLED: Final = 0.1  # of a picture, by which it is shifted at most
MOVED: Final = {"onsets": 64}  # rows by which a training window of a kind begins earlier or later, at most

Ints = NDArray[np.int64]
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Examples:
    """Windows with the names they are to be given.

    Attributes
    ----------
    windows : Windows
    which : ndarray of int64, shape=(n,)
        Places in `windows`.
    label : ndarray of int64, shape=(n,)
    """

    windows: Windows
    which: Ints
    label: Ints

    def __len__(self) -> int:
        return len(self.which)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network as it was at its best.

    Attributes
    ----------
    network : torch.nn.Module
        In evaluation mode.
    history : list of dict
        For each epoch ``epoch`` (from 1), ``train_loss``, ``train_accuracy``, ``valid_loss``, ``valid_accuracy``, ``seconds``.
    best_epoch : int
        From 1.
    """

    network: Any
    history: list[dict[str, float]]
    best_epoch: int

    @property
    def seconds(self) -> float:
        """Spent on all epochs."""
        return sum(epoch["seconds"] for epoch in self.history)


class _Windows(Dataset):
    """Whole batches of windows at a time; augmented ones differ from epoch to epoch."""

    def __init__(self, examples: Examples, kind: str, augmented: bool, seed: int) -> None:
        self.examples, self.kind, self.augmented, self.seed = examples, kind, augmented, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rows, label = self.__getitems__([index])
        return rows[0], label[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        at = np.asarray(indices)
        windows, which = self.examples.windows, self.examples.which[at]
        if self.augmented:
            rng = np.random.default_rng([self.seed, self.epoch, int(at[0])])
            moved = MOVED.get(self.kind, 0)
            rows = augmented(windows.near(which, moved, rng) if moved else windows.take(which), self.kind, rng)
        else:
            rows = windows.take(which)
        return torch.from_numpy(rows), torch.from_numpy(self.examples.label[at])


def augmented(rows: NDArray[Any], kind: str, rng: np.random.Generator) -> NDArray[Any]:
    """Changed copies of windows, shape=(n, size, n_columns): the same music higher, faster or a little later."""
    if kind == "note-chunks":
        n_notes = len(NOTE_FEATURES)
        notes, summary = change_chunks(
            np.ascontiguousarray(rows[..., :n_notes]),
            np.ascontiguousarray(rows[:, 0, n_notes:]),
            random_seed=int(rng.integers(2**31)),
        )
        return chunk_rows(notes, summary).reshape(rows.shape)
    if kind == "onsets":
        return change_onsets(rows, rng)
    if kind in SOUND_KINDS:
        return change_sound(rows, rng)
    out = rows.copy()
    if kind == "note-rows":
        steps = rng.integers(-SEMITONES, SEMITONES + 1, len(rows))[:, None] / 127
        out[..., 0] = np.clip(np.where(rows[..., 0] > 0, rows[..., 0] + steps, 0), 0, 1)
        out[..., 2] = np.clip(rows[..., 2] * rng.uniform(0.9, 1.1, len(rows))[:, None], 0, 1)
        return out
    columns = SEMITONES if kind == "pianoroll" else int(ROLLED * rows.shape[2])
    later = int(ROLLED * rows.shape[1])
    for i in range(len(rows)):
        up, on = int(rng.integers(-columns, columns + 1)), int(rng.integers(-later, later + 1))
        out[i] = _shifted(_shifted(rows[i], on, 0), up, 1)
    return out


def _shifted(picture: NDArray[Any], by: int, axis: int) -> NDArray[Any]:
    """Moved along an axis; what comes in is silence."""
    out = np.roll(picture, by, axis=axis)
    edge = [slice(None), slice(None)]
    edge[axis] = slice(0, by) if by >= 0 else slice(by, None)
    out[tuple(edge)] = 0
    return out


class _Order(Sampler):
    """A new order every epoch, from the seed and the epoch alone: of all windows, or of so many drawn by their chances."""

    def __init__(self, dataset: _Windows, drawn: int = 0) -> None:
        self.dataset, self.drawn = dataset, drawn
        self.chance = chances(dataset.examples) if drawn else None

    def __len__(self) -> int:
        return self.drawn or len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        self.dataset.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.dataset.seed, self.dataset.epoch])
        if self.chance is not None:
            return iter(rng.choice(len(self.dataset), self.drawn, p=self.chance).tolist())
        return iter(rng.permutation(len(self.dataset)).tolist())


def chances(examples: Examples) -> NDArray[np.float64]:
    """How often each window is drawn, shape=(n,), sum 1: composers equally often, their pieces by the root of their windows."""
    piece = examples.windows.piece[examples.which]
    _, owner, count = np.unique(piece, return_inverse=True, return_counts=True)
    chance = count[owner] ** -0.5
    chance /= np.bincount(examples.label, chance)[examples.label]
    share: NDArray[np.float64] = chance / chance.sum()
    return share


class _Loss(nn.Module):
    """Cross-entropy, or focal loss, with or without weights for composers."""

    def __init__(self, weight: Tensor | None, gamma: float, smoothing: float = 0.0) -> None:
        super().__init__()
        self.gamma, self.smoothing = gamma, smoothing
        self.register_buffer("weight", weight)

    def forward(self, scores: Tensor, label: Tensor) -> Tensor:
        if not self.gamma:
            return F.cross_entropy(scores, label, self.weight, label_smoothing=self.smoothing if self.training else 0.0)
        log = F.log_softmax(scores, dim=1).gather(1, label[:, None]).squeeze(1)
        weight = torch.ones_like(log) if self.weight is None else self.weight[label]
        return -(weight * (1 - log.exp()) ** self.gamma * log).sum() / weight.sum()


class Classifier(lightning.LightningModule):
    """A recipe's network with its loss and optimiser."""

    def __init__(
        self, recipe: NetworkRecipe, network: nn.Module, settings: Mapping[str, float], weight: Tensor | None, seed: int
    ) -> None:
        super().__init__()
        self.network, self.settings, self.seed = network, dict(settings), seed
        self.loss = _Loss(weight, settings["focal_gamma"], settings.get("label_smoothing", 0.0))
        self.punished = [
            (settings[name], p)
            for name, parts in recipe.penalties.items()
            for key, p in network.named_parameters()
            if settings[name] and any(part in key for part in parts)
        ]
        self.sums = {"train": [0.0, 0.0, 0.0], "valid": [0.0, 0.0, 0.0]}

    def on_train_epoch_start(self) -> None:
        self.sums = {part: [0.0, 0.0, 0.0] for part in self.sums}

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        # Not once an epoch: data loaders draw from the same source, and not as often in the first epoch after a resume.
        drawn = np.random.SeedSequence([self.seed, self.current_epoch, index]).generate_state(1)
        torch.manual_seed(int(drawn[0]))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        rows, label = batch
        if alpha := self.settings.get("mixup", 0.0):
            share = float(torch.distributions.Beta(alpha, alpha).sample())
            other = torch.randperm(len(rows), device=rows.device)
            scores = self.network(share * rows.float() + (1 - share) * rows[other].float())
            loss = share * self.loss(scores, label) + (1 - share) * self.loss(scores, label[other])
        else:
            scores = self.network(rows)
            loss = self.loss(scores, label)
        self._count("train", scores, label, loss)
        for factor, parameter in self.punished:
            loss = loss + factor * parameter.square().sum()
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        rows, label = batch
        scores = self.network(rows)
        self._count("valid", scores, label, self.loss(scores, label))

    def _count(self, part: str, scores: Tensor, label: Tensor, loss: Tensor) -> None:
        sums = self.sums[part]
        sums[0] += float(loss.detach()) * len(label)
        sums[1] += int((scores.detach().argmax(dim=1) == label).sum())
        sums[2] += len(label)

    def figures(self) -> dict[str, float]:
        """Loss and accuracy of the epoch, over all devices."""
        out = {}
        for part, sums in self.sums.items():
            many = self.trainer.world_size > 1  # then on the device, where the processes can add it up
            own = torch.tensor(sums, dtype=torch.float64, device=self.device if many else "cpu")
            loss, right, n = self.trainer.strategy.reduce(own, reduce_op="sum").tolist()
            out[f"{part}_loss"], out[f"{part}_accuracy"] = loss / max(n, 1), right / max(n, 1)
        return out

    def configure_optimizers(self) -> Any:
        rate, decay = self.settings["learning_rate"], self.settings.get("weight_decay", 0.0)
        if decay:
            optimiser: Any = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=decay)
        else:
            kind = torch.optim.Adamax if self.settings["adamax"] else torch.optim.Adam
            optimiser = kind(self.network.parameters(), lr=rate, eps=1e-7)
        if not self.settings.get("one_cycle"):
            return optimiser
        steps = max(int(self.trainer.estimated_stepping_batches), 2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, steps, pct_start=0.15)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Keeper(Callback):
    """History, early stopping, the best weights and the last state, each written whole or not at all."""

    def __init__(self, folder: Path, settings: Mapping[str, float], progress: Progress | None, watch: Any) -> None:
        self.folder, self.progress, self.watch = folder, progress, watch
        self.patience, self.epochs = int(settings["patience"]), int(settings["epochs"])
        self.by_accuracy = bool(settings["monitor_accuracy"])
        self.history: list[dict[str, float]] = []
        self.best, self.best_epoch = -np.inf, 0
        self.started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history, self.best, self.best_epoch = list(state["history"]), state["best"], state["best_epoch"]

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """A training that was stopped after its last epoch, before it could say so, learns no more."""
        if self._over():
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.started = time.perf_counter()
        trainer.train_dataloader.dataset.epoch = trainer.current_epoch  # on several devices the sampler is not told

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        epoch = trainer.current_epoch + 1
        figures = module.figures()
        self.history.append({"epoch": epoch, **figures, "seconds": time.perf_counter() - self.started})
        value = figures["valid_accuracy"] if self.by_accuracy else -figures["valid_loss"]
        _log.debug("epoch %d: %s", epoch, figures)
        if not np.isfinite(figures["train_loss"]):
            raise FugatoError(
                "bad-option", f"The training broke down in epoch {epoch}: its loss is no number. Lower learning_rate."
            )
        if value > self.best or not self.best_epoch:
            self.best, self.best_epoch = value, epoch
            if trainer.is_global_zero:
                _write(self.folder / BEST, module.network.state_dict())
        if self._over():
            trainer.should_stop = True
        trainer.save_checkpoint(self.folder / f"{LAST}.tmp")
        if trainer.is_global_zero:
            os.replace(self.folder / f"{LAST}.tmp", self.folder / LAST)
            (self.folder / "history.json").write_text(json.dumps(self.history), encoding="utf-8")
        if self.progress is not None:
            self.progress(epoch, self.epochs)
        if self.watch is not None and self.watch(epoch, figures):
            trainer.should_stop = True

    def _over(self) -> bool:
        """Whether there was no better epoch for so long that training stops."""
        return bool(self.patience and self.history and self.history[-1]["epoch"] - self.best_epoch >= self.patience)


def _write(path: Path, state: Any) -> None:
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def _whole(folder: Path) -> bool:
    """Whether all that a training goes on from can be read, as far as it got; a disk may fill up, a machine lose power."""
    done = (folder / DONE).exists()
    names = [BEST] * (done or (folder / LAST).exists()) + [LAST] * (not done and (folder / LAST).exists())
    try:
        if done:
            json.loads((folder / DONE).read_text(encoding="utf-8"))
        for name in names:  # PyTorch's files are zip archives with checksums
            with zipfile.ZipFile(folder / name) as archive:
                if archive.testzip() is not None:
                    return False
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    return True


def fit(
    recipe: NetworkRecipe,
    learn: Examples,
    valid: Examples,
    n_labels: int,
    settings: Mapping[str, float],
    folder: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    devices: int | str = "auto",
    nodes: int = 1,
    precision: str = AUTO,
    progress: Progress | None = None,
    watch: Callable[[int, dict[str, float]], bool] | None = None,
) -> Trained:
    """Train a network.

    Parameters
    ----------
    recipe : NetworkRecipe
    learn, valid : Examples
        To learn from, and to stop by.
    n_labels : int
    settings : mapping
        All of them, as `NetworkRecipe.settings` gives.
    folder : Path
        For checkpoints, the best weights and ``history.json``.
    seed : int
    resume : bool
        Go on from the folder's last checkpoint, if there is one; one that cannot be read is warned of, and training starts anew.
    devices, nodes, precision
        As Lightning's trainer takes them; more than one device trains in parallel on each a share of every batch. The precision may be
        "auto": `precision_for`.
    progress : callable, optional
        Told (epochs done, epochs at most).
    watch : callable, optional
        Told (epoch, figures) after each epoch; training stops where it answers True.

    Returns
    -------
    Trained

    Raises
    ------
    FugatoError
        ``bad-option`` where the loss is no number any more.
    """
    if is_first():
        _prepare(folder, resume)
    together()
    known = recipe.statistics(training_rows(learn))
    torch.manual_seed(seed)
    network = recipe.build(n_labels, known, settings)
    network.to(memory_format=torch.channels_last)  # of pictures' filters, whose steps take half the time so on a CPU
    weight = None
    if settings["class_weight"]:
        count = np.bincount(learn.label, minlength=n_labels)
        weight = torch.tensor(len(learn) / np.maximum(count, 1) / n_labels, dtype=torch.float32)
    module = Classifier(recipe, network, settings, weight, seed)
    keeper = _Keeper(folder, settings, progress, watch)
    if not (folder / DONE).exists():
        with _threads(recipe.threads), freed_memory_kept():
            _run(
                module,
                keeper,
                learn,
                valid,
                recipe.kind,
                settings,
                folder,
                seed,
                devices,
                nodes,
                precision_for(recipe.bfloat16, precision),
            )
        if not keeper.history:
            raise FugatoError("bad-data", "There was nothing to learn from.")
        if is_first():
            summary = {"history": keeper.history, "best_epoch": keeper.best_epoch}
            (folder / f"{DONE}.tmp").write_text(json.dumps(summary), encoding="utf-8")
            os.replace(folder / f"{DONE}.tmp", folder / DONE)
        together()
    done = json.loads((folder / DONE).read_text(encoding="utf-8"))
    network.load_state_dict(torch.load(folder / BEST, weights_only=True, map_location="cpu"))
    together()  # the first process may remove the folder next
    network.eval().cpu()
    return Trained(network, done["history"], done["best_epoch"])


def _prepare(folder: Path, resume: bool) -> None:
    """The folder of one training, emptied unless it goes on from there."""
    folder.mkdir(parents=True, exist_ok=True)
    if resume and not _whole(folder):
        _log.warning("the last checkpoint cannot be read; the training starts anew")
        resume = False
    if not resume:
        for name in (LAST, BEST, DONE, "history.json"):
            (folder / name).unlink(missing_ok=True)


@contextmanager
def _threads(n: int) -> Iterator[None]:
    """So many threads on the CPU, all for 0; afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(n or before, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(
    module: Classifier,
    keeper: _Keeper,
    learn: Examples,
    valid: Examples,
    kind: str,
    settings: Mapping[str, float],
    folder: Path,
    seed: int,
    devices: int | str,
    nodes: int,
    precision: str,
) -> None:
    training = _Windows(learn, kind, bool(settings["augment"]), seed)
    loaders = [
        DataLoader(
            training,
            int(settings["batch_size"]),
            sampler=_Order(training, int(settings.get("epoch_windows", 0))),
            collate_fn=_as_it_is,
        ),
        DataLoader(_Windows(valid, kind, False, seed), at_once(valid.windows), collate_fn=_as_it_is),
    ]
    quiet = logging.getLogger("lightning.pytorch")
    level, on_interrupt = quiet.level, signal.getsignal(signal.SIGINT)
    quiet.setLevel(logging.ERROR)
    trainer = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of loaders with few workers, and the like
            trainer = lightning.Trainer(
                max_epochs=int(settings["epochs"]),
                devices=devices,
                num_nodes=nodes,
                precision=precision,
                logger=lightning.pytorch.loggers.CSVLogger(str(folder), name="log", version=""),
                callbacks=[keeper],
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                log_every_n_steps=50,
            )
            last = folder / LAST
            trainer.fit(module, *loaders, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    except SystemExit:
        if trainer is None or not trainer.interrupted:
            raise
        raise KeyboardInterrupt from None  # Lightning would end the process, and leave it deaf to Ctrl+C
    finally:
        quiet.setLevel(level)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, on_interrupt)


def _as_it_is(batch: Any) -> Any:
    return batch


def training_rows(examples: Examples) -> NDArray[Any]:
    """Rows of some of the windows that are learnt from, for statistics; a few thousand windows say enough."""
    step = max(len(examples) // 10_000, 1)
    taken = examples.windows.take(examples.which[::step])
    return taken.reshape(-1, taken.shape[-1])


def at_once(windows: Windows) -> int:
    """How many windows a network that does not learn just now is given together."""
    numbers: int = windows.size * windows.rows.shape[1]
    return max(min(EVALUATED, HEARD // numbers), 1)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def probabilities(network: Any, windows: Windows, which: Ints) -> NDArray[np.float64]:
    """What a network says of windows, shape=(len(which), n_labels)."""
    found, size = [], at_once(windows)
    for start in range(0, len(which), size):
        rows = torch.from_numpy(windows.take(which[start : start + size]))
        found.append(softmax(network(rows).numpy().astype(np.float64)))
    return np.concatenate(found)


def n_parameters(network: Any) -> int:
    """Numbers that training changes."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
