"""Train a composer model: choose pieces, group them by work, judge on held-out works, fit on everything, write the folder."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import __version__, metrics
from fugato.corpus import Corpus, Piece, all_composers, grouped_kfold, load_corpus, work_groups
from fugato.corpus.corpus import label_of
from fugato.errors import FugatoError
from fugato.models import Card, Model, check_target, load_model, save_model
from fugato.recipes import recipe as find_recipe
from fugato.train.judge import Judged, card_calibration, card_figures, cross_validate
from fugato.train.precision import AUTO
from fugato.train.told import Progress, named, report_failures, stage
from fugato.train.tuned import read_tuned, recipe_of

LEAST_FILES: Final = 3  # of a composer with fewer nothing can be learnt and judged
LEAST_WORKS: Final = 2  # one to learn from while the other is judged
STRANGERS: Final = 5000  # pieces by others, by which a panel learns to say "none of these"
NOT_FOR_SALE: Final = re.compile(r"\bNC\b|non-?commercial|not for commercial", re.IGNORECASE)  # licences of data

_log = logging.getLogger(__name__)


def train(
    task: str,
    data: str | os.PathLike[str] | Corpus,
    *,
    recipe: str | None = None,
    out: str | os.PathLike[str],
    name: str | None = None,
    version: str = "1.0.0",
    composers: Collection[str] | None = None,
    without: Collection[str] = (),
    apart_from: Sequence[str | os.PathLike[str]] = (),
    folds: int | None = None,
    random_seed: int = 0,
    jobs: int = 2,
    progress: Progress | None = None,
    budget: str = "full",
    resume: bool = False,
    devices: int | str = "auto",
    nodes: int = 1,
    precision: str = AUTO,
    judged: Callable[[Judged, dict[str, Any]], None] | None = None,
    tuned: str | os.PathLike[str] | None = None,
    held_out: str | os.PathLike[str] | None = None,
    network_of: str | os.PathLike[str] | None = None,
    **settings: float,
) -> Path:
    """Train a model on a labelled collection.

    What is left out (composers with too few files or works, files that cannot be read) is named in warnings of this module's
    logger, and the rest is trained on.

    Parameters
    ----------
    task : "composer"
    data : path or Corpus
        Whatever `fugato.load_corpus` takes: a folder for each composer, a zip of such, an index file, "music21".
    recipe : str, optional
        How; see `fugato.recipes`. "ngram-linear" where left out, or the one that was tuned.
    out : path
        The model folder to write.
    name, version : str
        For the card; the folder's name where left out.
    composers : collection of str, optional
        Only these; ``{"shipped"}`` means those of the shipped model.
    without : collection of str
        Parts of an index to leave out: a corpus ("maestro") or one domain of it ("asap:performance").
    apart_from : sequence of paths
        Pieces kept for showing or testing: every file of the collection that is of the same work is left out.
    folds : int, optional
        For the figures, grouped by work. Networks are judged on one holdout unless at least 2 are asked for; 5 for other recipes.
    random_seed : int
    jobs : int
        Reading processes.
    progress : callable, optional
        Told (what is being done, steps done, steps in all) now and then.
    budget : str
        Of a network: "full" as published, "small" for a machine without a GPU.
    resume : bool
        Go on with the training of a network that was stopped; it ends as it would have without the stop.
    devices, nodes, precision
        Of a network, as Lightning's trainer takes them.
    judged : callable, optional
        Given what the held-out pieces were named and the parts of the model, once the folder is written: for a report.
    tuned : path, optional
        Folder of `fugato.train.tune.tune`: its best settings are taken, and its trials kept in the model.
    held_out : path, optional
        Of the recipe "panel": a folder for the panel that has not seen the works it was judged on. ``judged.json`` beside it lists these
        pieces, and those that it learnt from.
    network_of : str or path, optional
        Of the recipe "panel": a panel of the same collection, options and random seed, whose network is kept; the rest is made again.
    settings
        Of the recipe, in place of its defaults and of what was tuned.

    Returns
    -------
    Path
        Of the model folder.

    Raises
    ------
    FugatoError
        ``bad-data``: fewer than two composers with enough files; ``bad-option``; ``bad-output``. Wrong options and a folder
        that cannot be written are refused before any file is read.
    """
    if task != "composer":
        raise FugatoError("bad-option", f"There is nothing to train for {task!r}; choose composer.")
    search = read_tuned(tuned) if tuned is not None else None
    recipe = recipe_of(task, recipe, search)
    how = find_recipe(task, recipe)
    if search is not None:
        settings = {**search.settings, **settings}
    both = hasattr(how, "NETWORK")  # n-grams and a network
    network = hasattr(how, "kind") or both  # it looks through windows
    n_folds = (1 if network else 5) if folds is None else folds
    for option, value, least in (
        ("folds", n_folds, 1 if network else 2),
        ("random_seed", random_seed, 0),
        ("jobs", jobs, 1),
    ):
        if value < least:
            raise FugatoError("bad-option", f"{option} is {value}; it must be at least {least}.")
    how.check(settings)
    if both and n_folds != 1:
        raise FugatoError("bad-option", f"{how.NAME} is judged on one holdout of works, not by folds.")
    kept = None if network_of is None else load_model(network_of)
    if kept is not None and (not both or kept.card.recipe != how.NAME):
        raise FugatoError("bad-option", "Only a panel's network can be kept, and only in a panel.", str(network_of))
    if network:
        (how.NETWORK if both else how).settings({}, budget)  # refuses a budget that there is not
    check_target(out)
    started = time.perf_counter()
    collection = load_corpus(data)
    if collection.skipped:
        skipped = [f"{path} ({reason})" for path, reason in collection.skipped]
        _log.warning("passed over (%d): %s", len(skipped), named(skipped))
    chosen = select(collection, composers=composers, without=without)
    _log.info("%d files by %d composers", len(chosen), len(chosen.composers()))
    grouped = _grouped(chosen, apart_from, jobs, stage(progress, "telling works apart"))
    training = {"resume": resume, "devices": devices, "nodes": nodes, "precision": precision}
    asked = _Asked(how, grouped, chosen, Path(out), jobs, progress, random_seed, settings)
    if both:
        result = _both(asked, budget, training, held_out, strangers(collection, chosen, without), kept)
    elif network:
        result = _network(asked, how, how.settings(settings, budget), folds or 1, training)
    else:
        result = _direct(asked, n_folds)
    figures = result.judged.figures()
    card = _card(
        name or Path(out).absolute().name,
        version,
        recipe,
        how,
        result,
        figures,
        made={
            "fugato": __version__,
            "random_seed": random_seed,
            "without": sorted(without),
            "apart_from": sorted(Path(path).name for path in apart_from),
            "seconds": round(time.perf_counter() - started),
            **result.made,
        },
    )
    trials = {} if search is None else {"trials": list(search.trials)}
    parts = {**result.parts, **trials}
    save_model(out, card, {**parts, "figures": figures})
    shutil.rmtree(_training_folder(Path(out)), ignore_errors=True)
    if judged is not None:
        judged(result.judged, parts)
    return Path(out)


@dataclass(frozen=True, eq=False)
class _Result:
    """What either way of training comes to."""

    judged: Judged
    pieces: Sequence[Piece]
    parts: dict[str, Any]
    protocol: str
    made: dict[str, Any]
    calibration: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is to be trained, whichever way."""

    how: Any
    grouped: Corpus
    chosen: Corpus
    out: Path
    jobs: int
    progress: Progress | None
    random_seed: int
    settings: dict[str, float]


