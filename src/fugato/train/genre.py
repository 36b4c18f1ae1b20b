"""Train a genre model: passages of labelled recordings, judged over artists (or recordings, where artists are not known), fitted on all."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import __version__
from fugato.corpus import Piece
from fugato.corpus.mel_archive import is_mel_archive
from fugato.corpus.sounds import Clip, Sounds, load_sounds
from fugato.corpus.splits import Split, grouped_kfold
from fugato.errors import FugatoError
from fugato.models import Card, check_target, save_model
from fugato.recipes import recipe as find_recipe
from fugato.recipes.passages import Passages, load_passages
from fugato.represent.sound_rows import EVERY_FRAME, mfcc_rows
from fugato.represent.windows import kind_of
from fugato.train.judge import Judged, card_calibration, card_figures, cross_validate
from fugato.train.precision import AUTO
from fugato.train.told import Progress, named, report_failures, stage
from fugato.train.tuned import read_tuned, recipe_of

LEAST_RECORDINGS: Final = 3  # of a genre; with fewer nothing can be learnt and judged
FOLDS: Final = 5
ENCODER: Final = "pretrained-encoder"

Ints = NDArray[np.int64]
_log = logging.getLogger(__name__)


def train_genre(
    data: str | os.PathLike[str],
    *,
    recipe: str | None = None,
    out: str | os.PathLike[str],
    name: str | None = None,
    version: str = "1.0.0",
    folds: int | None = None,
    random_seed: int = 0,
    progress: Progress | None = None,
    budget: str = "full",
    resume: bool = False,
    devices: int | str = "auto",
    nodes: int = 1,
    precision: str = AUTO,
    judged: Callable[[Judged, dict[str, Any]], None] | None = None,
    encoder: str | os.PathLike[str] | None = None,
    tuned: str | os.PathLike[str] | None = None,
    **settings: float,
) -> Path:
    """Train a model that names genres.

    Recordings that cannot be used and genres with too few are named in warnings of this module's logger; the rest is trained on.

    Parameters
    ----------
    data : path
        A folder with a folder of recordings for each genre, an index of recordings, or an archive of spectrograms.
    recipe : str, optional
        "mel-covariance" where left out, or the one that was tuned.
    out : path
        The model folder to write.
    name, version : str
        For the card; the folder's name where left out.
    folds : int, optional
        For the figures; no artist, or recording where artists are not known, stands on two sides. Networks are judged on one holdout
        unless at least 2 are asked for; 5 for other recipes.
    random_seed, progress, budget, resume, devices, nodes, precision, judged
        As `fugato.train.train`.
    encoder : path, optional
        Of "pretrained-encoder": the folder of a transformers audio encoder; the one that was tuned where left out.
    tuned : path, optional
        Folder of `fugato.train.tune.tune`: its best settings are taken, and its trials kept in the model.
    settings
        Of the recipe, in place of its defaults and of what was tuned.

    Returns
    -------
    Path
        Of the model folder.

    Raises
    ------
    FugatoError
        ``bad-data``: fewer than two genres with enough recordings; ``bad-option``; ``bad-output``.
    """
    search = read_tuned(tuned) if tuned is not None else None
    recipe = recipe_of("genre", recipe, search)
    how = find_recipe("genre", recipe)
    if search is not None:
        settings = {**search.settings, **settings}
        encoder = search.encoder if encoder is None else encoder
    network = hasattr(how, "kind")
    asked = (1 if network else FOLDS) if folds is None else folds
    if asked < (1 if network else 2):
        raise FugatoError("bad-option", f"folds is {asked}; it must be at least {1 if network else 2}.")
    check_recipe(how, settings, encoder)
    check_target(out)
    started = time.perf_counter()
    working = Path(out).absolute().with_name(f"{Path(out).absolute().name}.training")
    if encoder is not None:
        made = _solved(encoded(how, load_sounds(data), encoder, asked, random_seed, progress, settings), how, progress)
    else:
        passages = heard_passages(how, data, working / "passages", progress)
        folds_there = min(asked, fewest_groups(passages.clips))
        if network:
            made = _network(
                how,
                passages,
                how.settings(settings, budget),
                working,
                folds_there,
                random_seed,
                progress,
                {"resume": resume, "devices": devices, "nodes": nodes, "precision": precision},
            )
        else:
            made = _solved(described(how, passages, folds_there, random_seed, progress, settings), how, progress)
    figures = made.judged.figures()
    card = _card(name or Path(out).absolute().name, version, recipe, made, figures, Path(data), is_mel_archive(data))
    card.made.update(random_seed=random_seed, seconds=round(time.perf_counter() - started))
    parts = made.parts if search is None else {**made.parts, "trials": list(search.trials)}
    save_model(out, card, {**parts, "figures": figures})
    shutil.rmtree(working, ignore_errors=True)
    if judged is not None:
        judged(made.judged, parts)
    return Path(out)


@dataclass(frozen=True, eq=False)
class _Made:
    """What either way of training comes to."""

    judged: Judged
    clips: Sequence[Clip]
    parts: dict[str, Any]
    protocol: str
    made: dict[str, Any]
    representation: dict[str, Any]
    calibration: dict[str, Any]


def check_recipe(how: Any, settings: Mapping[str, float], encoder: str | os.PathLike[str] | None) -> None:
    """Raise FugatoError("bad-option") for settings that make no sense, a yardstick, and an encoder too many or too few."""
    how.check(settings)
    if not hasattr(how, "export") and not hasattr(how, "kind"):
        raise FugatoError(
            "bad-option",
            f"{how.NAME} is a yardstick for  fugato benchmark genre  and makes no model that could answer.",
        )
    if (encoder is None) == (how.NAME == ENCODER):
        raise FugatoError("bad-option", f"The folder of an encoder is for the recipe {ENCODER}, which needs one.")


def heard_passages(how: Any, data: str | os.PathLike[str], folder: Path, progress: Progress | None) -> Passages:
    """The passages of the genres that have enough recordings, in the form that a recipe takes; kept in `folder`."""
    every = hasattr(how, "kind") and how.kind in EVERY_FRAME
    passages = load_passages(data, folder, every_frame=every, progress=stage(progress, "listening"))
    report_failures(passages.failed, "recordings")
    return passages.select(enough(passages))


def enough(passages: Passages) -> Ints:
    """Passages of the genres that have `LEAST_RECORDINGS`; parameters and errors as `_enough`."""
    return _enough(passages.clips, passages.name)


def fewest_groups(clips: Sequence[Clip]) -> int:
    """Artists or recordings of the genre that has fewest: more folds than that cannot all have it."""
    return min(len(found) for found in _recordings(clips).values())


def _recordings(clips: Sequence[Clip]) -> dict[str, set[str]]:
    """Artists, or recordings where no artist is known, of each genre."""
    found: dict[str, set[str]] = {}
    for clip in clips:
        found.setdefault(clip.genre, set()).add(clip.group or clip.id)
    return found


def _enough(clips: Sequence[Clip], name: str) -> Ints:
    """Places of the clips whose genres have `LEAST_RECORDINGS`.

    Raises
    ------
    FugatoError
        ``bad-data`` where fewer than two genres have.
    """
    recordings = _recordings(clips)
    few = sorted(genre for genre, ids in recordings.items() if len(ids) < LEAST_RECORDINGS)
    if few:
        told = [f"{genre} ({len(recordings[genre])})" for genre in few]
        _log.warning("left out, with fewer than %d recordings or artists: %s", LEAST_RECORDINGS, named(told))
    kept = np.flatnonzero([clip.genre not in few for clip in clips])
    if len(recordings) - len(few) < 2:
        raise FugatoError(
            "bad-data",
            f"Two genres with at least {LEAST_RECORDINGS} recordings each are needed to tell them apart; it has "
            f"{len(recordings) - len(few)}.",
            name or None,
        )
    return kept


@dataclass(frozen=True, eq=False)
class Described:
    """What a recipe that is solved at once learns from, and how it is judged.

    Attributes
    ----------
    fitting
        Has ``fit`` as `fugato.train.judge.cross_validate` calls it.
    prepared
        What the recipe's ``prepare`` gave.
    clips : sequence of Clip
    labels, groups : lists of str
    split : Split
    settings : dict
    representation : dict
        For the card.
    """

    fitting: Any
    prepared: Any
    clips: Sequence[Clip]
    labels: list[str]
    groups: list[str]
    split: Split
    settings: Mapping[str, float]
    representation: dict[str, Any]


def described(
    how: Any,
    passages: Passages,
    folds: int,
    random_seed: int,
    progress: Progress | None,
    settings: Mapping[str, float],
) -> Described:
    """Passages as a recipe describes them, in at least two folds."""
    prepared = how.prepare(passages, progress=stage(progress, "describing"), **settings)
    kept = prepared.passages
    split = split_of(kept, max(folds, 2), random_seed)
    return Described(
        how, prepared, kept.clips, list(kept.genres), list(kept.groups), split, settings, how.representation()
    )


def encoded(
    how: Any,
    sounds: Sounds,
    encoder: str | os.PathLike[str],
    folds: int,
    random_seed: int,
    progress: Progress | None,
    settings: Mapping[str, float],
) -> Described:
    """Recordings as the user's own encoder hears them, each once."""
    prepared = how.prepare(sounds, encoder, progress=stage(progress, "listening"), **settings)
    report_failures(prepared.failed, "recordings")
    prepared = prepared.select(_enough(prepared.clips, sounds.name))
    clips: Sequence[Clip] = prepared.clips
    labels = [clip.genre for clip in clips]
    groups = [clip.group or clip.id for clip in clips]
    folds = max(min(folds, fewest_groups(clips)), 2)
    split = grouped_kfold(labels, groups, folds, random_seed, ids=[clip.id for clip in clips])
    split.check(groups)

    class Head:
        """The recipe as cross-validation calls one."""

        @staticmethod
        def fit(prepared: Any, rows: Ints, *_: Any, **chosen: float) -> Any:
            return how.fit(prepared, rows, labels, chosen)

    return Described(Head, prepared, clips, labels, groups, split, settings, how.representation(prepared))


