"""``fugato demo``: the main job on pieces that come with music21, so that nothing has to be at hand.

The files lie in music21's own corpus (see its ``corpus/license.txt``: public domain, or free for the use made here); they are
found without importing music21, which would take longer than the demonstration.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ..corpus.examples import EXAMPLES, examples
from ..errors import FugatoError
from . import show
from .edge import FAILED, message, printable
from .output import print_json

# Path in music21's corpus without its suffix, and who wrote it.
PIECES: Final[tuple[tuple[str, str], ...]] = tuple((e.place, e.composer) for e in EXAMPLES if e.demo)
PICTURED: Final = "chopin/mazurka06-2"


def demo(
    plot: Annotated[
        Path, typer.Option("--plot", metavar="OUT.png", help="Where the picture goes (.png or .svg).")
    ] = Path("fugato-demo.png"),
    model: Annotated[str, typer.Option("--model", metavar="NAME|DIR", help="A model's name or folder.")] = "composer",
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines on stdout instead of the table.")] = False,
) -> None:
    """Name the composers of a few pieces that come with music21, and draw one of them."""
    from ..composer import identify, identify_many
    from ..models import load_model
    from ..write import plot as draw

    started = time.perf_counter()
    pieces = list(corpus_files())
    truth = {str(path): (name, composer) for path, name, composer in pieces}
    labels = load_model(model).labels
    rows, right, failed = [], 0, 0
    for answer in identify_many(list(truth), model=model):
        name, composer = truth[str(answer["input"])]
        failed += "error" in answer
        right += _is_right(answer, composer, labels)
        if not as_json:  # a table also where nobody watches, as from make
            rows.append(
                [name, composer, show.verdict(answer), show.percent(answer.get("probability", 0.0)), _next(answer)]
            )
        else:
            print_json({**answer, "by": composer})
    if rows:
        show.table(["piece", "by", "Fugato says", "sure ", "then"], rows)
    pictured = next((path for path, name, _ in pieces if name == PICTURED), pieces[0][0])
    draw(identify(pictured, model=model, explain=True), plot)
    message(f"{right} of {len(pieces)} right, in {time.perf_counter() - started:.1f} s; the picture is in {plot}")
    if failed:
        raise typer.Exit(FAILED)


def corpus_files() -> Iterator[tuple[Path, str, str]]:
    """File, name and composer of each of `PIECES` that this version of music21 holds.

    Raises
    ------
    FugatoError
        ``bad-data`` where music21 or its corpus is not installed.
    """
    found = False
    for example, path in examples():
        if example.demo:
            found = True
            yield path, example.place, example.composer
    if not found:
        raise FugatoError("bad-data", "The demonstration needs the pieces that come with music21; install it whole.")


def _is_right(answer: dict[str, Any], composer: str, labels: Sequence[str]) -> bool:
    """Named and known; "none of these" is right for a composer that the model does not know."""
    if "error" in answer:
        return False
    return bool(answer["known"] and answer["name"] == composer) if composer in labels else not answer["known"]


def _next(answer: dict[str, Any]) -> str:
    guesses = answer.get("ranking", [])[1:3]
    return printable(", ".join(f"{g['name']} {show.percent(g['probability'])}" for g in guesses))