def _direct(asked: _Asked, folds: int) -> _Result:
    """A recipe that is solved at once: judged by cross-validation, then fitted on everything."""
    how, settings = asked.how, asked.settings
    prepared = _counted(asked, how)
    rows = usable(prepared.pieces, asked.chosen)
    if len(rows) < len(prepared.pieces):
        prepared = prepared.select(rows)
    labels, works = _labels_and_works(prepared.pieces)
    folds = min(folds, len(set(works)))
    split = grouped_kfold(labels, works, folds, asked.random_seed, ids=[piece.id for piece in prepared.pieces])
    split.check(works)
    told = stage(asked.progress, "judging")
    judged = cross_validate(how, prepared, labels, works, split, progress=told, grid=None, **settings)
    _log.info("judged on held-out works; now fitting on everything")
    everything = np.arange(len(labels))
    fitted = how.fit(prepared, everything, np.array(labels), np.array(works), **settings)
    return _Result(
        judged,
        prepared.pieces,
        how.export(prepared, fitted),
        f"{folds}-fold over works (no work on two sides)",
        {"settings": {**how.DEFAULTS, **settings}, "unreadable": len(prepared.failed)},
    )


def _counted(asked: _Asked, how: Any) -> Any:
    """What a recipe of n-grams makes of the collection."""
    prepared = how.prepare(asked.grouped, jobs=asked.jobs, progress=stage(asked.progress, "counting"))
    report_failures(prepared.failed)
    return prepared


