"""``fugato tune``: the settings of a recipe that do best on a collection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import FugatoError
from . import show
from .edge import message
from .options import Budget, Composers, Encoder, Epochs, Jobs, Labelled, Task, Without
from .output import is_table, print_json
from .train import listed, numbers, progress, spoken


def tune(
    task: Task,
    data: Labelled,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="Whose settings; ngram-linear, mel-covariance or remi-transformer where left out.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="For trials and pictures; tuned-RECIPE where left out."),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option("--sampler", metavar="tpe|grid", help="Values drawn, or every combination of the recipe's grid."),
    ] = "tpe",
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, metavar="N", help="In all, earlier runs included; 20, or the whole grid."),
    ] = None,
    pruner: Annotated[
        str,
        typer.Option("--pruner", metavar="median|hyperband|none", help="How weak trials are given up early."),
    ] = "median",
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL|FILE", help="Keeps the trials: an Optuna URL, or a journal file."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting that is not searched; may be repeated."),
    ] = None,
    composers: Composers = None,
    without: Without = None,
    budget: Budget = "full",
    epochs: Epochs = None,
    encoder: Encoder = None,
    random_seed: Annotated[int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same search.")] = 0,
    jobs: Jobs = 2,
    top: Annotated[int, typer.Option("--top", min=1, metavar="N", help="Trials in the table.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="The best as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Search the settings of a recipe, on works that no model is judged by, and draw what came of it."""
    from ..recipes import recipe as find_recipe
    from ..train.tuned import USUAL

    chosen = numbers(settings or [])
    recipe = recipe or USUAL.get(task, "")
    find_recipe(task, recipe).check(chosen)
    by_set = chosen.pop("epochs", None)  # an option of its own in `fugato.train.tune.tune`
    if epochs is None and by_set is not None:
        epochs = int(by_set)
    from ..study import tuning
    from ..study.figures import varied
    from ..train.tune import tune as search

    folder = out if out is not None else Path(f"tuned-{recipe}")
    with spoken(), progress() as tell:
        found = search(
            task,
            data,
            recipe=recipe,
            out=folder,
            sampler=sampler,
            trials=trials,
            pruner=pruner,
            storage=storage,
            budget=budget,
            epochs=epochs,
            composers=listed(composers) if composers is not None else None,
            without=listed(without or ""),
            random_seed=random_seed,
            jobs=jobs,
            progress=tell,
            encoder=encoder,
            **chosen,
        )
    if not found.ranked:
        raise FugatoError("bad-option", f"None of {len(found.trials)} trials came to an end with a figure.", data)
    tuning.write(found, folder, top=top)
    if is_table(as_json):
        names = varied(found.ranked) or list(found.best)
        heads = ["rank ", "trial ", "value ", *(f"{name} " for name in names), "seconds "]
        show.table(heads, tuning.rows(found, names, top))
    else:
        kept = ("recipe", "sampler", "measure", "value", "best", "settings", "importance", "command")
        values = {name: getattr(found, name) for name in kept}
        print_json({**values, "trials": len(found.trials), "folder": str(folder)})
    message(f"fugato: value is the {found.measure}; table and pictures are in {folder}")
    message(f"fugato: train with the best settings by  {found.command}")
