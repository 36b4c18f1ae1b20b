"""``fugato compare``, ``neighbours``, ``map`` and ``embed``: the style space."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FugatoError
from . import show
from .answering import OverwriteOption, check_again
from .edge import FAILED, message, printable
from .options import Jobs
from .output import JsonLines, is_table, print_json

if TYPE_CHECKING:
    from ..composer import Comparison

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, also on a terminal.")]


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A music file.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    as_json: AsJson = False,
) -> None:
    """Say how alike two pieces are in style, and whether they are the same work."""
    from ..composer import compare as ask

    found = ask(a, b)
    if not is_table(as_json):
        print_json(found.to_dict())
        return
    screen = show.console()
    for number, line in enumerate(sentences(found)):
        screen.print(printable(line), style=show.ACCENT if number == 0 else None)


def sentences(found: Comparison) -> list[str]:
    """What a comparison says, in words."""
    alike, within = show.percent(found.alike), show.percent(found.alike_within)
    grams = f"{found.shared_grams:,} melodic turns in common, {show.percent(found.shared)} of the piece that has fewer"
    return [
        "The same work." if found.same_work else "Two different works, or no more than a few bars in common.",
        f"In style more alike than {alike} of pairs of works by two composers,",
        f"and than {within} of pairs of two works by one composer (cosine {found.cosine:.2f}).",
        f"{grams}.",
    ]


def neighbours(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A music file.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of music, a zip or an index.csv.")],
    number: Annotated[int, typer.Option("--number", "-n", min=1, metavar="N", help="How many.")] = 10,
    jobs: Jobs = 2,
    as_json: AsJson = False,
) -> None:
    """List the pieces of a collection nearest in style; asking again reads only what is new."""
    from ..composer import embed_collection
    from ..composer import neighbours as ask

    with show.progress(_size(data)) as advance:
        collection = embed_collection(data, jobs=jobs, progress=_steps(advance))
    _left_out(collection.failed)
    found = ask(file, collection, number)
    if not is_table(as_json):
        for near in found:
            print_json(near.to_dict())
    else:
        rows = [
            [show.percent(n.alike), n.composer, n.title, "the same work" if n.same_work else "", n.path] for n in found
        ]
        show.table(["more alike than ", "composer", "title", "", "file"], rows)
        message(
            "fugato: the share of pairs of works by two composers that are less alike; the same work by its fingerprint"
        )


def map(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder of music, a zip or an index.csv.")],
    out: Annotated[Path, typer.Option("--out", metavar="MAP.html", help="The page to write.")],
    random_seed: Annotated[int, typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same picture.")] = 0,
    jobs: Jobs = 2,
    as_json: AsJson = False,
) -> None:
    """Draw a collection as a map of style on one page: hover, zoom, filter, coloured by composer or period."""
    from ..study.style_map import style_map

    with show.progress(_size(data)) as advance:
        made = style_map(data, out, jobs=jobs, random_seed=random_seed, progress=_steps(advance))
    _left_out(made.left_out)
    message(f"fugato: {made.pieces:,} pieces by {made.composers:,} composers are on the map in {made.page}")
    if as_json or not is_table(as_json):
        print_json(made.to_dict())


def embed(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FILE…|FOLDER", help="Music files, or folders walked to the last file.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="OUT.jsonl", help="Vectors to this file, a line each.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file given to --out.")] = False,
    overwrite: OverwriteOption = False,
    jobs: Jobs = 2,
) -> None:
    """Give the style vector of each piece as a line of JSON."""
    if resume and out is None:
        raise FugatoError("bad-option", "--resume goes on with a file of vectors: give it with --out.")
    check_again(resume, overwrite)
    from ..composer import embed_many
    from ..read import suffixes
    from .answering import expand

    paths = expand(inputs, suffixes(), "music")
    with ExitStack() as stack:
        lines = stack.enter_context(JsonLines(out, resume=resume, overwrite=overwrite)) if out is not None else None
        todo = lines.left(paths) if lines is not None else paths
        failed = len(lines.failed_before.intersection(paths)) if lines is not None else 0
        advance = stack.enter_context(show.progress(len(todo)))
        for name, sha256, vector in embed_many(todo, jobs=jobs):
            line: dict[str, Any]
            if isinstance(vector, FugatoError):
                failed += 1
                line = {**vector.to_dict(), "input": name}
            else:
                line = {"input": name, "sha256": sha256, "style": [round(v, 6) for v in vector.tolist()]}
            if lines is not None:
                lines.write(line)
            else:
                print_json(line)
            advance()
    if out is not None:
        message(f"fugato: {len(paths) - failed:,} vectors, {failed:,} refused; in {out}")
    if failed:
        raise typer.Exit(FAILED)


def _steps(advance: Callable[[], None]) -> Callable[[int, int], None]:
    """A progress bar that goes one on, for a function that tells how far it is."""
    done = 0

    def tell(so_far: int, _: int) -> None:
        nonlocal done
        while done < so_far:
            advance()
            done += 1

    return tell


def _size(data: str) -> int:
    """Pieces of a collection, for the progress bar; 0 where it cannot be listed, which is said later."""
    from ..composer import list_collection

    try:
        return len(list_collection(data))
    except FugatoError:
        return 0


def _left_out(failed: tuple[FugatoError, ...]) -> None:
    for error in failed[:3]:
        message(f"fugato: left out: {error}")
    if len(failed) > 3:
        message(f"fugato: and {len(failed) - 3:,} more")
