"""``fugato train``: a model of one's own from a labelled folder or index."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import FugatoError
from . import show
from .edge import message
from .output import is_table, print_json

TASKS = ("composer",)


def train(
    task: Annotated[str, typer.Argument(metavar="composer", help="What the model is to name.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with one folder a composer, or an index.csv.")],
    recipe: Annotated[str, typer.Option("--recipe", metavar="NAME", help="How to make it.")] = "ngram-linear",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The model folder to write.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Keep it as a local model of this name.")
    ] = None,
    folds: Annotated[
        int, typer.Option("--folds", min=2, metavar="K", help="Folds, grouped by work, to measure it on.")
    ] = 5,
    random_seed: Annotated[int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same model.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The card as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Train a model, measure it on works held out, and write its folder."""
    from ..models import load_model, local_folder

    if task not in TASKS:
        raise FugatoError("bad-option", f"There is nothing to train for {task!r}; choose {' or '.join(TASKS)}.")
    if out is None:
        if name is None:
            raise FugatoError("bad-option", "Say where the model goes: --out DIR, or --name NAME for a local model.")
        out = local_folder(name)
    _talk()
    from ..train import train as make

    folder = make(task, data, recipe=recipe, out=out, random_seed=random_seed, folds=folds, name=name)
    card = load_model(folder).card
    if is_table(as_json):
        show.figures(card.to_dict()["figures"])
    else:
        print_json({**card.to_dict(), "folder": str(folder)})
    asked = name if name is not None else str(folder)
    message(f"fugato: the model is in {folder}; try  fugato identify FILE --model {asked}")


def _talk() -> None:
    """What the training says about its progress goes to stderr, where there is a terminal."""
    logger = logging.getLogger("fugato")
    if sys.stderr.isatty() and not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
