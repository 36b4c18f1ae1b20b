"""The ``fugato`` command: its commands in the order of its help, each with one working example."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from .. import __version__
from .audit import audit
from .benchmark import benchmark
from .compose import compose
from .demo import demo
from .edge import at_the_edge, set_debug
from .explore import explore
from .featurise import featurise
from .genre import genre
from .identify import identify
from .models import models
from .report import report
from .serve import serve
from .style import compare, embed, map, neighbours
from .train import train
from .tune import tune

COMMANDS: list[tuple[Callable[..., None], str]] = [  # command, its example
    (identify, "fugato identify nocturne.mid --explain --plot nocturne.png"),
    (compare, "fugato compare edition.mid performance.mid"),
    (neighbours, "fugato neighbours nocturne.mid my-folder/"),
    (map, "fugato map my-folder/ --out map.html"),
    (embed, "fugato embed my-folder/ --out vectors.jsonl"),
    (genre, "fugato genre song.flac --plot song.png"),
    (compose, "fugato compose --style Chopin --seed nocturne.mid --bars 32 --out new/"),
    (audit, "fugato audit my-folder/ --out report/"),
    (explore, "fugato explore my-folder/ --out pictures/"),
    (featurise, "fugato featurise my-folder/ --out features.parquet"),
    (train, "fugato train composer my-folder/ --recipe ngram-linear --out my-model/"),
    (tune, "fugato tune composer my-folder/ --recipe lstm --trials 20 --out tuned/"),
    (report, "fugato report my-model/ my-folder/ --out report/"),
    (benchmark, "fugato benchmark composer my-folder/ --out benchmark/"),
    (models, "fugato models composer"),
    (serve, "fugato serve --port 8000"),
    (demo, "fugato demo"),
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: fugato identify nocturne.mid",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"fugato {__version__}")
        raise typer.Exit


@app.callback()
def front_door(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback where something goes wrong.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Name the composer of a piece of music from its notes; audit a collection; train a model of your own."""
    set_debug(debug)


for _command, _example in COMMANDS:
    app.command(epilog=f"Example: {_example}")(at_the_edge(_command))


def run() -> None:
    """Parse the command line, run the command and exit; ``--debug`` may stand anywhere."""
    arguments = sys.argv[1:]
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--debug" in before:
        arguments.remove("--debug")
        arguments.insert(0, "--debug")
    try:
        app(arguments, prog_name="fugato")
    except KeyboardInterrupt:
        sys.exit(130)
