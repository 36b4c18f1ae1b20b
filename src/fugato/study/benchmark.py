"""All recipes on one collection, under the published protocol and under an honest one, in one table.

Every training is kept with its answers under the output folder, so that a benchmark that was stopped goes on where it was.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import metrics
from fugato.composer import identify
from fugato.composer.window_network import piece_logits
from fugato.corpus import Corpus, Piece, grouped_kfold, load_corpus, work_groups
from fugato.corpus.splits import Split, random_kfold_files
from fugato.errors import FugatoError
from fugato.models import Card, save_model, softmax
from fugato.read import read
from fugato.recipes import COMPOSER
from fugato.recipes import recipe as find_recipe
from fugato.study.benchmark_table import markdown
from fugato.train import networks, store
from fugato.train.composer import select
from fugato.train.judge import ABSENT, Judged, halves
from fugato.train.loop import fit, n_parameters, probabilities
from fugato.write.place import make_folder

# Judged on one fold alone under the small budget: a training takes them some twenty minutes on two cores, or more.
HEAVY: Final = ("bilstm-attention", "note-lstm", "note-transformer", "pianoroll-cnn", "spectrogram-cnn", "onset-cnn")
PUBLISHED_PIECES: Final = 120  # a composer, of the study of four
DRAWS: Final = 5
FIRST_SEED: Final = 42  # the publication's
PROTOCOLS: Final = ("published", "filed", "honest")
SIDES: Final = {"train": 0, "dev": 1, "valid": 1, "validation": 1, "test": 2}  # names that collections give their sides
TIMED: Final = 20  # pieces whose answers are timed
FLOOR: Final = 1e-9

Progress = Callable[[str, int, int], None]
Ints = NDArray[np.int64]
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Task:
    """What is shared by all recipes."""

    corpus: Corpus
    names: tuple[str, ...]
    folds: Split
    out: Path
    budget: str
    seed: int
    jobs: int
    draws: int
    progress: Progress | None

    @cached_property
    def piece(self) -> dict[str, Piece]:
        """Pieces by their ids."""
        return {piece.id: piece for piece in self.corpus}

    def stage(self, what: str) -> Callable[[int, int], None] | None:
        progress = self.progress
        return None if progress is None else lambda done, total: progress(what, done, total)


def benchmark(
    task: str,
    data: str | os.PathLike[str] | Corpus,
    *,
    out: str | os.PathLike[str],
    recipes: Sequence[str] = tuple(COMPOSER),
    protocols: Collection[str] = ("published", "honest"),
    composers: Collection[str] | None = None,
    without: Collection[str] = (),
    folds: int = 5,
    budget: str = "small",
    random_seed: int = 0,
    jobs: int = 2,
    draws: int = DRAWS,
    fuse: Sequence[tuple[str, str]] = (("ngram-linear", "spectrogram-cnn"),),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train and judge recipes on a labelled collection.

    Parameters
    ----------
    task : "composer"
    data : path or Corpus
    out : path
        Folder for ``table.json``, ``table.md`` and what has been trained; a second run goes on there.
    recipes : sequence of str
    protocols : collection of "published", "filed" and "honest"
        "filed" learns from the collection's own train folder, stops by its dev folder and judges its test folder, where it has them.
    composers, without : collections of str
        As `fugato.train.train`.
    folds : int
        Of the honest protocol, grouped by work; the same for all recipes. Under the small budget heavy networks are judged on the
        first of them alone, which the table says.
    budget : "full" or "small"
    random_seed, jobs, progress
        As `fugato.train.train`.
    draws : int
        How often a published protocol is drawn that splits few files at random, at least once.
    fuse : sequence of pairs of recipes
        Judged together as well, where both were.

    Returns
    -------
    dict
        What ``table.json`` holds.

    Raises
    ------
    FugatoError
        ``bad-option``, ``bad-data``, ``bad-output``.
    """
    if task != "composer":
        raise FugatoError("bad-option", f"There is no benchmark for {task!r}; choose composer.")
    hows = [find_recipe(task, name) for name in recipes]
    if unknown := set(protocols) - set(PROTOCOLS):
        raise FugatoError(
            "bad-option", f"There is no protocol {', '.join(sorted(unknown))}; choose {' or '.join(PROTOCOLS)}."
        )
    if folds < 2:
        raise FugatoError("bad-option", f"folds is {folds}; it must be at least 2.")
    if draws < 1:
        raise FugatoError("bad-option", f"draws is {draws}; it must be at least 1.")
    target = make_folder(out)
    corpus = select(load_corpus(data), composers=composers, without=without)
    if "filed" in protocols:
        _own_sides(corpus)
    grouped = corpus
    if any(piece.group is None for piece in corpus):
        grouped = corpus.with_groups(work_groups(corpus, jobs=jobs))
    works = [piece.group or piece.id for piece in grouped]
    k = min(folds, len(set(works)))
    shared = _Task(
        grouped,
        tuple(sorted(set(grouped.labels))),
        grouped_kfold(grouped.labels, works, k, random_seed, ids=grouped.ids),
        target,
        budget,
        random_seed,
        jobs,
        draws,
        progress,
    )
    shared.folds.check(works)
    table: dict[str, Any] = {
        "task": task,
        "corpus": corpus.name,
        "composers": corpus.composers(),
        "pieces": len(corpus),
        "works": len(set(works)),
        "budget": budget,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "recipes": {},
    }
    heard: dict[str, dict[str, NDArray[np.float64]]] = {}
    for how in hows:
        row: dict[str, Any] = {}
        is_network = hasattr(how, "kind")
        if is_network and how.published is not None:
            row["published figure"] = {"accuracy": how.published.accuracy, "on": how.published.corpus}
        if "published" in protocols:
            with _said(row, "published protocol", how.NAME):
                row["published protocol"] = _published(how, shared) if is_network else _random_files(how, shared)
        if "filed" in protocols:
            with _said(row, "filed", how.NAME):
                row["filed"] = _filed(how, shared)
        if "honest" in protocols:
            with _said(row, "honest", how.NAME):
                row["honest"], heard[how.NAME] = _honest(how, shared)
        table["recipes"][how.NAME] = row
        _write(target, table)
    reasons = [reason for row in table["recipes"].values() for reason in row.get("not measured", {}).values()]
    if reasons and len(reasons) == len(hows) * len(set(protocols)):
        raise FugatoError("bad-data", reasons[0], corpus.name)
    for pair in fuse:
        if all(name in heard for name in pair):
            table["recipes"][" + ".join(pair)] = {"honest": _fused(heard, pair, shared)}
    _write(target, table)
    return table


