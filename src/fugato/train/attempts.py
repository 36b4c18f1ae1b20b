"""What a trial of `fugato.train.tune` is, whatever is classified: settings in, a figure out, the higher the better.

Of a network it is one training, watched epoch by epoch so that it can be given up; of a recipe that is solved at once a cross-validation.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from fugato import metrics
from fugato.corpus.splits import Split
from fugato.recipes.network import NetworkRecipe
from fugato.train import networks
from fugato.train.judge import cross_validate
from fugato.train.store import Windows

Attempt = Callable[[Any, Mapping[str, float]], float]


def of_network(
    how: NetworkRecipe,
    windows: Windows,
    labels: Sequence[str],
    groups: Sequence[str],
    folder: Path,
    *,
    budget: str,
    fixed: Mapping[str, float],
    seed: int,
) -> Attempt:
    """One training on the groups that a model of the same seed learns from and stops by; those that it is judged by are left alone.

    Parameters
    ----------
    labels, groups : sequences of str
        Of `windows.pieces`.
    folder : Path
        For checkpoints; each trial empties its own.
    budget : str
    fixed : mapping
        Settings that are not searched.
    seed : int
        Of the split and the trainings.

    Returns
    -------
    callable
        (trial, settings) -> accuracy over the windows to stop by, in the epoch that is kept.
    """
    names = tuple(sorted(set(labels)))
    label = metrics.encode(list(labels), names)
    learn, stop, _ = networks.holdout(labels, groups, [piece.id for piece in windows.pieces], seed)

    def attempt(trial: Any, params: Mapping[str, float]) -> float:
        chosen = {**fixed, **params}
        how.check(chosen)
        given_up = False

        def watch(epoch: int, figures: Mapping[str, float]) -> bool:
            nonlocal given_up
            trial.report(figures["valid_accuracy"], epoch)
            given_up = bool(trial.should_prune())
            return given_up

        here = folder / f"trial-{trial.number}"
        options = {"seed": seed, "devices": 1, "watch": watch}
        settings = how.settings(chosen, budget)
        try:
            trained = networks.run(how, windows, label, len(names), learn, stop, settings, here, None, options)
        finally:
            shutil.rmtree(here, ignore_errors=True)
        if given_up:
            raise optuna.TrialPruned
        return trained.history[trained.best_epoch - 1]["valid_accuracy"]

    return attempt


def of_folds(
    how: Any,
    prepared: Any,
    labels: Sequence[str],
    groups: Sequence[str],
    split: Split,
    *,
    fixed: Mapping[str, float],
) -> Attempt:
    """One cross-validation; what is prepared serves all trials.

    Parameters
    ----------
    how, prepared, labels, groups, split
        As `fugato.train.judge.cross_validate`.
    fixed : mapping
        Settings that are not searched.

    Returns
    -------
    callable
        (trial, settings) -> balanced accuracy.
    """

    def attempt(trial: Any, params: Mapping[str, float]) -> float:
        chosen: dict[str, Any] = {**fixed, **params}
        judged = cross_validate(how, prepared, labels, groups, split, **chosen)
        return metrics.balanced_accuracy(judged.truth, judged.logits.argmax(axis=1))

    return attempt