def _solved(ready: Described, how: Any, progress: Progress | None) -> _Made:
    """Judged by cross-validation, then fitted on everything."""
    told = stage(progress, "judging")
    chosen: dict[str, Any] = dict(ready.settings)
    judged = cross_validate(
        ready.fitting, ready.prepared, ready.labels, ready.groups, ready.split, progress=told, grid=None, **chosen
    )
    everything = np.arange(len(ready.labels))
    fitted = ready.fitting.fit(ready.prepared, everything, np.array(ready.labels), np.array(ready.groups), **chosen)
    strange = hasattr(how, "strange_limits")
    return _Made(
        judged,
        ready.clips,
        how.export(ready.prepared, fitted),
        f"{len(ready.split.parts)}-fold over artists or recordings (none on two sides)",
        {"settings": {**how.DEFAULTS, **ready.settings}},
        ready.representation,
        {"strange_limits": how.strange_limits(ready.prepared, ready.split)} if strange else {},
    )


def split_of(passages: Passages, folds: int, random_seed: int) -> Split:
    """Folds of passages in which no group stands in two."""
    groups = list(passages.groups)
    split = grouped_kfold(list(passages.genres), groups, folds, random_seed, ids=passage_ids(passages))
    split.check(groups)
    return split


def passage_ids(passages: Passages) -> list[str]:
    """A name for each passage: that of its recording, and its number in it."""
    seen: Counter[str] = Counter()
    ids = []
    for clip in passages.clips:
        ids.append(f"{clip.id}#{seen[clip.id]}")
        seen[clip.id] += 1
    return ids


