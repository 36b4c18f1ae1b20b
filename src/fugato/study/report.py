"""A report on what a classifier answered: figures, pictures and a page that says what can be read from them.

The core takes arrays, so that composers, genres and anything else with labels and probabilities get the same report: a `Predictions`
goes in, and a folder with ``report.md``, ``report.json`` and pictures comes out. Figures are those of scikit-learn's metrics;
95 % intervals are bootstrapped over works (`fugato.metrics.bootstrap_interval`), because pieces of one work are not independent.
A model that answers by windows is judged twice: each window for itself, and each piece by the mean of its windows' probabilities.

It needs scikit-learn (the extra ``train``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.errors import FugatoError
from fugato.models.card import CARD_NAME
from fugato.study import figures, report_page
from fugato.study.measure import Level, measure

RESAMPLES: Final = 1000

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was true of some pieces and what a model answered.

    Parameters
    ----------
    labels : sequence of str
        Names that the model can answer with, in the order of the columns.
    truth : int array-like, shape=(n_pieces,)
        Place of each piece's own name among the labels. All of them need not occur.
    probabilities : float array-like, shape=(n_windows, n_labels)
        Rows that sum to 1; one row a piece, in the order of the pieces, where there is no `piece_of_window`.
    groups : sequence, length n_pieces, optional
        The work of each piece; without it every piece is taken for a work of its own.
    piece_of_window : int array-like, shape=(n_windows,), optional
        The piece that each row belongs to; every piece has at least one.
    pieces : sequence of str, length n_pieces, optional
        Names of the pieces, for the list of those answered wrongly.
    answers : float array-like, shape=(n_pieces, n_labels), optional
        What the model says of each piece, where that is not just the mean of its windows (a calibrated one, say).
    unit, window : str
        What a piece and a window are called in the report, as in "recording" and "segment".

    Raises
    ------
    FugatoError
        ``bad-data`` where the arrays do not fit together or hold no probabilities.
    """

    labels: Sequence[str]
    truth: NDArray[Any] | Sequence[int]
    probabilities: NDArray[Any]
    groups: Sequence[Hashable] | NDArray[Any] | None = None
    piece_of_window: NDArray[Any] | Sequence[int] | None = None
    pieces: Sequence[str] | None = None
    answers: NDArray[Any] | None = None
    unit: str = "piece"
    window: str = "window"

    def __post_init__(self) -> None:
        n = len(self.truth)
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise _bad(
                f"there are {len(set(self.labels))} different labels of {len(self.labels)}; at least two are needed"
            )
        for name, given in (("groups", self.groups), ("pieces", self.pieces)):
            if given is not None and len(given) != n:
                raise _bad(f"{name} has {len(given)} entries for {n} pieces")
        if self.piece_of_window is not None:
            owner = np.asarray(self.piece_of_window)
            if owner.shape != (len(self.probabilities),) or not np.issubdtype(owner.dtype, np.integer):
                raise _bad(f"piece_of_window has shape {owner.shape} for {len(self.probabilities)} windows")
            if n and len(owner) and (owner.min() < 0 or owner.max() >= n):
                raise _bad(f"piece_of_window holds {owner.min()}..{owner.max()} for {n} pieces")
            empty = np.flatnonzero(np.bincount(owner, minlength=n) == 0)
            if len(empty):
                raise _bad(f"piece {empty[0]} has no window ({len(empty)} of {n} have none); leave such pieces out")
        metrics.validate(self.truth)
        metrics.validate(self.window_truth, probabilities=self.probabilities, n_classes=len(self.labels))
        if self.answers is not None:
            metrics.validate(self.truth, probabilities=self.answers, n_classes=len(self.labels))

    @cached_property
    def piece_truth(self) -> Ints:
        """The truth as an array, shape=(n_pieces,)."""
        return np.asarray(self.truth, dtype=np.int64)

    @cached_property
    def piece_groups(self) -> Ints:
        """Works as numbers, shape=(n_pieces,)."""
        if self.groups is None:
            return np.arange(len(self.truth))
        numbers: dict[Hashable, int] = {}
        return np.array([numbers.setdefault(group, len(numbers)) for group in self.groups], dtype=np.int64)

    @cached_property
    def owner(self) -> Ints:
        """The piece of each window, shape=(n_windows,)."""
        if self.piece_of_window is None:
            return np.arange(len(self.probabilities))
        return np.asarray(self.piece_of_window, dtype=np.int64)

    @property
    def window_truth(self) -> Ints:
        """The truth of each window, shape=(n_windows,)."""
        return self.piece_truth if self.piece_of_window is None else self.piece_truth[self.owner]

    @cached_property
    def piece_probabilities(self) -> NDArray[np.float64]:
        """The answers, or else the mean of the windows' probabilities, shape=(n_pieces, n_labels)."""
        if self.answers is not None:
            return np.asarray(self.answers, dtype=np.float64)
        table = np.asarray(self.probabilities)
        if self.piece_of_window is None:
            return table.astype(np.float64)
        n = len(self.piece_truth)
        total = np.stack([np.bincount(self.owner, table[:, c], n) for c in range(table.shape[1])], axis=1)
        mean: NDArray[np.float64] = total / np.bincount(self.owner, minlength=n)[:, None]
        return mean


@dataclass(frozen=True, eq=False)
class Report:
    """A report that was written.

    Attributes
    ----------
    folder : Path
        With report.md, report.json and the pictures.
    levels : tuple of Level
        Pieces first, then windows where there are any.
    values : dict
        The contents of report.json.
    """

    folder: Path
    levels: tuple[Level, ...]
    values: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return self.values


