"""Train a composer model: choose pieces, group them by work, judge on held-out works, fit on everything, write the folder."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fugato.corpus import Corpus, Piece, all_composers, grouped_kfold, load_corpus, work_groups
from fugato.errors import FugatoError
from fugato.models import Card, save_model
from fugato.recipes import recipe as find_recipe
from fugato.train.judge import Judged, cross_validate, known_threshold

LEAST_FILES: Final = 3  # of a composer with fewer nothing can be learnt and judged
_log = logging.getLogger(__name__)


def train(
    task: str,
    data: str | os.PathLike[str] | Corpus,
    *,
    recipe: str = "ngram-linear",
    out: str | os.PathLike[str],
    name: str | None = None,
    version: str = "1.0.0",
    composers: Collection[str] | None = None,
    without: Collection[str] = (),
    folds: int = 5,
    random_seed: int = 0,
    jobs: int = 2,
    **settings: float,
) -> Path:
    """Train a model on a labelled collection.

    Parameters
    ----------
    task : "composer"
    data : path or Corpus
        Whatever `fugato.load_corpus` takes: a folder for each composer, a zip of such, an index file, "music21".
    recipe : str
        How; see `fugato.recipes`.
    out : path
        The model folder to write.
    name, version : str
        For the card; the folder's name where left out.
    composers : collection of str, optional
        Only these; ``{"shipped"}`` means those of the shipped model.
    without : collection of str
        Parts of an index to leave out: a corpus ("maestro") or one domain of it ("asap:performance").
    folds : int
        For the figures, grouped by work.
    random_seed : int
    jobs : int
        Reading processes.
    settings
        Of the recipe, in place of its defaults.

    Returns
    -------
    Path
        Of the model folder.

    Raises
    ------
    FugatoError
        ``bad-data``: fewer than two composers with enough files; ``bad-option``; ``bad-output``.
    """
    if task != "composer":
        raise FugatoError("bad-option", f"There is nothing to train for {task!r}; choose composer.")
    how = find_recipe(task, recipe)
    unknown = settings.keys() - how.DEFAULTS.keys()
    if unknown:
        raise FugatoError(
            "bad-option", f"{recipe} has no setting {', '.join(sorted(unknown))}; it has {', '.join(how.DEFAULTS)}."
        )
    started = time.perf_counter()
    chosen = select(load_corpus(data), composers=composers, without=without)
    _log.info("%d pieces by %d composers", len(chosen), len(chosen.composers()))
    groups = work_groups(chosen, jobs=jobs)
    grouped = chosen.with_groups(groups)
    prepared = how.prepare(grouped, jobs=jobs)
    _report_failures(prepared.failed)
    usable = enough(prepared.pieces)
    if len(usable) < len(prepared.pieces):
        prepared = how.prepare(Corpus(usable, chosen.name), jobs=jobs)
    labels = [piece.composer for piece in prepared.pieces]
    works = [piece.group or piece.id for piece in prepared.pieces]
    n_folds = max(2, min(folds, _fewest_works(labels, works)))
    split = grouped_kfold(labels, works, n_folds, random_seed, ids=[piece.id for piece in prepared.pieces])
    split.check(works)
    judged = cross_validate(how, prepared, labels, works, split, **settings)
    _log.info("judged on held-out works after %.0f s; now fitting on everything", time.perf_counter() - started)
    everything = np.arange(len(labels))
    fitted = how.fit(prepared, everything, np.array(labels), np.array(works), **settings)
    figures = judged.figures()
    card = _card(
        name or Path(out).name,
        version,
        recipe,
        how,
        judged,
        figures,
        prepared.pieces,
        made={
            "random_seed": random_seed,
            "settings": {**how.DEFAULTS, **settings},
            "without": sorted(without),
            "seconds": round(time.perf_counter() - started),
            "unreadable": len(prepared.failed),
        },
        folds=n_folds,
    )
    save_model(out, card, {**how.export(prepared, fitted), "figures": figures})
    return Path(out)


def select(corpus: Corpus, *, composers: Collection[str] | None = None, without: Collection[str] = ()) -> Corpus:
    """The pieces to train on: readable labels, the composers asked for, and at least `LEAST_FILES` of each."""
    left_out = [tuple(part.split(":", 1)) if ":" in part else (part, None) for part in without]
    if composers is not None and "shipped" in composers:
        composers = {c.name for c in all_composers() if c.shipped} | (set(composers) - {"shipped"})

    def keep(piece: Piece) -> bool:
        return not any(piece.corpus == name and domain in (None, piece.domain) for name, domain in left_out)

    chosen = corpus.filter(keep, composers=composers)
    counts = chosen.composers()
    few = {c: n for c, n in counts.items() if n < LEAST_FILES}
    if few:
        named = ", ".join(f"{c} ({n})" for c, n in few.items())
        _log.warning("left out, with fewer than %d files: %s", LEAST_FILES, named)
    chosen = chosen.filter(min_pieces=LEAST_FILES)
    if len(chosen.composers()) < 2:
        raise FugatoError(
            "bad-data",
            f"There are {len(chosen.composers())} composers with at least {LEAST_FILES} files; two are needed to tell apart.",
            corpus.name,
        )
    return chosen


def enough(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces of composers that still have `LEAST_FILES` after the unreadable ones are gone."""
    counts = Counter(piece.composer for piece in pieces)
    kept = [piece for piece in pieces if counts[piece.composer] >= LEAST_FILES]
    if len({piece.composer for piece in kept}) < 2:
        raise FugatoError("bad-data", f"Fewer than two composers have {LEAST_FILES} files that can be read.")
    return kept