@contextmanager
def _said(row: dict[str, Any], name: str, recipe: str) -> Iterator[None]:
    """What the collection does not suffice for is said in the row; the others are measured nonetheless."""
    try:
        yield
    except FugatoError as e:
        if e.kind != "bad-data":
            raise
        row.setdefault("not measured", {})[name] = e.message
        _log.warning("%s, %s: %s", recipe, name, e.message)


# -- the honest way ----------------------------------------------------------------------------------------------------


def _honest(how: Any, task: _Task) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Figures over works that were not learnt from, and the log probabilities of each piece by its id, calibrated on other works."""
    is_network = hasattr(how, "kind")
    split, most = (
        task.folds,
        1 if is_network and task.budget == "small" and how.NAME in HEAVY else len(task.folds.parts),
    )
    started = time.perf_counter()
    results = _network_folds(how, task, split, most) if is_network else _direct_folds(how, task, split)
    ids = [i for result in results for i in result["ids"]]
    logits = np.concatenate([result["logits"] for result in results])
    truth = metrics.encode([task.piece[i].composer for i in ids], task.names)
    works = np.array([task.piece[i].group or i for i in ids])
    given = Judged(tuple(task.names), truth, works, halves(works), logits).probabilities()
    figures = metrics.evaluate(truth, given, task.names, groups=works)
    out: dict[str, Any] = {
        "protocol": f"{len(split.parts)}-fold over works" + (", the first fold alone" if most == 1 else ""),
        "pieces": len(ids),
        "of": int(sum(len(judge) for _, judge in itertools.islice(split.sides(), most))),
        "piece level": {key: figures[key] for key in ("balanced_accuracy", "accuracy", "macro_f1")},
        "intervals": {key: figures["intervals"][key] for key in ("balanced_accuracy", "accuracy", "macro_f1")},
        "training seconds": round(float(np.mean([result["seconds"] for result in results])), 1),
        "parameters": int(results[0]["parameters"]),
        "latency ms": round(float(results[0]["latency"]) * 1000, 1),
    }
    if is_network:
        named = np.concatenate([result["window_named"] for result in results])
        meant = np.concatenate([result["window_truth"] for result in results])
        out["window level"] = {
            "balanced_accuracy": metrics.balanced_accuracy(meant, named),
            "accuracy": metrics.accuracy(meant, named),
            "macro_f1": metrics.macro_f1(meant, named),
            "n": len(meant),
        }
    _log.info("%s, honest: %s (%.0f s)", how.NAME, out["piece level"], time.perf_counter() - started)
    return out, dict(zip(ids, np.log(np.maximum(given, FLOOR)), strict=True))


def _network_folds(how: Any, task: _Task, split: Split, most: int) -> list[dict[str, Any]]:
    windows, labels, works = _windows(how, task)
    label = metrics.encode(labels, task.names)
    ids = [piece.id for piece in windows.pieces]
    part = split.fold_of(ids)
    settings = how.settings({}, task.budget)
    results = []
    for number, judged_part in enumerate(_judged_parts(split)[:most]):
        folder = task.out / how.NAME / "honest" / f"fold-{number}"
        key = {"settings": settings, "ids": ids, "parts": part.tolist(), "judged": judged_part}
        if (found := _kept(folder, key)) is not None:
            results.append(found)
            continue
        learn, judge = np.flatnonzero((part != judged_part) & (part >= 0)), np.flatnonzero(part == judged_part)
        if not len(judge):
            continue
        some, stop = networks.divide(learn, labels, works, ids, task.seed)
        tell = task.stage(f"{how.NAME}, fold {number + 1}")
        trained, result = _judged(how, task, windows, label, (some, stop, judge), settings, folder, tell)
        result["latency"] = np.array(
            _latency(how, task, _network_parts(trained.network, windows)) if not results else 0.0
        )
        results.append(_keep(folder, key, result))
    if not results:
        raise FugatoError("bad-data", "None of the pieces to judge is long enough.")
    return results


def _judged(
    how: Any,
    task: _Task,
    windows: store.Windows,
    label: Ints,
    sides: tuple[Ints, Ints, Ints],
    settings: dict[str, float],
    folder: Path,
    tell: Callable[[int, int], None] | None,
) -> tuple[Any, dict[str, Any]]:
    """A network that learnt from some pieces and stopped by others, and what it said of the windows and pieces of the third side."""
    learn, stop, judge = sides
    _check_sides(*(windows.of_pieces(side) for side in sides))
    options = {"seed": task.seed, "resume": True}
    trained = networks.run(how, windows, label, len(task.names), learn, stop, settings, folder, tell, options)
    which = windows.of_pieces(judge)
    given = probabilities(trained.network, windows, which)
    heard = np.unique(windows.piece[which])
    return trained, {
        "ids": np.array([windows.pieces[i].id for i in heard]),
        "logits": np.array([piece_logits(given[windows.piece[which] == i]) for i in heard]),
        "window_truth": label[windows.piece[which]],
        "window_named": given.argmax(axis=1),
        "seconds": np.array(trained.seconds),
        "parameters": np.array(n_parameters(trained.network)),
    }


def _check_sides(learn: Sized, stop: Sized, judge: Sized) -> None:
    for side, use in ((learn, "learn from"), (stop, "stop by"), (judge, "be judged by")):
        if not len(side):
            raise FugatoError("bad-data", f"Its pieces are too few, or too short: no window is left to {use}.")


def _direct_folds(how: Any, task: _Task, split: Split) -> list[dict[str, Any]]:
    folders = [task.out / how.NAME / "honest" / f"fold-{i}" for i in range(len(_judged_parts(split)))]
    shared = {"ids": task.corpus.ids, "folds": list(split.folds), "settings": how.DEFAULTS}
    keys = [{**shared, "fold": i} for i in range(len(folders))]
    found = [_kept(folder, key) for folder, key in zip(folders, keys, strict=True)]
    if all(found):
        return [result for result in found if result is not None]
    prepared = how.prepare(task.corpus, jobs=task.jobs, progress=task.stage(f"{how.NAME}, reading"))
    ids = [piece.id for piece in prepared.pieces]
    labels = np.array([piece.composer for piece in prepared.pieces])
    works = np.array([piece.group or piece.id for piece in prepared.pieces])
    part = split.fold_of(ids)
    results = []
    for number, judged_part in enumerate(_judged_parts(split)):
        learn, judge = np.flatnonzero(part != judged_part), np.flatnonzero(part == judged_part)
        started = time.perf_counter()
        fitted = how.fit(prepared, learn, labels[learn], works[learn])
        seconds = time.perf_counter() - started
        logits = np.full((len(judge), len(task.names)), ABSENT, np.float32)
        logits[:, [task.names.index(name) for name in fitted.labels]] = fitted.logits(prepared, judge)
        parts = how.export(prepared, fitted)
        result = {
            "ids": np.array([ids[i] for i in judge]),
            "logits": logits,
            "seconds": np.array(seconds),
            "parameters": np.array(parts["weights"]["weights"].size),
            "latency": np.array(_latency(how, task, parts, fitted.labels) if number == 0 else 0.0),
        }
        results.append(_keep(folders[number], keys[number], result))
    return results


def _judged_parts(split: Split) -> list[int]:
    return [len(split.parts) - 1] if split.kind == "parts" else list(range(len(split.parts)))


# -- by the collection's own folders -------------------------------------------------------------------------------------


def _own_sides(corpus: Corpus) -> dict[str, int]:
    """The place in learning, stopping and judging that a collection's own folders give each piece, by its id."""
    side = {piece.id: SIDES.get(piece.split.lower(), -1) for piece in corpus}
    if set(side.values()) != {0, 1, 2}:
        raise FugatoError("bad-data", "It has no folders train, dev and test of its own.", corpus.name)
    return side


