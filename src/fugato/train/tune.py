"""Search the settings of a recipe: Optuna over one grouped split of works, resumable, windows cut once.

A network is tried on the pieces that it would learn from and stop by; the pieces on which `fugato.train.train` judges it, with the same
random seed, are left alone, so that the figures of the model stay honest. A recipe that is solved at once is tried by
cross-validation over works.

Every trial is kept in a storage as soon as it ends. A search that was stopped goes on where it was; as each draw depends on the seed and
the trials before it alone, it ends as it would have without the stop.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from fugato.corpus import Corpus, grouped_kfold, load_corpus
from fugato.errors import FugatoError
from fugato.recipes import recipe as find_recipe
from fugato.train import attempts
from fugato.train.composer import (
    _grouped,
    _labels_and_works,
    _training_folder,
    select,
    usable,
)
from fugato.train.told import Progress, report_failures, stage
from fugato.train.tuned import USUAL, Tuned
from fugato.write.place import make_folder

SAMPLERS: Final = ("tpe", "grid")
PRUNERS: Final = ("median", "hyperband", "none")
TRIALS: Final = 20  # by default, where values are drawn
STEPS: Final = 3  # values of a setting on the grid of a recipe whose publication searched none
FOLDS: Final = 5
TIMES_ASKED: Final = 5  # that a study is asked of a database
ASKED_AGAIN: Final = 0.5  # seconds between
UNPRUNED: Final = 5  # trials that are finished whatever they promise, before the median says anything
UNPRUNED_EPOCHS: Final = 2
LOGARITHMIC: Final = frozenset({"learning_rate", "penalty", "shrinkage", "gamma"})  # and the penalties of a network
COUNTED: Final = frozenset({"units", "width", "layers", "order"})  # whole numbers, beside those that every network has
STOPPED: Final = "stopped"  # mark of a trial that was killed, and is done again

Values = dict[str, tuple[float, ...]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Range:
    """What a setting is searched in."""

    low: float
    high: float
    whole: bool
    log: bool
    step: int = 1  # of whole numbers

    def draw(self, trial: Any, name: str) -> float:
        if self.whole:
            return int(trial.suggest_int(name, int(self.low), int(self.high), step=self.step))
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))

    def steps(self) -> tuple[float, ...]:
        """A few values from end to end."""
        spaced = np.geomspace if self.log else np.linspace
        values = spaced(self.low, self.high, STEPS).tolist()
        if not self.whole:
            return tuple(float(f"{v:.6g}") for v in values)
        return tuple(dict.fromkeys(round(v / self.step) * self.step for v in values))


def space(recipe: Any) -> dict[str, Range]:
    """The settings that a recipe has searched, each in its range."""
    from fugato.recipes.network import WHOLE

    log = LOGARITHMIC | set(getattr(recipe, "penalties", {}))
    steps = getattr(recipe, "SPACE_STEPS", {})
    whole = getattr(recipe, "WHOLE", WHOLE | COUNTED)
    return {
        name: Range(low, high, name in whole, name in log and low > 0, steps.get(name, 1))
        for name, (low, high) in recipe.SPACE.items()
    }


def grid(recipe: Any) -> Values:
    """The values that the publication searched; a few from end to end of its space where it searched none."""
    return dict(getattr(recipe, "GRID", {})) or {name: found.steps() for name, found in space(recipe).items()}


def tune(
    task: str,
    data: str | os.PathLike[str] | Corpus,
    *,
    recipe: str | None = None,
    out: str | os.PathLike[str],
    sampler: str = "tpe",
    trials: int | None = None,
    pruner: str = "median",
    storage: str | None = None,
    budget: str = "full",
    epochs: int | None = None,
    composers: Collection[str] | None = None,
    without: Collection[str] = (),
    random_seed: int = 0,
    jobs: int = 2,
    progress: Progress | None = None,
    encoder: str | os.PathLike[str] | None = None,
    **settings: float,
) -> Tuned:
    """Search the settings of a recipe on a labelled collection.

    Parameters
    ----------
    task : "composer", "genre" or "compose"
        Of systems that compose no trial is given up early.
    data, recipe, composers, without, jobs, encoder
        As `fugato.train.train`; `composers` and `without` are not for genres, `encoder` is for them alone.
    out : path
        Folder for ``trials.json`` and ``tuned.json``, written after every trial, and the journal of the search. A second call with the
        same data and settings goes on with the search.
    sampler : "tpe" or "grid"
        Values drawn where earlier trials promise most (Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS
        2011), or every combination of the recipe's grid in an order that the seed gives.
    trials : int, optional
        In all, those of earlier calls included; 20, or the whole grid, where left out.
    pruner : "median", "hyperband" or "none"
        How networks that do not promise much are given up early.
    storage : str, optional
        A database as Optuna takes it (``sqlite:///tuning.db``), or the path of a journal file; several processes may
        share it. ``study.journal`` in `out` where left out.
    budget : str
        Of a network.
    epochs : int, optional
        At most, while trying; what is found is not bound to it.
    random_seed : int
        Of the split, the networks and the draws.
    progress : callable, optional
        Told (what is being done, steps done, steps in all) now and then.
    settings
        Not searched, but set.

    Returns
    -------
    Tuned

    Raises
    ------
    FugatoError
        ``bad-option``, ``bad-data``, ``bad-output``; as `fugato.train.train`.
    """
    if task not in USUAL:
        raise FugatoError("bad-option", f"There is nothing to tune for {task!r}; choose {' or '.join(USUAL)}.")
    if task != "genre" and encoder is not None:
        raise FugatoError("bad-option", "An encoder is for recipes that name genres.")
    recipe = recipe or USUAL[task]
    how = find_recipe(task, recipe)
    if hasattr(how, "NETWORK"):
        raise FugatoError(
            "bad-option",
            f"{recipe} is made of {how.LINEAR.NAME} and {how.NETWORK.NAME}: tune those, and train it with what was found (--set).",
        )
    network = hasattr(how, "kind")
    for option, value, choices in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if value not in choices:
            raise FugatoError("bad-option", f"There is no {option} {value!r}; choose {' or '.join(choices)}.")
    for option, number, least in (("trials", trials, 1), ("epochs", epochs, 1), ("random_seed", random_seed, 0)):
        if number is not None and number < least:
            raise FugatoError("bad-option", f"{option} is {number}; it must be at least {least}.")
    composes = task == "compose"
    if epochs is not None and not (network or (composes and "epochs" in how.DEFAULTS)):
        raise FugatoError("bad-option", f"{recipe} has no epochs; it is solved at once.")
    how.check(settings)
    if task == "genre":
        from fugato.train import tune_genre

        if isinstance(data, Corpus) or composers is not None or without:
            raise FugatoError("bad-option", "A Corpus, composers and without are for pieces, not for recordings.")
        tune_genre.check_recipe(how, settings, encoder)
    if composes and budget not in how.BUDGETS:
        raise FugatoError("bad-option", f"{recipe} has no budget {budget!r}; it has {', '.join(how.BUDGETS)}.")
    of_budget = dict(how.BUDGETS[budget]) if composes or (network and how.settings({}, budget)) else {}
    ranges = {name: found for name, found in space(how).items() if name not in settings}
    values = {name: found for name, found in grid(how).items() if name not in settings}
    if not (values if sampler == "grid" else ranges):
        raise FugatoError("bad-option", "All settings are given, and none is left to search.")
    target = make_folder(out)
    folder = _training_folder(target)
    fixed = {**settings, **({"epochs": epochs} if epochs is not None else {})}
    if composes:
        from fugato.train import tune_compose

        packed, pieces = tune_compose.prepared(
            data, folder, composers=composers, without=without, seed=random_seed, jobs=jobs, progress=progress
        )
        attempt = tune_compose.attempts(how, packed, folder, budget=budget, fixed=fixed, seed=random_seed)
        measure = tune_compose.MEASURE
    elif task == "genre":
        assert not isinstance(data, Corpus)  # refused above
        highest = {name: max(found) for name, found in values.items()}
        if sampler == "tpe":
            highest = {name: found.high for name, found in ranges.items()}
        attempt, measure, pieces = tune_genre.attempts_on(
            how,
            data,
            folder,
            encoder=encoder,
            budget=budget,
            fixed=fixed,
            highest=highest,
            seed=random_seed,
            progress=progress,
        )
    else:
        attempt, measure, pieces = _on_works(
            how,
            data,
            folder,
            composers=composers,
            without=without,
            budget=budget,
            fixed=fixed,
            seed=random_seed,
            jobs=jobs,
            progress=progress,
        )
    key = {
        "recipe": recipe,
        "budget": budget,
        "sampler": sampler,
        "fixed": fixed,
        "seed": random_seed,
        "pieces": pieces,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    longest = int(how.settings(fixed, budget)["epochs"]) if network else 1
    with _quiet():
        study = _study(storage, target, f"{task}-{recipe}-{digest}", _pruner(pruner, longest))

        def keep(importance: Mapping[str, float]) -> Tuned:
            found = _tuned(study)
            best = found["best"]
            tuned = Tuned(
                task=task,
                recipe=recipe,
                budget=budget,
                data=data.name if isinstance(data, Corpus) else os.fspath(data),
                random_seed=random_seed,
                sampler=sampler,
                measure=measure,
                fixed=settings,
                encoder=None if encoder is None else os.fspath(encoder),
                settings={**of_budget, **settings, **best},
                importance=importance,
                **found,
            )
            try:
                tuned.write(target)
            except OSError as error:
                raise FugatoError("bad-output", f"Cannot keep the trials ({error}).", str(target)) from error
            return tuned

        if storage is None:  # nobody else is at it
            _free(study)
        asked = _Grid(values, random_seed) if sampler == "grid" else _Drawn(ranges, random_seed)
        most = min(trials or (TRIALS if sampler == "tpe" else asked.most), asked.most)
        if (done := len(_ended(study))) and done < most:
            _log.info("%d of %d trials were done before", done, most)
        while len(_ended(study)) < most:
            if progress is not None:
                progress("trying", len(_ended(study)), most)
            trial = asked.next(study)
            if trial is None:
                break
            _try(study, trial, attempt)
            keep({})
        tuned = keep(_importance(study, random_seed))
    shutil.rmtree(folder, ignore_errors=True)
    return tuned


# -- what is tried -------------------------------------------------------------------------------------------------------


def _on_works(
    how: Any,
    data: str | os.PathLike[str] | Corpus,
    folder: Path,
    *,
    composers: Collection[str] | None,
    without: Collection[str],
    budget: str,
    fixed: Mapping[str, float],
    seed: int,
    jobs: int,
    progress: Progress | None,
) -> tuple[attempts.Attempt, str, list[Any]]:
    """What a trial is of a recipe that names composers, what its figure measures, and the pieces that it depends on."""
    chosen = select(load_corpus(data), composers=composers, without=without)
    grouped = _grouped(chosen, (), jobs, stage(progress, "telling works apart"))
    pieces = [[piece.id, piece.composer, piece.group] for piece in grouped]
    if hasattr(how, "kind"):
        from fugato.train import store

        told = stage(progress, "cutting windows")
        windows = store.prepare_for(how, grouped, folder / "windows", jobs=jobs, progress=told)
        report_failures(windows.failed)
        windows = windows.select(usable(windows.pieces, chosen))
        labels, works = _labels_and_works(windows.pieces)
        attempt = attempts.of_network(how, windows, labels, works, folder, budget=budget, fixed=fixed, seed=seed)
        return attempt, "accuracy over the windows of the works to stop by, in the epoch that is kept", pieces
    prepared = how.prepare(grouped, jobs=jobs, progress=stage(progress, "counting"))
    report_failures(prepared.failed)
    rows = usable(prepared.pieces, chosen)
    if len(rows) < len(prepared.pieces):
        prepared = prepared.select(rows)
    labels, works = _labels_and_works(prepared.pieces)
    folds = min(FOLDS, len(set(works)))
    split = grouped_kfold(labels, works, folds, seed, ids=[piece.id for piece in prepared.pieces])
    split.check(works)
    attempt = attempts.of_folds(how, prepared, labels, works, split, fixed=fixed)
    return attempt, f"balanced accuracy over pieces, {folds}-fold over works", pieces


def _try(study: Any, trial: Any, attempt: attempts.Attempt) -> None:
    """One trial, told to the study whatever comes of it."""
    state = optuna.trial.TrialState
    try:
        value = attempt(trial, trial.params)
    except optuna.TrialPruned:
        study.tell(trial, state=state.PRUNED)
    except FugatoError as error:
        if error.kind != "bad-option":
            raise
        _log.warning("trial %d came to nothing: %s", trial.number, error.message)
        study.tell(trial, state=state.FAIL)
    except KeyboardInterrupt:
        trial.set_user_attr(STOPPED, True)
        study.tell(trial, state=state.FAIL)
        raise
    else:
        study.tell(trial, value)


# -- what is tried next --------------------------------------------------------------------------------------------------


class _Drawn:
    """Values drawn by the tree-structured Parzen estimator, from the seed, the trials before and how many run beside it alone."""

    most = 10**9  # there is always another draw

    def __init__(self, ranges: Mapping[str, Range], seed: int) -> None:
        self.ranges, self.seed = ranges, seed

    def next(self, study: Any) -> Any:
        trial = study.ask()  # numbered by the storage, so that processes that share it do not draw the same
        running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        beside = sum(other.number < trial.number for other in running)
        sequence = np.random.SeedSequence([self.seed, len(_ended(study)), beside])
        study.sampler = optuna.samplers.TPESampler(seed=int(sequence.generate_state(1)[0]))
        for name, found in self.ranges.items():
            found.draw(trial, name)
        return trial


class _Grid:
    """Every combination once, in an order that the seed gives, so that a part of the grid is spread over all of it."""

    def __init__(self, values: Values, seed: int) -> None:
        self.values = values
        points = [dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())]
        self.points = [points[i] for i in np.random.default_rng(seed).permutation(len(points))]
        self.most = len(points)

    def next(self, study: Any) -> Any:
        state = optuna.trial.TrialState
        taken = [t.params for t in study.get_trials(deepcopy=False) if _counts(t) or t.state == state.RUNNING]
        left = [point for point in self.points if point not in taken]
        if not left:
            return None
        study.sampler = optuna.samplers.RandomSampler(seed=0)  # asks for nothing: every value is given
        study.enqueue_trial(left[0])
        trial = study.ask()
        for name, choices in self.values.items():
            trial.suggest_categorical(name, choices)
        return trial


# -- the study -----------------------------------------------------------------------------------------------------------


def _study(storage: str | None, out: Path, name: str, pruner: Any) -> Any:
    try:
        if storage is not None and "://" in storage:
            kept: Any = storage
        else:
            path = str(out / "study.journal") if storage is None else storage
            lock = JournalFileOpenLock(path) if os.name == "nt" else None
            kept = optuna.storages.JournalStorage(JournalFileBackend(path, lock_obj=lock))
        return _created(kept, name, pruner)
    except (ImportError, OSError, ValueError, KeyError, optuna.exceptions.OptunaError) as error:
        raise _no_storage(storage, out, error) from error
    except Exception as error:
        if not type(error).__module__.startswith("sqlalchemy"):
            raise
        raise _no_storage(storage, out, error) from error


def _created(kept: Any, name: str, pruner: Any) -> Any:
    """The study, made or found. Two processes that meet a new database both make its tables, and the database stops one of them."""
    for left in reversed(range(TIMES_ASKED)):
        try:
            return optuna.create_study(
                storage=kept, study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
            )
        except Exception as error:
            if not left or not type(error).__module__.startswith("sqlalchemy"):
                raise
            time.sleep(ASKED_AGAIN)
    raise AssertionError("unreachable")


def _no_storage(storage: str | None, out: Path, error: Exception) -> FugatoError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return FugatoError("bad-option", f"The trials cannot be kept there ({reason}).", storage or str(out))


def _pruner(name: str, epochs: int) -> Any:
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=UNPRUNED_EPOCHS)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(epochs, 1))
    return optuna.pruners.NopPruner()


def _counts(trial: Any) -> bool:
    """Whether a trial has ended and was not killed."""
    return bool(trial.state.is_finished()) and STOPPED not in trial.user_attrs


def _ended(study: Any) -> list[Any]:
    return [trial for trial in study.get_trials(deepcopy=False) if _counts(trial)]


def _free(study: Any) -> None:
    """Trials that a kill left running are marked, and done again."""
    state = optuna.trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(state.RUNNING, state.WAITING)):
        if trial.state == state.WAITING:
            study.ask()
        study._storage.set_trial_user_attr(trial._trial_id, STOPPED, True)
        study.tell(trial.number, state=state.FAIL)


def _tuned(study: Any) -> dict[str, Any]:
    state = optuna.trial.TrialState
    rows: list[dict[str, Any]] = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state == state.WAITING or STOPPED in trial.user_attrs:
            continue
        value = trial.value
        if value is None and trial.intermediate_values:
            value = trial.intermediate_values[max(trial.intermediate_values)]
        seconds = trial.duration.total_seconds() if trial.duration is not None else None
        rows.append(
            {
                "number": trial.number,
                "value": value,
                "params": dict(trial.params),
                "state": trial.state.name,
                "seconds": seconds,
            }
        )
    complete = study.get_trials(deepcopy=False, states=(state.COMPLETE,))
    best = max(complete, key=lambda trial: (trial.value, -trial.number)) if complete else None
    return {
        "best": dict(best.params) if best is not None else {},
        "value": best.value if best is not None else None,
        "trials": tuple(rows),
    }


def _importance(study: Any, seed: int) -> dict[str, float]:
    """How much of what the trials differ by each setting accounts for."""
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    try:
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):  # too alike to say
        return {}
    return {name: round(float(share), 4) for name, share in found.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna speaks of every trial, and warns of what is new in it."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
