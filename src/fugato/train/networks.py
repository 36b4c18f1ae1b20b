"""Networks over windows from a grouped collection to the parts of a model folder: split by work, train, judge, export."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.composer.window_network import piece_logits
from fugato.corpus.splits import grouped_holdout, grouped_kfold
from fugato.errors import FugatoError
from fugato.recipes.exported import onnx_bytes
from fugato.recipes.network import NetworkRecipe
from fugato.train.judge import Judged
from fugato.train.loop import Examples, Trained, fit, n_parameters, probabilities
from fugato.train.precision import AUTO
from fugato.train.ranks import is_first, only_first, together
from fugato.train.store import Windows
from fugato.train.told import Progress, stage

HOLDOUT: Final = {"train": 0.7, "valid": 0.15, "test": 0.15}  # of works; as the publications split files
VALID: Final = 0.15  # of the works that a fold learns from, kept to stop by
EXPORT_CHECKED: Final = 4  # real windows on which the export is compared

Ints = NDArray[np.int64]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Made:
    """A trained network with what it is worth on works that it has not seen.

    Attributes
    ----------
    judged : Judged
        Pieces; their scores are logs of the mean over windows.
    windows : dict of str to float
        Accuracy, balanced accuracy and macro-F1 over single windows of the same pieces, and their number.
    trained : Trained
    parts : dict
        For `fugato.models.save_model`: network and history.
    protocol : str
    parameters : int
    """

    judged: Judged
    windows: dict[str, float]
    trained: Trained
    parts: dict[str, Any]
    protocol: str
    parameters: int


def make(
    recipe: NetworkRecipe,
    windows: Windows,
    labels: Sequence[str],
    works: Sequence[str],
    settings: Mapping[str, float],
    folder: Path,
    *,
    folds: int = 1,
    random_seed: int = 0,
    resume: bool = False,
    devices: int | str = "auto",
    nodes: int = 1,
    precision: str = AUTO,
    progress: Progress | None = None,
) -> Made:
    """Train one network to keep, and judge it, or as many more as there are folds, on works held out.

    Parameters
    ----------
    recipe : NetworkRecipe
    windows : Windows
    labels, works : sequences of str, length n_pieces
        Of `windows.pieces`.
    settings : mapping
        All of them.
    folder : Path
        For checkpoints; with `resume` what is finished there is not done again.
    folds : int
        1 judges the network that is kept on a seventh of the works; more train a network a fold beside it.
    random_seed, resume, devices, nodes, precision, progress
        As `fugato.train.train`.

    Raises
    ------
    SystemExit
        Of status 0, in all but the first of several processes that train together.
    """
    names = tuple(sorted(set(labels)))
    label = metrics.encode(list(labels), names)
    ids = [piece.id for piece in windows.pieces]
    how: dict[str, Any] = {
        "seed": random_seed,
        "resume": resume,
        "devices": devices,
        "nodes": nodes,
        "precision": precision,
    }
    logits = np.full((len(ids), len(names)), -np.inf, np.float32)
    found = []
    if folds > 1:
        split = grouped_kfold(labels, works, folds, random_seed, ids=ids)
        split.check(works)
        for number, (learn, rows) in enumerate(split.sides()):
            tell = stage(progress, f"fold {number + 1} of {folds}")
            some, stop = divide(learn, labels, works, ids, random_seed)
            trained = run(
                recipe, windows, label, len(names), some, stop, settings, folder / f"fold-{number}", tell, how
            )
            if is_first():
                found.append(judge(trained.network, windows, rows, logits))
        protocol = f"{folds}-fold over works (no work on two sides)"
        fold = np.asarray(split.folds)
        learn, stop = divide(np.arange(len(ids)), labels, works, ids, random_seed)
        judged = np.arange(len(ids))
    else:
        learn, stop, judged = holdout(labels, works, ids, random_seed)
        share = HOLDOUT["valid"]
        if recipe.watched < 1:
            more, few = divide(stop, labels, works, ids, random_seed, recipe.watched)
            if len(few):
                learn, stop, share = np.sort(np.concatenate([learn, more])), few, share * recipe.watched
        protocol = (
            f"one holdout of works ({1 - HOLDOUT['test'] - share:.0%} to learn from, {share:.0%} to stop by, "
            f"{HOLDOUT['test']:.0%} judged; no work on two sides)"
        ).replace("%", " %")
        fold = np.arange(len(ids)) % 2  # of the judged: one half calibrates the other
    trained = run(
        recipe, windows, label, len(names), learn, stop, settings, folder / "final", stage(progress, "training"), how
    )
    only_first()
    if folds == 1:
        found.append(judge(trained.network, windows, judged, logits))
    heard = judged[np.isfinite(logits[judged]).all(axis=1)]
    truth, named = (
        np.concatenate(part) for part in zip(*((label[windows.piece[w]], n) for w, n in found), strict=True)
    )
    return Made(
        Judged(names, label[heard], np.array(works)[heard], fold[heard], logits[heard]),
        {
            "accuracy": metrics.accuracy(truth, named),
            "balanced_accuracy": metrics.balanced_accuracy(truth, named),
            "macro_f1": metrics.macro_f1(truth, named),
            "n": len(truth),
        },
        trained,
        {
            "network": onnx_bytes(trained.network, windows.take(np.arange(min(EXPORT_CHECKED, len(windows))))),
            "history": [{key: round(value, 6) for key, value in epoch.items()} for epoch in trained.history],
        },
        protocol,
        n_parameters(trained.network),
    )


def run(
    recipe: NetworkRecipe,
    windows: Windows,
    label: Ints,
    n_labels: int,
    learn: Ints,
    stop: Ints,
    settings: Mapping[str, float],
    folder: Path,
    progress: Callable[[int, int], None] | None,
    how: Mapping[str, Any],
) -> Trained:
    """Train on the windows of some pieces and stop by those of others."""
    which = windows.of_pieces(learn, copies=True)
    which = drawn(which, label[windows.piece[which]], int(settings["windows_per_composer"]), int(how["seed"]))
    stopping = windows.of_pieces(stop)
    most = int(settings["windows_per_composer"])
    stopping = drawn(stopping, label[windows.piece[stopping]], most // 4, int(how["seed"]))
    learning = Examples(windows, which, label[windows.piece[which]])
    watched = Examples(windows, stopping, label[windows.piece[stopping]])
    started = time.perf_counter()
    trained = fit(recipe, learning, watched, n_labels, settings, folder, progress=progress, **how)
    _log.info("%d windows, best epoch %d, %.0f s", len(which), trained.best_epoch, time.perf_counter() - started)
    return trained


def drawn(which: Ints, label: Ints, most: int, seed: int) -> Ints:
    """At most `most` windows of each composer, drawn at random; all of them for 0."""
    if not most:
        return which
    rng = np.random.default_rng([seed, most])
    kept = [rng.permutation(np.flatnonzero(label == name))[:most] for name in np.unique(label)]
    some: Ints = which[np.sort(np.concatenate(kept))]
    return some


def holdout(labels: Sequence[str], works: Sequence[str], ids: Sequence[str], seed: int) -> tuple[Ints, Ints, Ints]:
    """Pieces to learn from, to stop by and to judge, without a work in two of them.

    Raises
    ------
    FugatoError
        ``bad-data`` where one of them would be empty.
    """
    parts = grouped_holdout(labels, works, HOLDOUT, seed, ids=ids)
    parts.check(works)
    learn, stop, judged = (parts.part(part) for part in HOLDOUT)
    if not len(stop) or not len(judged) or not len(learn):
        raise FugatoError(
            "bad-data", "There are too few works to learn from some, stop by others and judge on the rest."
        )
    return learn, stop, judged


def divide(
    learn: Ints, labels: Sequence[str], works: Sequence[str], ids: Sequence[str], seed: int, share: float = VALID
) -> tuple[Ints, Ints]:
    """Pieces to learn from and, of that share of the works, pieces to stop by."""
    parts = grouped_holdout(
        [labels[i] for i in learn],
        [works[i] for i in learn],
        {"train": 1 - share, "valid": share},
        seed,
        ids=[ids[i] for i in learn],
    )
    return learn[parts.part("train")], learn[parts.part("valid")]


def judge(network: Any, windows: Windows, pieces: Ints, logits: NDArray[np.float32]) -> tuple[Ints, Ints]:
    """Fill in the scores of pieces; their windows and what each was named."""
    which = windows.of_pieces(pieces)
    found = probabilities(network, windows, which)
    for piece in np.unique(windows.piece[which]):
        logits[piece] = piece_logits(found[windows.piece[which] == piece])
    return which, found.argmax(axis=1)


def prepare_folder(folder: Path, key: Mapping[str, Any], *, resume: bool) -> None:
    """The folder of checkpoints: kept where the same training is resumed, emptied otherwise.

    Raises
    ------
    FugatoError
        ``bad-option`` where another training is to be resumed than the one that lies there.
    """
    if is_first():
        _empty(folder, json.dumps(key, sort_keys=True), resume)
    together()


def _empty(folder: Path, text: str, resume: bool) -> None:
    note = folder / "training.json"
    if resume and note.exists():
        if note.read_text(encoding="utf-8") != text:
            raise FugatoError(
                "bad-option",
                "The training that was stopped there had other data or settings; resume it with the same, or start without --resume.",
                str(folder),
            )
        return
    try:
        for part in ("final", *(f"fold-{i}" for i in range(1000))):
            if not (folder / part).exists() and part != "final":
                break
            shutil.rmtree(folder / part, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        note.with_suffix(".tmp").write_text(text, encoding="utf-8")
        os.replace(note.with_suffix(".tmp"), note)  # a kill leaves a whole note or none
    except OSError as error:
        raise FugatoError("bad-output", f"Cannot keep checkpoints there ({error}).", str(folder)) from error