def report(
    predictions: Predictions,
    out: str | os.PathLike[str],
    *,
    title: str = "Report",
    remarks: Sequence[str] = (),
    left_out: Mapping[str, Sequence[str]] | None = None,
    about: Mapping[str, Any] | None = None,
    order: Sequence[str] | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    trials: Sequence[Mapping[str, Any]] | None = None,
    resamples: int = RESAMPLES,
    random_seed: int = 0,
) -> Report:
    """Measure predictions and write the report into a folder, made where it is missing.

    Parameters
    ----------
    predictions : Predictions
    out : path
        A folder. An older report in it is replaced.
    title : str
        The heading.
    remarks : sequence of str
        Sentences that a reader must know before the figures, such as that the model has seen these pieces.
    left_out : mapping of str to sequence of str, optional
        Why something is not in the figures, and what: named on the page and kept whole in report.json.
    about : mapping, optional
        JSON values on model and data, for report.json.
    order : sequence of str, optional
        Labels in the order of the confusion matrix's rows; that of the columns otherwise.
    history : sequence of mappings, optional
        Of training: ``{"epoch", "train_loss", "valid_loss", "train_accuracy", "valid_accuracy"}`` for each epoch.
    trials : sequence of mappings, optional
        Of tuning: ``{"number", "value", "params", "state"}``; a higher value is better.
    resamples : int
        Of the bootstrap.
    random_seed : int
        Of the bootstrap.

    Raises
    ------
    FugatoError
        ``bad-option`` without scikit-learn; ``bad-output`` where the folder cannot be written or is a model's.
    """
    folder = check_folder(out)
    levels = [
        measure(
            predictions.labels,
            predictions.piece_truth,
            predictions.piece_probabilities,
            predictions.piece_groups,
            name="piece",
            unit=predictions.unit,
            resamples=resamples,
            random_seed=random_seed,
        )
    ]
    if predictions.piece_of_window is not None:
        levels.append(
            measure(
                predictions.labels,
                predictions.window_truth,
                np.asarray(predictions.probabilities),
                predictions.piece_groups[predictions.owner],
                name="window",
                unit=predictions.window,
                resamples=resamples,
                random_seed=random_seed,
            )
        )
    runs = figures.epochs(history or [])
    tried = figures.finished(trials or [])
    rows = {label: i for i, label in enumerate(predictions.labels)}
    drawn = [rows[name] for name in order if name in rows] if order is not None else []
    drawn += [i for i in range(len(rows)) if i not in set(drawn)]
    pictures: dict[str, str] = {}
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        for level in levels:
            for name, figure in figures.of_level(level, drawn):
                pictures[f"{level.name}-{name}"] = figures.save(figure, folder / f"{level.name}-{name}.png")
        if runs:
            pictures["learning"] = figures.save(figures.learning(runs), folder / "learning.png")
        if tried:
            pictures["tuning"] = figures.save(figures.tuning(tried), folder / "tuning.png")
        values = {
            "title": title,
            "about": dict(about or {}),
            "remarks": list(remarks),
            "labels": list(predictions.labels),
            "pieces_by": "the model's own answer" if predictions.answers is not None else "mean over windows",
            "bootstrap": {"n": resamples, "seed": random_seed, "level": 0.95, "over": "works"},
            "levels": {level.name: level.to_dict() for level in levels},
            "wrong": _wrong(predictions),
            "left_out": {reason: list(names) for reason, names in (left_out or {}).items()},
            "history": [dict(run) for run in history or []],
            "trials": [dict(trial) for trial in trials or []],
            "pictures": pictures,
        }
        page = report_page.page(values, levels, pictures, runs, tried)
        (folder / "report.md").write_text(page, encoding="utf-8", errors="replace")
        text = json.dumps(values, ensure_ascii=True, indent=1, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    return Report(folder, tuple(levels), values)


def check_folder(out: str | os.PathLike[str]) -> Path:
    """Whether a report can be written there, to be asked before a collection is read.

    Raises
    ------
    FugatoError
        ``bad-output`` for a file, or for a model folder, which holds nothing but its model.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise FugatoError("bad-output", "There is a file of that name; give the report a folder.", str(folder))
    if any((place / CARD_NAME).exists() for place in (folder, folder.absolute().parent)):
        raise FugatoError(
            "bad-output",
            "That is a model folder, which holds only its model; give the report another one.",
            str(folder),
        )
    nearest = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise FugatoError("bad-output", f"The report cannot be written: {nearest} cannot be written to.", str(folder))
    return folder


class _written:
    """What goes wrong with the file system inside is one sentence about the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise FugatoError("bad-output", f"The report cannot be written ({reason}).", str(self.folder)) from error


def _clear(folder: Path) -> None:
    """Remove the pictures of an older report, lest they stand beside the new figures."""
    try:
        listed = json.loads((folder / "report.json").read_text(encoding="utf-8"))["pictures"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    for name in listed:
        if isinstance(name, str) and Path(name).name == name and name.endswith(".png"):
            (folder / name).unlink(missing_ok=True)


def _wrong(predictions: Predictions) -> list[dict[str, Any]]:
    """Pieces answered wrongly, those first that the model was surest of; none where the pieces have no names."""
    if predictions.pieces is None:
        return []
    table, truth = predictions.piece_probabilities, predictions.piece_truth
    answer, sure = table.argmax(axis=1), table.max(axis=1)
    wrong = np.flatnonzero(answer != truth)
    return [
        {
            predictions.unit: predictions.pieces[i],
            "truth": predictions.labels[truth[i]],
            "answer": predictions.labels[answer[i]],
            "probability": round(float(sure[i]), 6),
            "probability_of_truth": round(float(table[i, truth[i]]), 6),
        }
        for i in wrong[np.argsort(-sure[wrong], kind="stable")]
    ]


def _bad(message: str) -> FugatoError:
    return FugatoError("bad-data", f"For a report {message}.")
