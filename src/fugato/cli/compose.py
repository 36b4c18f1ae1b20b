"""``fugato compose``: new music as MIDI, sound, notation and picture."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FugatoError
from . import show
from .edge import message
from .output import is_table, print_json

if TYPE_CHECKING:
    from ..compose import Composition


def compose(
    style: Annotated[
        str | None, typer.Option("--style", metavar="NAME", help="A composer, or a period such as Baroque.")
    ] = None,
    seed: Annotated[str | None, typer.Option("--seed", metavar="FILE", help="Music to go on from.")] = None,
    seed_composer: Annotated[
        str | None, typer.Option("--seed-composer", metavar="NAME", help="Go on from a piece by NAME that comes along.")
    ] = None,
    bars: Annotated[int | None, typer.Option("--bars", metavar="N", help="New bars; 32 where left out.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", metavar="S", help="Length in place of bars.")] = None,
    infill: Annotated[
        str | None, typer.Option("--infill", metavar="A:B", help="Write bars A to B of the seed anew; all else stays.")
    ] = None,
    variations: Annotated[
        int,
        typer.Option("--variations", min=1, metavar="K", help="Write K pieces, each with a random seed of its own."),
    ] = 1,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, metavar="N", help="Keep the best N of them; all where left out.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="T", help="Below 1 plainer, above 1 wilder.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", metavar="P", help="Draw from the likeliest values of this probability together."),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", metavar="G", help="How strongly the style pulls; 1 as learnt, 3 where left out."),
    ] = None,
    random_seed: Annotated[
        int | None,
        typer.Option("--random-seed", min=0, metavar="N", help="Same seed, same piece; drawn where left out."),
    ] = None,
    tempo: Annotated[float | None, typer.Option("--tempo", metavar="QPM", help="Quarter notes a minute.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="As C, 'F# major', B- or 'a minor'.")] = None,
    program: Annotated[
        int | None, typer.Option("--program", metavar="N", help="General MIDI instrument, 0 to 127, of all parts.")
    ] = None,
    humanise: Annotated[
        float, typer.Option("--humanise", metavar="X", help="Play MIDI and sound as a person might; 1 is usual.")
    ] = 0.0,
    soundfont: Annotated[
        Path | None, typer.Option("--soundfont", metavar="FILE", help="Play it with this soundfont (.sf2, .sf3).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files; made if need be.")] = Path(),
    model: Annotated[str, typer.Option("--model", metavar="NAME|DIR", help="A model that composes.")] = "compose",
    as_json: Annotated[bool, typer.Option("--json", help="Reports as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Write new music in a style: from nothing, after a seed, or in a gap of a piece."""
    from ..compose import variations as make
    from ..write.place import make_folder

    keep = variations if keep is None else keep
    gap = _gap(infill) if infill is not None else None
    fresh = not out.exists()
    make_folder(out)
    sampling = {"temperature": temperature, "top_p": top_p, "guidance": guidance}
    try:
        pieces = make(
            variations,
            keep,
            random_seed=random_seed,
            style=style,
            seed=seed,
            seed_composer=seed_composer,
            bars=bars,
            seconds=seconds,
            infill=gap,
            tempo=tempo,
            key=key,
            program=program,
            humanise=humanise,
            model=model,
            **{name: value for name, value in sampling.items() if value is not None},
        )
    except FugatoError:
        if fresh:
            with suppress(OSError):
                out.rmdir()  # nothing came of it
        raise
    lines = []
    for piece in pieces:
        files = save(piece, out, soundfont)
        report = {**piece.to_dict(), "files": [str(file) for file in files]}
        for warning in report["warnings"] + report["problems"]:
            message(f"fugato: {piece.name}: {warning}")
        if not is_table(as_json):
            print_json(report)
        lines.append(_line(report))
    if is_table(as_json):
        show.table(["files", "bars", "notes", "key", "ending", "nearest training piece"], lines)
    message(f"fugato: {len(pieces)} of {variations} written to {out}")


def save(piece: Composition, folder: Path, soundfont: Path | None = None) -> list[Path]:
    """A piece as .mid, .musicxml, .wav, .png, engraved as .svg where Verovio is, and its report as .json."""
    from ..write import plot, write

    sound: dict[str, Any] = {} if soundfont is None else {"soundfont": soundfont}
    base = folder / piece.name
    files = [
        write(piece, base.with_suffix(".mid")),
        write(piece, base.with_suffix(".musicxml")),
        write(piece, base.with_suffix(".wav"), **sound),
        plot(piece, base.with_suffix(".png")),
    ]
    if find_spec("verovio") is not None:
        files.append(write(piece, base.with_suffix(".svg")))
    report = base.with_suffix(".json")
    report.write_text(json.dumps(piece.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*files, report]


def _gap(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    if not (colon and first.strip().isdecimal() and last.strip().isdecimal()):
        raise FugatoError("bad-option", f"--infill takes two bars, as in --infill 9:12, not {text!r}.")
    return int(first), int(last)


def _line(report: dict[str, Any]) -> list[str]:
    run = report["copy"]
    nearest = f"{run['notes']} notes of {run['work']} ({run['composer']})" if run["work"] else ""
    stem = str(Path(report["files"][0]).with_suffix(""))
    return [
        stem,
        str(report["bars"]),
        str(report["notes"]),
        report["options"]["key"] or "",
        report["ending"] or "",
        nearest,
    ]