def _training_folder(out: Path) -> Path:
    """Where windows and checkpoints lie until the model is written, so that a training that was stopped can be resumed."""
    return out.absolute().with_name(f"{out.absolute().name}.training")


def _network(asked: _Asked, how: Any, settings: dict[str, float], folds: int, training: dict[str, Any]) -> _Result:
    """A network: windows on disk, split by work, trained, judged on what it has not seen."""
    from fugato.train import networks

    folder = _training_folder(asked.out)
    key = {
        "recipe": how.NAME,
        "settings": settings,
        "folds": folds,
        "seed": asked.random_seed,
        "ids": asked.grouped.ids,
    }
    networks.prepare_folder(folder, key, resume=training["resume"])
    windows = _windows(asked, how, folder)
    labels, works = _labels_and_works(windows.pieces)
    made = networks.make(
        how,
        windows,
        labels,
        works,
        settings,
        folder,
        folds=min(folds, len(set(works))),
        random_seed=asked.random_seed,
        progress=asked.progress,
        **training,
    )
    facts = {
        "settings": settings,
        "unreadable": len(windows.failed),
        "parameters": made.parameters,
        "epochs": len(made.trained.history),
        "best_epoch": made.trained.best_epoch,
        "training_seconds": round(made.trained.seconds),
        "windows": {key: round(value, 4) for key, value in made.windows.items()},
    }
    return _Result(made.judged, windows.pieces, made.parts, made.protocol, facts)


def _both(
    asked: _Asked,
    budget: str,
    training: dict[str, Any],
    held_out: str | os.PathLike[str] | None,
    others: Corpus,
    kept: Model | None,
) -> _Result:
    """A network and n-grams: judged together on the works that the network was judged on, then the n-grams fitted on everything."""
    from fugato.train import panel

    how = asked.how
    for_linear, for_network = how.divided(asked.settings)
    settings = how.NETWORK.settings(for_network, budget)
    if kept is None:
        heard = _network(asked, how.NETWORK, settings, 1, training)
    else:
        heard = _heard_before(asked, how.NETWORK, kept)
        settings = {key: value for key, value in heard.made["settings"].items() if key in settings}
    prepared = _counted(asked, how.LINEAR)
    known = set(heard.judged.labels)
    rows = [row for row in usable(prepared.pieces, asked.chosen) if prepared.pieces[row].composer in known]
    if len(rows) < len(prepared.pieces):
        prepared = prepared.select(np.array(rows, np.int64))
    folder = _training_folder(asked.out) / "held-out" if held_out is None else Path(held_out)
    made = panel.make(
        how.LINEAR,
        prepared,
        heard.judged,
        heard.parts["network"],
        how.representation(),
        folder,
        strangers=others,
        jobs=asked.jobs,
        progress=stage(asked.progress, "listening to works held out"),
        **for_linear,
    )
    facts = {**heard.made, "settings": {**settings, **how.LINEAR.DEFAULTS, **for_linear}, "alone": made.alone}
    parts = {**made.parts, "history": heard.parts["history"]}
    protocol = "one holdout of works (15 %; neither model has learnt from them; no work on two sides)"
    return _Result(made.judged, prepared.pieces, parts, protocol, facts, made.calibration)


def _windows(asked: _Asked, how: Any, folder: Path) -> Any:
    """What a network looks through, of composers with enough files that it can look through."""
    from fugato.train import store

    told = stage(asked.progress, "cutting windows")
    windows = store.prepare_for(how, asked.grouped, folder / "windows", jobs=asked.jobs, progress=told)
    report_failures(windows.failed)
    return windows.select(usable(windows.pieces, asked.chosen))