def windows_of(passages: Passages, how: Any) -> Any:
    """The windows that a network looks through, a passage standing for a piece; a `fugato.train.store.Windows`."""
    from fugato.train.store import Windows

    kind = kind_of(how.kind)
    hop = how.hop or kind.hop
    rows: list[NDArray[Any]] = []
    starts: list[Ints] = []
    owner: list[Ints] = []
    count = 0
    for number, (a, b) in enumerate(zip(passages.starts, passages.stops, strict=True)):
        found = mfcc_rows(passages.decibels(number)) if how.kind in EVERY_FRAME else passages.levels[a:b]
        if len(found) < kind.size:  # a short passage, heard again and again
            found = np.pad(found, ((0, kind.size - len(found)), (0, 0)), mode="wrap")
        windows = max(round((len(found) - kind.size) / hop), 0) + 1
        starts.append(count + np.rint(np.linspace(0, len(found) - kind.size, windows)).astype(np.int64))
        owner.append(np.full(windows, number))
        rows.append(found)
        count += len(found)
    pieces = tuple(
        Piece(id=name, path=clip.path, composer=clip.genre, group=clip.group or clip.id)
        for name, clip in zip(passage_ids(passages), passages.clips, strict=True)
    )
    return Windows(how.kind, pieces, (), np.concatenate(rows), np.concatenate(starts), np.concatenate(owner))


