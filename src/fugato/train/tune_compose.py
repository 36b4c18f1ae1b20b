"""What a trial of `fugato.train.tune` is for a recipe that composes: a training, and how well the model foretells the works to stop by.

The collection is read once. The works that `fugato.train.compose.train_compose` judges a model by are left alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from fugato.compose import load_generator
from fugato.corpus import Corpus
from fugato.errors import FugatoError
from fugato.represent import tokens as t
from fugato.train import phrases as ph
from fugato.train.compose import chosen_pieces, train_compose
from fugato.train.told import Progress

NOTES: Final = 300  # of the beginning of a piece that are foretold, at most
WORKS: Final = 60
MEASURE: Final = "log-likelihood of a note of the works to stop by, in nats"


def prepared(
    data: Any,
    folder: Path,
    *,
    composers: Collection[str] | None,
    without: Collection[str],
    seed: int,
    jobs: int,
    progress: Progress | None,
) -> tuple[Path, list[Any]]:
    """The folder of a collection's steps, and what its trials depend on: its pieces."""
    if not isinstance(data, Corpus) and (Path(data) / "phrases.json").is_file():
        if composers is not None or without:
            raise FugatoError("bad-option", "A packed collection was chosen from when it was packed.", str(data))
        phrases = ph.load(data, seed=seed)
        return Path(data), [[piece["id"], piece["composer"], piece["group"]] for piece in phrases.pieces]
    corpus = chosen_pieces(data, composers, without, jobs=jobs, progress=progress)
    tell = None if progress is None else (lambda done, total: progress("reading", done, total))
    ph.prepare(corpus, folder / "phrases", seed=seed, jobs=jobs, progress=tell)
    return folder / "phrases", [[piece.id, piece.composer, piece.group] for piece in corpus]


def attempts(
    how: Any, packed: Path, folder: Path, *, budget: str, fixed: Mapping[str, float], seed: int
) -> Callable[[Any, Mapping[str, float]], float]:
    """What a trial is: its settings in, its value out, the higher the better."""

    def attempt(trial: Any, params: Mapping[str, float]) -> float:
        out = folder / f"trial-{trial.number}"
        try:
            chosen: dict[str, Any] = {**fixed, **params}
            train_compose(packed, recipe=how.NAME, out=out, budget=budget, random_seed=seed, devices=1, **chosen)
            return -nats_on(packed, out, seed)
        finally:
            for made in (out, out.with_name(f"{out.name}.training")):
                shutil.rmtree(made, ignore_errors=True)

    return attempt


def nats_on(packed: Path, model: Path, seed: int) -> float:
    """Nats a note of a model on the beginnings of the works to stop by, a piece of each."""
    phrases = ph.load(packed, seed=seed)
    system = load_generator(model)
    nats, notes = 0.0, 0
    seen: set[str] = set()
    for i in phrases.of("valid").tolist():
        about = phrases.pieces[i]
        if about["group"] in seen or len(seen) == WORKS:
            continue
        seen.add(about["group"])
        rows = phrases.tokens(i)
        rows = rows[: max(int((rows[:, t.EVENT] < t.BAR).cumsum().searchsorted(NOTES)), 1)]
        score = t.decode(t.Tokens(rows, tuple(about["programs"])))
        if not len(score):
            continue
        try:
            found = system.nll(score, style=about["composer"])
        except FugatoError:  # a composer of whom it knows nothing
            found = system.nll(score)
        nats, notes = nats + found.nats, notes + found.notes
    return nats / max(notes, 1)