def _heard_before(asked: _Asked, how: Any, model: Model) -> _Result:
    """The network of a panel, and the holdout by which it was judged: that of the same pieces and random seed."""
    from fugato.train import networks

    windows = _windows(asked, how, _training_folder(asked.out))
    labels, works = _labels_and_works(windows.pieces)
    names = tuple(sorted(set(labels)))
    if names != model.labels:
        raise FugatoError("bad-option", "The network is of other composers than the collection.", str(model.folder))
    _, _, judged = networks.holdout(labels, works, [piece.id for piece in windows.pieces], asked.random_seed)
    truth = metrics.encode([labels[i] for i in judged], names)
    unheard = np.zeros((len(judged), len(names)), np.float32)
    parts = {"network": model.path("network").read_bytes(), "history": model.json("history")}
    said = ("settings", "unreadable", "parameters", "epochs", "best_epoch", "training_seconds", "windows")
    made = {key: model.card.made[key] for key in said}
    found = Judged(names, truth, np.array(works)[judged], np.arange(len(judged)) % 2, unheard)
    return _Result(found, windows.pieces, parts, "", made)


def _labels_and_works(pieces: Sequence[Piece]) -> tuple[list[str], list[str]]:
    return [piece.composer for piece in pieces], [piece.group or piece.id for piece in pieces]


def strangers(corpus: Corpus, chosen: Corpus, without: Collection[str]) -> Corpus:
    """Pieces of a collection by nobody who was chosen, of works that no chosen piece belongs to; at most `STRANGERS`, evenly drawn."""
    names, works = set(chosen.labels), {p.group for p in chosen if p.group}
    left_out = {part.split(":")[0] for part in without}
    found = corpus.filter(lambda p: bool(p.composer) and p.corpus not in left_out)
    found = found.filter(lambda p: p.composer not in names and not (p.group and p.group in works))
    if len(found) <= STRANGERS:
        return found
    kept = {found[int(i)].id for i in np.random.default_rng(0).permutation(len(found))[:STRANGERS]}
    return found.filter(lambda p: p.id in kept)


def select(corpus: Corpus, *, composers: Collection[str] | None = None, without: Collection[str] = ()) -> Corpus:
    """The pieces to train on: readable labels, the composers asked for, and at least `LEAST_FILES` of each.

    Raises
    ------
    FugatoError
        ``bad-option`` for a composer of whom the collection has nothing, ``bad-data`` where fewer than two remain.
    """
    left_out = [tuple(part.split(":", 1)) if ":" in part else (part, None) for part in without]
    for part, (name, domain) in zip(without, left_out, strict=True):
        if not any(piece.corpus == name and domain in (None, piece.domain) for piece in corpus):
            _log.warning("there is nothing of %r to leave out", part)
    if composers is not None:
        composers = _asked(corpus, composers)

    def keep(piece: Piece) -> bool:
        return not any(piece.corpus == name and domain in (None, piece.domain) for name, domain in left_out)

    chosen = corpus.filter(keep, composers=composers)
    counts = chosen.composers()
    few = {c: n for c, n in counts.items() if n < LEAST_FILES}
    if few:
        _log.warning(
            "left out, with fewer than %d files: %s", LEAST_FILES, named([f"{c} ({n})" for c, n in few.items()])
        )
    chosen = chosen.filter(min_pieces=LEAST_FILES)
    _two(len(chosen.composers()), f"{LEAST_FILES} files", corpus.name)
    return chosen


def _grouped(corpus: Corpus, apart_from: Sequence[str | os.PathLike[str]], jobs: int, progress: Any) -> Corpus:
    """The corpus with its works, less those that a file of `apart_from` belongs to."""
    others = [Piece(id=f"apart from {path}", path=os.fspath(path), composer="") for path in apart_from]
    groups = work_groups(Corpus([*corpus, *others], corpus.name), jobs=jobs, progress=progress)
    barred = set(groups[len(corpus) :])
    kept = corpus.with_groups(groups[: len(corpus)]).filter(lambda piece: piece.group not in barred)
    if len(kept) < len(corpus):
        _log.info("%d files left out, of the works to keep apart from", len(corpus) - len(kept))
    return kept