def _network(
    how: Any,
    passages: Passages,
    settings: dict[str, float],
    working: Path,
    folds: int,
    random_seed: int,
    progress: Progress | None,
    training: dict[str, Any],
) -> _Made:
    """A network: windows, split by artist or recording, trained, judged on what it has not heard."""
    from fugato.train import networks

    key = {"recipe": how.NAME, "settings": settings, "folds": folds, "seed": random_seed, "ids": passage_ids(passages)}
    networks.prepare_folder(working, key, resume=training["resume"])
    made = networks.make(
        how,
        windows_of(passages, how),
        list(passages.genres),
        list(passages.groups),
        settings,
        working,
        folds=folds,
        random_seed=random_seed,
        progress=progress,
        **training,
    )
    return _Made(
        made.judged,
        passages.clips,
        made.parts,
        made.protocol.replace("works", "artists or recordings").replace("work", "artist or recording"),
        {
            "settings": settings,
            "parameters": made.parameters,
            "epochs": len(made.trained.history),
            "best_epoch": made.trained.best_epoch,
            "training_seconds": round(made.trained.seconds),
            "windows": {key: round(value, 4) for key, value in made.windows.items()},
        },
        how.representation(),
        {},
    )


def _card(
    model_name: str,
    version: str,
    recipe: str,
    made: _Made,
    figures: dict[str, Any],
    data: Path,
    archive: bool,
) -> Card:
    judged = made.judged
    counts = Counter(clip.genre for clip in made.clips)
    licence = "none granted: research only" if archive else "unstated"
    return Card(
        name=model_name,
        version=version,
        task="genre",
        recipe=recipe,
        labels={label: counts[label] for label in judged.labels},
        representation=made.representation,
        corpora=({"name": data.stem or "folder", "licence": licence, "pieces": len(made.clips)},),
        figures=tuple(
            card_figures(judged, figures, ("accuracy", "balanced_accuracy", "macro_f1", "ece"), made.protocol)
        ),
        calibration=card_calibration(judged, figures, "artists or recordings", made.calibration),
        limits=(
            "It knows only the genres listed, as the collection it learnt from draws their borders.",
            "Passages of half a minute were learnt from; a few seconds are answered much less surely.",
            "Labels come from the collection as it stands; some are wrong.",
        ),
        licence="for research only, as the collection grants no licence" if archive else "Apache-2.0",
        made={"fugato": __version__, **made.made},
    )