def _fewest_works(labels: Sequence[str], works: Sequence[str]) -> int:
    """Number of works of the composer with fewest."""
    return min(Counter(label for label, _ in set(zip(labels, works, strict=True))).values())


def _report_failures(failed: Sequence[FugatoError]) -> None:
    if failed:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(error.kind for error in failed).most_common())
        _log.warning("%d files could not be used (%s)", len(failed), kinds)
        for error in failed:
            _log.info("%s", error)


def _card(
    model_name: str,
    version: str,
    recipe: str,
    how: Any,
    judged: Judged,
    figures: dict[str, Any],
    pieces: Sequence[Piece],
    made: dict[str, Any],
    folds: int,
) -> Card:
    protocol = f"{folds}-fold over works (no work on two sides), whole pieces"
    counts = Counter(judged.truth.tolist())
    shown = [
        {"name": key, "value": round(figures[key], 4), "protocol": protocol}
        | ({"interval": [round(x, 4) for x in figures["intervals"][key]]} if key in figures["intervals"] else {})
        for key in ("balanced_accuracy", "accuracy", "macro_f1", "top_3_accuracy", "ece")
    ]
    majority = max(counts.values()) / len(judged.truth)
    shown.append(
        {"name": "majority_accuracy", "value": round(majority, 4), "protocol": "always the commonest composer"}
    )
    corpora = Counter((p.corpus or "folder", p.licence or "unstated") for p in pieces)
    return Card(
        name=model_name,
        version=version,
        task="composer",
        recipe=recipe,
        labels={label: counts[i] for i, label in enumerate(judged.labels)},
        representation=how.representation(),
        corpora=tuple(
            {"name": name, "licence": licence, "pieces": n} for (name, licence), n in sorted(corpora.items())
        ),
        figures=tuple(shown),
        calibration={
            "method": "temperature on held-out works",
            "temperature": judged.temperature,
            "ece": round(figures["ece"], 4),
            "known_threshold": round(known_threshold(judged.probabilities()), 4),
        },
        limits=(
            "It knows only the composers listed; everyone else can at best be called unknown.",
            "Under some 100 notes, or for single parts and arrangements, its answers are much less certain.",
            "Labels come from the collections as they stand; some are wrong.",
        ),
        licence="CC BY-NC-SA 4.0" if any("NC" in licence for _, licence in corpora) else "Apache-2.0",
        made=made,
    )
