"""``fugato train``: a model of one's own from a labelled folder or index."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import FugatoError
from . import show
from .edge import message
from .options import Budget, Composers, Encoder, Epochs, Jobs, Labelled, OnlyOpen, Task, Without
from .output import is_table, print_json

TASKS = ("composer", "genre", "compose")


def train(
    task: Task,
    data: Labelled,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="How to make it; ngram-linear, mel-covariance or remi-transformer where left out.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The model folder to write.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Keep it as a local model of this name.")
    ] = None,
    composers: Composers = None,
    without: Without = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the recipe; may be repeated.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", min=1, metavar="K", help="Folds, grouped by work, to measure it on. Networks: 1, a holdout."
        ),
    ] = None,
    tuned: Annotated[
        Path | None, typer.Option("--tuned", metavar="DIR", help="Take the best settings that  fugato tune  found.")
    ] = None,
    budget: Budget = "full",
    epochs: Epochs = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was stopped.")] = False,
    devices: Annotated[str, typer.Option("--devices", metavar="N", help="GPUs or processes to train on.")] = "auto",
    nodes: Annotated[int, typer.Option("--nodes", min=1, metavar="N", help="Machines to train on.")] = 1,
    precision: Annotated[
        str, typer.Option("--precision", metavar="auto|32-true|bf16-mixed", help="Numbers to train in.")
    ] = "auto",
    from_model: Annotated[
        str | None, typer.Option("--from", metavar="NAME|DIR", help="compose: go on from this model (fine-tuning).")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", help="compose: learn for so long at most.")
    ] = None,
    encoder: Encoder = None,
    only_open: OnlyOpen = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write a report on the pieces held out, with pictures."),
    ] = None,
    random_seed: Annotated[int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same model.")] = 0,
    jobs: Jobs = 2,
    as_json: Annotated[bool, typer.Option("--json", help="The card as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Train a model, measure it on works held out, and write its folder."""
    from ..models import local_folder

    if task not in TASKS:
        raise FugatoError("bad-option", f"There is nothing to train for {task!r}; choose {' or '.join(TASKS)}.")
    if out is None:
        if name is None:
            raise FugatoError("bad-option", "Say where the model goes: --out DIR, or --name NAME for a local model.")
        out = local_folder(name)
    chosen = numbers(settings or [])
    from ..recipes import recipe as find_recipe
    from ..train import train as make
    from ..train.precision import precision_for

    precision_for(False, precision)  # refused before any file is read
    if epochs is not None:
        chosen["epochs"] = epochs
    if task == "compose":
        _only_for_composer(folds=folds, tuned=tuned, report=report)
        folder = _compose(
            data,
            recipe=recipe,
            out=out,
            name=name,
            composers=listed(composers) if composers is not None else None,
            without=listed(without or ""),
            only_open=only_open,
            from_model=from_model,
            minutes=minutes,
            budget=budget,
            resume=resume,
            devices=int(devices) if devices.isdecimal() else devices,
            nodes=nodes,
            precision=precision,
            random_seed=random_seed,
            jobs=jobs,
            **chosen,
        )
        _say(folder, name, as_json, "fugato compose --model {} --bars 16 --out new/")
        return
    from ..train.tuned import read_tuned, recipe_of

    about: dict[str, Any] = {
        "recipe": recipe_of(task, recipe, read_tuned(tuned) if tuned is not None else None),
        "tuned": tuned,
    }
    if task == "genre":
        _only_for_composer(composers=composers, without=without)
        about["encoder"] = encoder
    else:
        about["composers"] = listed(composers) if composers is not None else None
        about["without"] = listed(without or "")
        about["jobs"] = jobs
    find_recipe(task, about["recipe"]).check(chosen)
    if report is not None:
        from ..study.report import check_folder

        check_folder(report)  # refuse it before hours of training
    with spoken(), progress() as tell:
        folder = make(
            task,
            data,
            out=out,
            name=name,
            folds=folds,
            budget=budget,
            resume=resume,
            devices=int(devices) if devices.isdecimal() else devices,
            nodes=nodes,
            precision=precision,
            random_seed=random_seed,
            progress=tell,
            judged=partial(_report, report, name or out.name) if report is not None else None,
            **about,
            **chosen,  # type: ignore[arg-type]
        )
    _say(
        folder, name, as_json, "fugato genre FILE --model {}" if task == "genre" else "fugato identify FILE --model {}"
    )


def _say(folder: Path, name: str | None, as_json: bool, then: str) -> None:
    """The figures of a new model, and what to do with it."""
    from ..models import load_model

    card = load_model(folder).card
    if is_table(as_json):
        show.figures(card.to_dict()["figures"])
    else:
        print_json({**card.to_dict(), "folder": str(folder)})
    asked = name if name is not None else str(folder)
    message(f"fugato: the model is in {folder}; try  {then.format(asked)}")


def _compose(data: str, **options: Any) -> Path:
    """Train a model that composes, with its progress told."""
    from ..train.compose import train_compose

    with spoken(), progress() as tell:
        return train_compose(data, progress=tell, **options)


def _only_for_composer(**options: Any) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise FugatoError("bad-option", f"--{given[0]} is for models that name composers.")


def _report(folder: Path, name: str, judged: Any, parts: dict[str, Any]) -> None:
    """Pictures and tables of what the held-out pieces were named."""
    from ..study.report import Predictions
    from ..study.report import report as write

    answers = judged.probabilities()
    predictions = Predictions(judged.labels, judged.truth, answers, judged.groups)
    write(predictions, folder, title=name, history=parts.get("history"), trials=parts.get("trials"))
    message(f"fugato: the report on the held-out pieces is in {folder}")


def numbers(settings: list[str]) -> dict[str, float]:
    """Settings written KEY=VALUE.

    Raises
    ------
    FugatoError
        ``bad-option`` for what is not written so, or is given twice.
    """
    found: dict[str, float] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not key or not equals:
            raise FugatoError("bad-option", f"--set takes KEY=VALUE, as in --set penalty=2, not {setting!r}.")
        if key in found:
            raise FugatoError("bad-option", f"--set gives {key} twice.")
        try:
            found[key] = float(value)
        except ValueError:
            raise FugatoError("bad-option", f"--set {key} must be a number, not {value!r}.") from None
    return found


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class _Spoken(logging.Handler):
    """Log records as lines for the person on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        message(f"fugato: {record.getMessage()}")


@contextmanager
def spoken() -> Iterator[None]:
    """What training and measuring warn of goes to stderr; on a terminal also how they get on."""
    loggers = [logging.getLogger(name) for name in ("fugato.train", "fugato.study")]
    before = [(logger.level, logger.propagate) for logger in loggers]
    handler = _Spoken()
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO if sys.stderr.isatty() else logging.WARNING)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for each stage on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        stages: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total)
            bar.update(stages[stage], completed=done)

        yield tell