def usable(pieces: Sequence[Piece], chosen: Corpus) -> NDArray[np.int64]:
    """Positions of the pieces whose composers still have `LEAST_FILES` once the unreadable ones are gone, and `LEAST_WORKS`.

    Parameters
    ----------
    pieces : sequence of Piece
        Those of `chosen` that could be read, with their works.
    chosen : Corpus

    Returns
    -------
    ndarray of int64, shape=(n_usable,), ascending

    Raises
    ------
    FugatoError
        ``bad-data`` where that leaves fewer than two composers.
    """
    files = Counter(dict.fromkeys(chosen.composers(), 0))
    files.update(piece.composer for piece in pieces)
    works = Counter(composer for composer, _ in {(piece.composer, piece.group or piece.id) for piece in pieces})
    few = [c for c in files if files[c] < LEAST_FILES]
    one = [c for c in files if files[c] >= LEAST_FILES and works[c] < LEAST_WORKS]
    if few:
        told = named([f"{c} ({files[c]})" for c in few])
        _log.warning("left out, with fewer than %d files that can be read: %s", LEAST_FILES, told)
    if one:
        told = named([f"{c} ({files[c]} files)" for c in one])
        _log.warning("left out, with one work only, so that none could be held out: %s", told)
    kept = [row for row, piece in enumerate(pieces) if piece.composer not in {*few, *one}]
    wanted = f"{LEAST_FILES} files of {LEAST_WORKS} works that can be read"
    _two(len({pieces[row].composer for row in kept}), wanted, chosen.name)
    return np.array(kept, np.int64)


def _asked(corpus: Corpus, composers: Collection[str]) -> set[str]:
    """Names of the composers asked for; "shipped" stands for those of the shipped model."""
    have = corpus.composers()
    named = set(composers) - {"shipped"}
    missing = sorted(name for name in named if label_of(name) not in have)
    if missing:
        some = ", ".join(list(have)[:20]) + (" …" if len(have) > 20 else "")
        raise FugatoError("bad-option", f"There is nothing by {', '.join(missing)} in it; it has {some}.", corpus.name)
    return named | ({c.name for c in all_composers() if c.shipped} if "shipped" in composers else set())


def _two(n_composers: int, wanted: str, name: str) -> None:
    if n_composers < 2:
        count = ("There is no composer", "There is only one composer")[n_composers]
        raise FugatoError(
            "bad-data", f"{count} with at least {wanted}; two are needed to tell them apart.", name or None
        )


def _card(
    model_name: str,
    version: str,
    recipe: str,
    how: Any,
    result: _Result,
    figures: dict[str, Any],
    made: dict[str, Any],
) -> Card:
    judged = result.judged
    protocol = f"{result.protocol}, whole pieces"
    trained_on = Counter(piece.composer for piece in result.pieces)
    counts = Counter(judged.truth.tolist())
    keys = ("balanced_accuracy", "accuracy", "macro_f1", "top_3_accuracy", "ece")
    some = [key for key in keys if key != "top_3_accuracy" or len(judged.labels) > 3]
    shown = card_figures(judged, figures, some, protocol)
    majority = max(counts.values()) / len(judged.truth)
    shown.append(
        {
            "name": "majority_accuracy",
            "value": round(majority, 4),
            "protocol": "always the commonest composer",
            "n": len(judged.truth),
        }
    )
    corpora = Counter((p.corpus or "folder", p.licence or "unstated") for p in result.pieces)
    return Card(
        name=model_name,
        version=version,
        task="composer",
        recipe=recipe,
        labels={label: trained_on[label] for label in judged.labels},
        representation=how.representation(),
        corpora=tuple(
            {"name": name, "licence": licence, "pieces": n} for (name, licence), n in sorted(corpora.items())
        ),
        figures=tuple(shown),
        calibration=card_calibration(judged, figures, "works", result.calibration),
        limits=(
            "It knows only the composers listed; everyone else can at best be called unknown.",
            "Under some 100 notes, or for single parts and arrangements, its answers are much less certain.",
            "Labels come from the collections as they stand; some are wrong.",
            "It has learnt from all the corpora listed: on their pieces, and on other editions of these, figures would flatter it.",
        ),
        licence="CC BY-NC-SA 4.0" if any(NOT_FOR_SALE.search(licence) for _, licence in corpora) else "Apache-2.0",
        made=made,
    )
