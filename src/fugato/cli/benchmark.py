"""``fugato benchmark``: all recipes on one collection, both protocols, one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import FugatoError
from .edge import message
from .options import Composers, Jobs, OnlyOpen, Without
from .output import is_table, print_json
from .train import listed, progress, spoken


def benchmark(
    task: Annotated[
        str, typer.Argument(metavar="composer|genre|compose", help="What the models are to name, or that they compose.")
    ],
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
    composers: Composers = None,
    without: Without = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="CORPUS,…", help="Only these parts of an index.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, metavar="K", help="Folds of the honest protocol.")] = 5,
    budget: Annotated[
        str, typer.Option("--budget", metavar="small|full", help="full: as published, for a machine with a GPU.")
    ] = "small",
    random_seed: Annotated[int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same table.")] = 0,
    jobs: Jobs = 2,
    systems: Annotated[
        str | None,
        typer.Option(
            "--systems",
            metavar="A,B",
            help="compose: only chord-lstm-argmax, chord-lstm, pitch-duration-lstm, markov, unguarded, unconditioned, ours, chosen.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="RECIPE=DIR", help="compose: the model of a recipe; may be repeated."),
    ] = None,
    pieces: Annotated[int, typer.Option("--pieces", min=2, metavar="N", help="compose: of each system.")] = 100,
    bars: Annotated[int, typer.Option("--bars", min=2, metavar="N", help="compose: of each piece.")] = 32,
    seed_bars: Annotated[
        int, typer.Option("--seed-bars", min=1, metavar="N", help="compose: of each seed, not measured.")
    ] = 8,
    listen: Annotated[
        Path | None,
        typer.Option(
            "--listen", metavar="OUT.html", help="compose: a page on which ten seeds can be heard in all systems."
        ),
    ] = None,
    read_back: Annotated[
        int | None,
        typer.Option("--read-back", min=0, metavar="N", help="compose: read only so many pieces back, a second each."),
    ] = None,
    judge: Annotated[
        str, typer.Option("--judge", metavar="NAME|DIR", help="compose: the model that names composers.")
    ] = "composer",
    only_open: OnlyOpen = False,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Train all recipes under the published protocols and under an honest one, or let systems compose, and put them side by side."""
    if task == "compose":
        _only_for_others(recipes=recipes, protocols=protocols, composers=composers, only=only)
        options = {
            "pieces": pieces,
            "bars": bars,
            "seed_bars": seed_bars,
            "listen": listen,
            "read_back": read_back,
            "judge": judge,
        }
        chosen = {"without": listed(without or ""), "only_open": only_open, "budget": budget}
        _compose(data, out, systems, model, as_json, random_seed=random_seed, jobs=jobs, **options, **chosen)
        return
    if systems is not None or model is not None or listen is not None:
        raise FugatoError("bad-option", "--systems, --model and --listen are for systems that compose.")
    if task == "genre":
        if composers is not None or without is not None or only is not None:
            raise FugatoError("bad-option", "--composers, --without and --only are for indexes of pieces.")
        _genre(data, out, recipes, protocols, budget, random_seed, as_json)
        return
    from ..corpus import load_corpus
    from ..recipes import COMPOSER
    from ..study.benchmark import benchmark as run
    from ..study.benchmark_table import markdown

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


def _compose(
    data: str, out: Path, systems: str | None, models: list[str] | None, as_json: bool, **options: Any
) -> None:
    """The systems that compose."""
    from ..study.benchmark_compose import benchmark_compose
    from ..study.compose_systems import SYSTEMS
    from ..study.compose_table import markdown

    given = {}
    for model in models or []:
        recipe, equals, folder = model.partition("=")
        if not equals or not folder:
            raise FugatoError("bad-option", f"--model takes RECIPE=DIR, as in --model markov=my-chain/, not {model!r}.")
        given[recipe.strip()] = folder.strip()
    with spoken(), progress() as tell:
        table = benchmark_compose(
            data,
            out=out,
            models=given,
            systems=listed(systems) if systems is not None else tuple(SYSTEMS),
            progress=tell,
            **options,
        )
    _say(table, markdown(table), out, as_json)
    if options["listen"] is not None:
        message(f"fugato: what they wrote can be heard on {options['listen']}")


def _only_for_others(**options: Any) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise FugatoError("bad-option", f"--{given[0]} is not for systems that compose.")


def _say(table: dict[str, Any], text: str, out: Path, as_json: bool) -> None:
    if is_table(as_json):
        typer.echo(text, nl=False)
    else:
        print_json(table)
    message(f"fugato: the table is in {out}")
