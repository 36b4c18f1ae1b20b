"""``fugato audit``: what is wrong with a collection before a model learns it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import show
from .edge import message
from .output import is_table, print_json

EXAMPLES = 5  # findings of each kind that are shown on a terminal


def audit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with one folder a composer, or an index.csv.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write the full report and a corrected index here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Find duplicates and conflicting labels in a collection, and correct its index."""
    from ..corpus import audit as examine
    from ..corpus import load_corpus

    report = examine(load_corpus(data))
    if out is not None:
        report.write(out)
        message(f"fugato: the report and a corrected index are in {out}")
    found: dict[str, Any] = report.to_dict()
    if is_table(as_json):
        _summary(found)
    else:
        print_json(found)


def _summary(found: dict[str, Any]) -> None:
    """Numbers first, then a few findings of each kind."""
    rows = []
    for name, value in found.items():
        if isinstance(value, list | dict):
            rows.append([name.replace("_", " "), f"{len(value):,}"])
        elif value is not None:
            rows.append([name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)])
    show.table(["", "number "], rows)
    screen = show.console()
    for name, value in found.items():
        if isinstance(value, list) and value:
            screen.print(f"{name.replace('_', ' ')}:", style=show.ACCENT)
            for finding in value[:EXAMPLES]:
                screen.print(show.plain(finding))
            if len(value) > EXAMPLES:
                screen.print(f"  … and {len(value) - EXAMPLES:,} more", style="dim")
