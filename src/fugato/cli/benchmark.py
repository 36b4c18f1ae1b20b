"""``fugato benchmark``: all recipes on one collection, both protocols, one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import FugatoError
from .edge import message
from .output import is_table, print_json
from .train import listed, progress, spoken


def benchmark(
    task: Annotated[str, typer.Argument(metavar="composer|genre", help="What the models are to name.")],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A folder with one folder a composer, a zip of one, or an index.csv.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="For the table and what is trained; a second run goes on there."),
    ],
    recipes: Annotated[str | None, typer.Option("--recipes", metavar="A,B", help="Only these recipes.")] = None,
    protocols: Annotated[
        str | None,
        typer.Option(
            "--protocols",
            metavar="published,honest",
            help="Ways to split; 'filed' takes the collection's own train, dev and test. Genres have names of their own.",
        ),
    ] = None,
    composers: Annotated[
        str | None, typer.Option("--composers", metavar="A,B|shipped", help="Only these composers.")
    ] = None,
    without: Annotated[
        str | None, typer.Option("--without", metavar="CORPUS[:DOMAIN],…", help="Leave out these parts of an index.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="CORPUS,…", help="Only these parts of an index.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, metavar="K", help="Folds of the honest protocol.")] = 5,
    budget: Annotated[
        str, typer.Option("--budget", metavar="small|full", help="full: as published, for a machine with a GPU.")
    ] = "small",
    random_seed: Annotated[int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same table.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="Reading processes.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Train all recipes under the published protocols and under an honest one, and put them side by side."""
    if task == "genre":
        if composers is not None or without is not None or only is not None:
            raise FugatoError("bad-option", "--composers, --without and --only are for indexes of pieces.")
        _genre(data, out, recipes, protocols, budget, random_seed, as_json)
        return
    from ..corpus import load_corpus
    from ..recipes import COMPOSER
    from ..study.benchmark import benchmark as run
    from ..study.benchmark import markdown

    corpus = load_corpus(data)
    if only is not None:
        corpus = corpus.filter(corpora=set(listed(only)))
        if not len(corpus):
            raise FugatoError("bad-option", f"There is nothing of {only} in it.", data)
    with spoken(), progress() as tell:
        table = run(
            task,
            corpus,
            out=out,
            recipes=listed(recipes) if recipes is not None else tuple(COMPOSER),
            protocols=listed(protocols or "published,honest"),
            composers=listed(composers) if composers is not None else None,
            without=listed(without or ""),
            folds=folds,
            budget=budget,
            random_seed=random_seed,
            jobs=jobs,
            progress=tell,
        )
    _say(table, markdown(table), out, as_json)


def _genre(
    data: str, out: Path, recipes: str | None, protocols: str | None, budget: str, random_seed: int, as_json: bool
) -> None:
    """The recipes that name genres."""
    from ..study.benchmark_genre import PROTOCOLS, RECIPES, benchmark_genre, markdown

    with spoken(), progress() as tell:
        table = benchmark_genre(
            data,
            out=out,
            recipes=listed(recipes) if recipes is not None else RECIPES,
            protocols=listed(protocols) if protocols is not None else PROTOCOLS,
            budget=budget,
            random_seed=random_seed,
            progress=tell,
        )
    _say(table, markdown(table), out, as_json)


def _say(table: dict[str, Any], text: str, out: Path, as_json: bool) -> None:
    if is_table(as_json):
        typer.echo(text, nl=False)
    else:
        print_json(table)
    message(f"fugato: the table is in {out}")
