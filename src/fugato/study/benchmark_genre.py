"""Genre recipes side by side on one collection: under the protocols that flatter, and under those that do not.

- random-segments: segments of 3 s drawn at random, 80 % to learn from: those of one clip stand on both sides (as mfcc-cnn was published).
- random-clips: folds over clips at random: clips of one artist, and repeated ones, stand on both sides.
- filtered-train: the collection's own sides; learnt from its train part alone, judged on its test part.
- filtered-train-valid: learnt from train and valid, judged on test, once everything is chosen.
- artists: the collection's own folds, or folds made here, in which no artist (or recording) stands on two sides.

Every result is kept under the output folder; a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import __version__, metrics
from fugato.composer.window_network import piece_logits
from fugato.corpus.splits import random_kfold_files
from fugato.errors import FugatoError
from fugato.models import fit_temperature, softmax
from fugato.recipes import GENRE
from fugato.recipes import recipe as find_recipe
from fugato.recipes.passages import Passages, load_passages
from fugato.represent.sound_rows import EVERY_FRAME
from fugato.study.report import Predictions, report
from fugato.train.genre import ENCODER, enough, passage_ids, split_of, windows_of
from fugato.train.told import report_failures
from fugato.write.place import make_folder

PROTOCOLS: Final = ("random-segments", "random-clips", "filtered-train", "filtered-train-valid", "artists")
RECIPES: Final = tuple(recipe for recipe in GENRE if recipe != ENCODER)
CLIP_FOLDS: Final = 10
ARTIST_FOLDS: Final = 5
SEGMENTS_LEARNT: Final = 0.8
VALID: Final = 0.15  # of what a network learns from, kept to stop by
PUBLISHED: Final = {
    "mfcc-cnn": {"random-segments": 0.7212},
    "feature-table": {"random-clips": 0.741, "filtered-train-valid": 0.534},
}

Ints = NDArray[np.int64]
Progress = Callable[[str, int, int], None]
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Task:
    """What is shared by all recipes."""

    data: str | os.PathLike[str]
    out: Path
    budget: str
    seed: int
    progress: Progress | None
    passages: dict[bool, Passages] = field(default_factory=dict)  # by whether every frame is kept

    def of(self, every_frame: bool) -> Passages:
        if every_frame not in self.passages:
            folder = self.out / ("frames" if every_frame else "passages")
            found = load_passages(self.data, folder, every_frame=every_frame, progress=self.stage("listening"))
            report_failures(found.failed, "recordings")
            kept = enough(found)
            if len(kept) < len(found):
                found = found.select(kept)
            self.passages[every_frame] = found
        return self.passages[every_frame]

    def stage(self, what: str) -> Callable[[int, int], None] | None:
        progress = self.progress
        return None if progress is None else lambda done, total: progress(what, done, total)


@dataclass(frozen=True, eq=False)
class _Scores:
    """Uncalibrated log scores of everything that was judged, each by a model that did not learn from it."""

    truth: Ints
    logits: NDArray[np.float32]
    groups: NDArray[Any]
    fold: Ints


def benchmark_genre(
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    recipes: Sequence[str] = RECIPES,
    protocols: Collection[str] = PROTOCOLS,
    budget: str = "small",
    random_seed: int = 0,
    pictures: bool = True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train and judge genre recipes on a labelled collection.

    Parameters
    ----------
    data : path
        As `fugato.train.genre.train_genre`.
    out : path
        Folder for ``table.json``, ``table.md``, a report for every recipe and protocol, and what is needed to go on.
    recipes : sequence of str
    protocols : collection of str
        Those that the collection has no sides or folds for are left out, and so are those that a recipe cannot be judged by.
    budget : "full" or "small"
        Of networks.
    random_seed : int
    pictures : bool
        Write the reports (precision, recall, F1 of every genre, confusion matrix, ROC, precision-recall, calibration).
    progress : callable, optional
        Told (what is being done, steps done, steps in all).

    Returns
    -------
    dict
        What ``table.json`` holds.

    Raises
    ------
    FugatoError
        ``bad-option``; ``bad-data``; ``bad-output``.
    """
    unknown = [p for p in protocols if p not in PROTOCOLS]
    if unknown:
        raise FugatoError("bad-option", f"There is no protocol {unknown[0]!r}; there are {', '.join(PROTOCOLS)}.")
    if ENCODER in recipes:
        raise FugatoError(
            "bad-option", f"{ENCODER} needs an encoder: use  fugato train genre --encoder DIR --report DIR."
        )
    hows = {name: find_recipe("genre", name) for name in recipes}
    task = _Task(data, make_folder(out), budget, random_seed, progress)
    table: dict[str, Any] = {
        "fugato": __version__,
        "machine": {"python": platform.python_version(), "cores": os.cpu_count()},
        "collection": task.of(False).name,
        "passages": len(task.of(False)),
        "genres": sorted(set(task.of(False).genres)),
        "groups": len(set(task.of(False).groups)),
        "budget": budget,
        "recipes": {},
    }
    for name, how in hows.items():
        row: dict[str, Any] = {}
        judge = _Network(how, task) if hasattr(how, "kind") else _Direct(how, task)
        for protocol in PROTOCOLS:
            if protocol not in protocols or not judge.can(protocol):
                continue
            folder = task.out / name / protocol
            key = {
                "recipe": name,
                "protocol": protocol,
                "budget": budget,
                "seed": random_seed,
                "passages": table["passages"],
            }
            found = _kept(folder, key)
            if found is None:
                started = time.perf_counter()
                scores = judge.run(protocol)
                found = _figures(scores, table["genres"], name, protocol, folder if pictures else None)
                found["seconds"] = round(time.perf_counter() - started, 1)
                _keep(folder, key, found)
                _log.info("%s, %s: %.4f", name, protocol, found["accuracy"])
            row[protocol] = found
        table["recipes"][name] = row
        (task.out / "table.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (task.out / "table.md").write_text(markdown(table), encoding="utf-8")
    return table


def _sides(passages: Passages, protocol: str, seed: int) -> Iterator[tuple[Ints, Ints]]:
    """What is learnt from and what is judged, in places of passages."""
    own = passages.split or {}
    if protocol == "random-clips":
        ids = passage_ids(passages)
        yield from random_kfold_files(list(passages.genres), min(CLIP_FOLDS, len(ids)), seed, ids=ids).sides()
    elif protocol == "filtered-train":
        yield own["train"], own["test"]
    elif protocol == "filtered-train-valid":
        yield np.concatenate([own["train"], own["valid"]]), own["test"]
    elif passages.folds is not None:
        for fold in np.unique(passages.folds):
            yield np.flatnonzero(passages.folds != fold), np.flatnonzero(passages.folds == fold)
    else:
        genres, groups = np.array(passages.genres), np.array(passages.groups)
        most = min(len(set(groups[genres == genre].tolist())) for genre in set(genres.tolist()))
        yield from split_of(passages, max(min(ARTIST_FOLDS, most), 2), seed).sides()


def _has(passages: Passages, protocol: str) -> bool:
    return not protocol.startswith("filtered") or bool(passages.split)


class _Direct:
    """A recipe that is solved at once."""

    def __init__(self, how: Any, task: _Task) -> None:
        self.how, self.task, self.prepared = how, task, None

    def can(self, protocol: str) -> bool:
        if self.how.NAME == "feature-table" and self.task.of(False).features is None:
            return False
        return (
            hasattr(self.how, "fit_segments") if protocol == "random-segments" else _has(self.task.of(False), protocol)
        )

    def run(self, protocol: str) -> _Scores:
        if self.prepared is None:
            self.prepared = self.how.prepare(self.task.of(False), progress=self.task.stage("describing"))
        prepared: Any = self.prepared
        passages = prepared.passages
        names = sorted(set(passages.genres))
        labels, groups = np.array(passages.genres), np.array(passages.groups)
        truth = metrics.encode(labels.tolist(), names)
        if protocol == "random-segments":
            learn, judge = _segments(len(prepared.owner), self.task.seed)
            owner = prepared.owner
            fitted = self.how.fit_segments(prepared.vectors[learn], labels[owner[learn]])
            logits = fitted.segment_logits(prepared.vectors[judge])
            return _Scores(truth[owner[judge]], logits, groups[owner[judge]], np.arange(len(judge)) % 2)
        parts = []
        for number, (learn, judge) in enumerate(_sides(passages, protocol, self.task.seed)):
            fitted = self.how.fit(prepared, learn, labels[learn], groups[learn])
            parts.append((judge, _placed(fitted.logits(prepared, judge), fitted.labels, names), number))
            if self.task.progress is not None:
                self.task.progress(f"{self.how.NAME}, {protocol}", number + 1, 0)
        return _joined(parts, truth, groups)


class _Network:
    """A network over windows."""

    def __init__(self, how: Any, task: _Task) -> None:
        self.how, self.task, self.windows = how, task, None

    @property
    def passages(self) -> Passages:
        return self.task.of(self.how.kind in EVERY_FRAME)

    def can(self, protocol: str) -> bool:
        return _has(self.passages, protocol)

    def run(self, protocol: str) -> _Scores:
        from fugato.train.loop import Examples, fit, probabilities

        if self.windows is None:
            self.windows = windows_of(self.passages, self.how)
        windows: Any = self.windows
        passages, seed = self.passages, self.task.seed
        names = sorted(set(passages.genres))
        truth, groups = metrics.encode(list(passages.genres), names), np.array(passages.groups)
        settings = self.how.settings({}, self.task.budget if self.task.budget in self.how.BUDGETS else "full")
        label = truth[windows.piece]
        parts = []
        rng = np.random.default_rng(seed)
        if protocol == "random-segments":
            sides: Any = [_segments(len(windows), seed)]
        else:
            sides = list(_sides(passages, protocol, seed))
        for number, (learn, judge) in enumerate(sides):
            if protocol == "random-segments":
                some = rng.permutation(learn)
                cut = round(VALID * len(some))
                watch, use, asked = np.sort(some[:cut]), np.sort(some[cut:]), judge
            else:
                use, watch = (windows.of_pieces(side) for side in self._apart(protocol, learn))
                asked = windows.of_pieces(judge)
            folder = self.task.out / self.how.NAME / protocol / f"training-{number}"
            trained = fit(
                self.how,
                Examples(windows, use, label[use]),
                Examples(windows, watch, label[watch]),
                len(names),
                settings,
                folder,
                seed=seed,
                resume=True,
                devices="auto",
                nodes=1,
                precision="32-true",
                progress=self.task.stage(f"{self.how.NAME}, {protocol}"),
            )
            found = probabilities(trained.network, windows, asked)
            shutil.rmtree(folder, ignore_errors=True)
            if protocol == "random-segments":
                owner = windows.piece[asked]
                logits = np.log(np.maximum(found, 1e-9)).astype(np.float32)
                return _Scores(truth[owner], logits, groups[owner], np.arange(len(asked)) % 2)
            scores = np.stack([piece_logits(found[windows.piece[asked] == piece]) for piece in judge])
            parts.append((judge, scores, number))
        return _joined(parts, truth, groups)

    def _apart(self, protocol: str, learn: Ints) -> tuple[Ints, Ints]:
        """Passages to learn from and to stop by: the collection's valid part where that is not learnt from, else some artists."""
        from fugato.train.networks import divide

        passages = self.passages
        if protocol == "filtered-train" and passages.split:
            return learn, passages.split["valid"]
        return divide(learn, list(passages.genres), list(passages.groups), passage_ids(passages), self.task.seed)


def _segments(n: int, seed: int) -> tuple[Ints, Ints]:
    order = np.random.default_rng(seed).permutation(n)
    cut = round(SEGMENTS_LEARNT * n)
    return np.sort(order[:cut]), np.sort(order[cut:])


def _placed(logits: NDArray[Any], labels: Sequence[str], names: Sequence[str]) -> NDArray[np.float32]:
    """Scores in the order of `names`; a genre that was not learnt from gets the lowest."""
    out = np.full((len(logits), len(names)), logits.min() - 10 * max(float(np.ptp(logits)), 1.0), np.float32)
    out[:, [names.index(label) for label in labels]] = logits
    return out


def _joined(parts: Sequence[tuple[Ints, NDArray[Any], int]], truth: Ints, groups: NDArray[Any]) -> _Scores:
    """All that was judged; where there was one part, its halves calibrate each other."""
    judged = np.concatenate([judge for judge, _, _ in parts])
    fold = np.concatenate([np.full(len(judge), number) for judge, _, number in parts])
    if len(parts) == 1:
        fold = np.arange(len(judged)) % 2
    return _Scores(truth[judged], np.concatenate([scores for _, scores, _ in parts]), groups[judged], fold)


def _figures(scores: _Scores, names: Sequence[str], recipe: str, protocol: str, folder: Path | None) -> dict[str, Any]:
    """Calibrated by the other folds, then everything that `fugato.metrics.evaluate` gives."""
    answers = np.zeros(scores.logits.shape)
    for fold in np.unique(scores.fold):
        here = scores.fold == fold
        other = ~here if (~here).any() else here
        answers[here] = softmax(scores.logits[here], fit_temperature(scores.logits[other], scores.truth[other]))
    if folder is not None:
        told = Predictions(
            names,
            scores.truth,
            answers,
            scores.groups,
            unit="segment" if protocol == "random-segments" else "clip",
        )
        report(told, folder / "report", title=f"{recipe}, {protocol}")
    return metrics.evaluate(scores.truth, answers, names, groups=scores.groups)


def _kept(folder: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found["result"] if found.get("key") == key else None


def _keep(folder: Path, key: dict[str, Any], result: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    building = folder / "result.tmp"
    building.write_text(json.dumps({"key": key, "result": result}), encoding="utf-8")
    building.replace(folder / "result.json")


def markdown(table: dict[str, Any]) -> str:
    """The table for people: a row a recipe, a column a protocol, accuracy with its 95 % interval over artists or recordings."""
    used = [p for p in PROTOCOLS if any(p in row for row in table["recipes"].values())]
    lines = ["| recipe | " + " | ".join(used) + " |", "|---" * (1 + len(used)) + "|"]
    for name, row in table["recipes"].items():
        cells = []
        for protocol in used:
            found = row.get(protocol)
            if found is None:
                cells.append("")
                continue
            low, high = found["intervals"]["accuracy"]
            known = PUBLISHED.get(name, {}).get(protocol)
            before = f"; published {known:.3f}" if known and table["collection"] == "gtzan" else ""
            cells.append(f"{found['accuracy']:.3f} [{low:.3f}, {high:.3f}]{before}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