def _filed(how: Any, task: _Task) -> dict[str, Any]:
    """Accuracy on the collection's own test folder, over windows and over pieces."""
    side = _own_sides(task.corpus)
    folder = task.out / how.NAME / "filed"
    if hasattr(how, "kind"):
        windows, labels, _ = _windows(how, task)
        place = np.array([side[piece.id] for piece in windows.pieces])
        settings = how.settings({}, task.budget)
        key = {"settings": settings, "place": place.tolist()}
        if (result := _kept(folder, key)) is None:
            label = metrics.encode(labels, task.names)
            sides = (np.flatnonzero(place == 0), np.flatnonzero(place == 1), np.flatnonzero(place == 2))
            tell = task.stage(f"{how.NAME}, by folders")
            result = _keep(folder, key, _judged(how, task, windows, label, sides, settings, folder, tell)[1])
        over = {"window accuracy": metrics.accuracy(result["window_truth"], result["window_named"])}
    else:  # it stops by nothing: it learns from the dev folder too
        shown = replace(task, out=task.out / "filed")
        ids = tuple(task.corpus.ids)
        parts = Split("filed", "filed", 0, ids, tuple(side[i] // 2 for i in ids), ("learn", "judge"), "parts", False)
        (result,), over = _direct_folds(how, shown, parts), {}
    truth = metrics.encode([task.piece[i].composer for i in result["ids"]], task.names)
    named = result["logits"].argmax(axis=1)
    return {
        "protocol": "the collection's own folders: learnt from train, stopped by dev, judged on test",
        "pieces": len(truth),
        **over,
        "accuracy": metrics.accuracy(truth, named),
        "balanced_accuracy": metrics.balanced_accuracy(truth, named),
    }


# -- as published ------------------------------------------------------------------------------------------------------


def _published(how: Any, task: _Task) -> dict[str, Any]:
    """Accuracy over windows under the publication's own split.

    Where few files are split at random a single draw says little: what the publication drew once is drawn several times.
    """
    from fugato.study.protocols import SAYS, quarters

    protocol = how.published.protocol if how.published is not None else "mixed-chunks"
    others = range(1, task.draws) if protocol == "mixed-chunks" else ()
    draws: list[dict[str, Any]] = []
    unusable: FugatoError | None = None
    for seed in (FIRST_SEED, *others):
        try:
            draws.append(_draw(how, task, protocol, seed))
        except FugatoError as e:  # too few files for this draw: others may have one of every side
            if e.kind != "bad-data":
                raise
            unusable = e
    if unusable is not None and not draws:
        raise unusable
    accuracies = [metrics.accuracy(draw["truth"], draw["named"]) for draw in draws]
    out = {
        "protocol": f"{protocol}: {SAYS[protocol]}",
        "windows": [int(n) for n in draws[0]["windows"]],
        "accuracy": float(np.mean(accuracies)),
        "accuracies": [round(value, 4) for value in accuracies],
        "balanced_accuracy": float(np.mean([metrics.balanced_accuracy(d["truth"], d["named"]) for d in draws])),
        "macro_f1": float(np.mean([metrics.macro_f1(d["truth"], d["named"]) for d in draws])),
        "training seconds": round(float(np.mean([d["seconds"] for d in draws])), 1),
        "epochs": [int(d["epochs"]) for d in draws],
        "best epochs": [int(d["best_epoch"]) for d in draws],
    }
    if protocol == "mixed-chunks" and (along := quarters(draws)):
        out["quarters"] = along
    _log.info("%s, as published: %.4f %s", how.NAME, out["accuracy"], out["accuracies"])
    return out


def _draw(how: Any, task: _Task, protocol: str, seed: int) -> dict[str, Any]:
    """What one random split comes to."""
    from fugato.study.protocols import pieces_within, published

    hop = how.published.hop if how.published is not None else 0
    windows, labels, _ = _windows(how, task, hop)
    settings = how.settings({}, task.budget)
    sides = published(
        protocol,
        windows,
        labels,
        task.names,
        fractions=how.published.fractions if how.published is not None else (0.8, 0.1, 0.1),
        pieces_per_composer=PUBLISHED_PIECES if protocol == "mixed-chunks" else 0,
        windows_per_composer=int(settings["windows_per_composer"]),
        seed=seed,
    )
    _check_sides(*sides)
    folder = task.out / how.NAME / "published" / f"draw-{seed}"
    sizes = [len(side) for side in sides]
    key = {"settings": settings, "protocol": protocol, "hop": hop, "windows": sizes}
    mixed = {"pieces": pieces_within(windows, sides.judge)} if protocol == "mixed-chunks" else {}
    if (result := _kept(folder, key)) is not None:
        return {**result, **mixed}
    tell = task.stage(f"{how.NAME}, as published, draw {seed}")
    given = {**settings, "windows_per_composer": 0}
    trained = fit(
        how, sides.learn, sides.stop, len(task.names), given, folder, seed=task.seed, resume=True, progress=tell
    )
    result = _keep(
        folder,
        key,
        {
            "truth": sides.judge.label,
            "named": probabilities(trained.network, sides.judge.windows, sides.judge.which).argmax(axis=1),
            "windows": np.array(sizes),
            "seconds": np.array(trained.seconds),
            "epochs": np.array(len(trained.history)),
            "best_epoch": np.array(trained.best_epoch),
        },
    )
    return {**result, **mixed}


def _random_files(how: Any, task: _Task) -> dict[str, Any]:
    """The same recipe where files are split at random, for want of a publication."""
    from fugato.study.protocols import SAYS

    split = random_kfold_files(task.corpus.labels, len(task.folds.parts), task.seed, ids=task.corpus.ids)
    shown = replace(task, out=task.out / "random-files")
    results = _direct_folds(how, shown, split)
    truth = metrics.encode([task.piece[i].composer for r in results for i in r["ids"]], task.names)
    named = np.concatenate([result["logits"].argmax(axis=1) for result in results])
    return {
        "protocol": f"random-files: {SAYS['random-files']}",
        "accuracy": metrics.accuracy(truth, named),
        "balanced_accuracy": metrics.balanced_accuracy(truth, named),
        "macro_f1": metrics.macro_f1(truth, named),
    }


# -- shared ------------------------------------------------------------------------------------------------------------


def _windows(how: Any, task: _Task, hop: int = 0) -> tuple[store.Windows, list[str], list[str]]:
    """The collection's windows, kept once for all recipes of the same kind, with composer and work of each piece."""
    hop = hop or how.hop
    windows = store.prepare(
        task.corpus,
        task.out / "windows" / f"{how.kind}-{hop}-{how.limit}",
        how.kind,
        hop=hop,
        limit=how.limit,
        copies=how.copies,
        jobs=task.jobs,
        progress=task.stage(f"{how.kind} windows"),
    )
    labels = [piece.composer for piece in windows.pieces]
    return windows, labels, [piece.group or piece.id for piece in windows.pieces]


def _fused(heard: dict[str, dict[str, NDArray[np.float64]]], pair: tuple[str, str], task: _Task) -> dict[str, Any]:
    """Geometric mean of the probabilities of two recipes, over the pieces that both judged unseen."""
    one, other = (heard[name] for name in pair)
    ids = [i for i in one if i in other]
    truth = metrics.encode([task.piece[i].composer for i in ids], task.names)
    works = np.array([task.piece[i].group or i for i in ids])
    keys = ("balanced_accuracy", "accuracy", "macro_f1")
    out: dict[str, Any] = {
        "protocol": "pieces that both judged without having learnt from their work",
        "pieces": len(ids),
    }
    logs = {pair[0]: [one[i] for i in ids], pair[1]: [other[i] for i in ids]}
    logs["together"] = [one[i] + other[i] for i in ids]
    for name, values in logs.items():
        figures = metrics.evaluate(truth, softmax(np.array(values)), task.names, groups=works)
        out[name] = {key: figures[key] for key in keys} | {
            "intervals": {key: figures["intervals"][key] for key in keys}
        }
    return out


def _network_parts(network: Any, windows: store.Windows) -> dict[str, Any]:
    from fugato.recipes.exported import onnx_bytes

    return {"network": onnx_bytes(network, windows.take(np.arange(min(4, len(windows)))))}


def _latency(how: Any, task: _Task, parts: dict[str, Any], labels: Sequence[str] | None = None) -> float:
    """Median seconds from a Score to its answer, over a few pieces, as served."""
    names = task.names if labels is None else labels
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        label = dict.fromkeys(names, 1)
        card = Card(how.NAME, "1", "composer", how.NAME, label, how.representation())
        save_model(model, card, parts)
        seconds = []
        for piece in list(task.corpus)[:: max(len(task.corpus) // TIMED, 1)][:TIMED]:
            try:
                score = read(task.corpus.open(piece), name=piece.path)
                identify(score, model=model)  # warm
                started = time.perf_counter()
                identify(score, model=model)
            except FugatoError:
                continue
            seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) if seconds else float("nan")


def _kept(folder: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    """The result of a training that was finished with the same data and settings."""
    try:
        if json.loads((folder / "key.json").read_text(encoding="utf-8")) != json.loads(json.dumps(key)):
            raise ValueError
        with np.load(folder / "result.npz", allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        for name in ("last.ckpt", "done.json", "result.npz", "key.json"):
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.json").write_text(json.dumps(key), encoding="utf-8")
    return None


def _keep(folder: Path, key: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as file:
        np.savez(file, **result)
    os.replace(file.name, folder / "result.npz")
    return result


def _write(folder: Path, table: dict[str, Any]) -> None:
    (folder / "table.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(table), encoding="utf-8")
