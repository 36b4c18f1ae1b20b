"""Training: a labelled collection in, a model folder with its own honest figures out."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fugato.errors import FugatoError

if TYPE_CHECKING:
    from fugato.corpus import Corpus

# Task -> the function that trains its models: called with the data, and the task where it asks for one.
TASKS: Final[dict[str, str]] = {
    "composer": "fugato.train.composer:train",
    "genre": "fugato.train.genre:train_genre",
    "compose": "fugato.train.compose:train_compose",
}


def train(
    task: str,
    data: str | os.PathLike[str] | Corpus,
    *,
    recipe: str | None = None,
    out: str | os.PathLike[str],
    **options: Any,
) -> Path:
    """Train a model on a labelled collection.

    Parameters
    ----------
    task : "composer", "genre" or "compose"
        To name composers or genres, or to write music.
    data : path or Corpus
        Whatever `fugato.load_corpus` takes: a folder for each composer, a zip of such, an index file, "music21"; for genres a folder of
        recordings for each genre.
    recipe : str, optional
        How; see `fugato.recipes`.
    out : path
        The model folder to write.
    options
        As `fugato.train.composer.train`, `fugato.train.genre.train_genre` or `fugato.train.compose.train_compose` take them; all others are
        settings of the recipe.

    Returns
    -------
    Path
        Of the model folder.

    Raises
    ------
    FugatoError
        ``bad-data``, ``bad-option``, ``bad-output``.
    """
    if task not in TASKS:
        raise FugatoError("bad-option", f"There is nothing to train for {task!r}; choose {' or '.join(TASKS)}.")
    module, _, name = TASKS[task].partition(":")
    given = (task, data) if name == "train" else (data,)
    folder: Path = getattr(import_module(module), name)(*given, recipe=recipe, out=out, **options)
    return folder


__all__ = ["train"]
