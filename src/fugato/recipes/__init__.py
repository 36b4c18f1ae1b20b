"""Recipes: one file each, with its input, model, settings and search space together.

A recipe of the composer task is a module with `NAME`, `DEFAULTS`, `SPACE`, ``check(settings)``, ``prepare(corpus, jobs, progress)``,
``fit(…)`` and ``export(…)``; what it prepares has `pieces`, `failed` and ``select(rows)``. Networks declare a
`fugato.recipes.network.NetworkRecipe` named `RECIPE` instead, and the training loop does the rest. What a recipe of the compose task
declares is said in `fugato.train.compose.train_compose`. One of the genre task is as one of the composer task, but for
``prepare(passages, progress, **settings)``: what it prepares has `passages`, and serves lower values of the settings it was prepared for.
`WHOLE` names the settings that are whole numbers, `GRID` the values that a publication searched.

So that `fugato models NAME --draw` can draw it, a recipe that is no `NetworkRecipe` has ``example(n_labels, rows)``, an untrained network
with a tuple of inputs of so many rows, or ``layers(n_labels)``, a list of `fugato.write.network_picture.Layer`, or an entry in
`fugato.train.drawings`.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Final

from fugato.errors import FugatoError

# Read when PyTorch is first loaded. An LSTM meets at a barrier several times a step: threads that spin there, and not sleep, make
# training ten times slower and more as soon as another process wants a processor.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

COMPOSER: Final[dict[str, str]] = {
    "ngram-linear": "fugato.recipes.ngram_linear",
    "lstm": "fugato.recipes.lstm",
    "bilstm-attention": "fugato.recipes.bilstm_attention",
    "pianoroll-cnn": "fugato.recipes.pianoroll_cnn",
    "spectrogram-cnn": "fugato.recipes.spectrogram_cnn",
    "note-lstm": "fugato.recipes.note_lstm",
    "note-transformer": "fugato.recipes.note_transformer",
    "onset-cnn": "fugato.recipes.onset_cnn",
}
TOGETHER: Final[dict[str, str]] = {"panel": "fugato.recipes.panel"}  # of the composer task: others at once

COMPOSE: Final[dict[str, str]] = {
    "remi-transformer": "fugato.recipes.remi_transformer",
    "chord-lstm": "fugato.recipes.chord_lstm",
    "pitch-duration-lstm": "fugato.recipes.pitch_duration_lstm",
    "markov": "fugato.recipes.markov",
}

GENRE: Final[dict[str, str]] = {
    "mel-covariance": "fugato.recipes.mel_covariance",
    "segment-kernel": "fugato.recipes.segment_kernel",
    "feature-table": "fugato.recipes.feature_table",
    "mel-cnn": "fugato.recipes.mel_cnn",
    "mfcc-cnn": "fugato.recipes.mfcc_cnn",
    "pretrained-encoder": "fugato.recipes.pretrained_encoder",
}


def recipe(task: str, name: str) -> Any:
    """A recipe: a module, or what it declares of a network.

    Raises
    ------
    FugatoError
        ``bad-option`` where there is none of that name, or its extra is not installed.
    """
    tables = {"composer": COMPOSER | TOGETHER, "genre": GENRE, "compose": COMPOSE}
    if task not in tables:
        raise FugatoError("bad-option", f"There is nothing to train for {task!r}; choose {' or '.join(tables)}.")
    if name not in tables[task]:
        raise FugatoError("bad-option", f"There is no recipe {name!r} for {task}; there are {', '.join(tables[task])}.")
    try:
        module = import_module(tables[task][name])
        return getattr(module, "RECIPE", module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("fugato"):
            raise
        raise FugatoError(
            "bad-option", f"Training needs the package {error.name}: install it with  pip install 'fugato[train]'."
        ) from error


def task_of(name: str) -> str:
    """The task of a recipe, by its name alone.

    Raises
    ------
    FugatoError
        ``no-model`` where there is none of that name.
    """
    tables = {"composer": COMPOSER | TOGETHER, "genre": GENRE, "compose": COMPOSE}
    for task, table in tables.items():
        if name in table:
            return task
    listed = ", ".join(known for table in tables.values() for known in table)
    raise FugatoError("no-model", f"There is no model or recipe {name!r}; the recipes are {listed}.")


__all__ = ["COMPOSE", "COMPOSER", "TOGETHER", "recipe", "task_of"]
