"""``fugato audit``: what is wrong with a collection before a model learns it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import show
from .edge import message
from .options import Jobs
from .output import is_table, print_json

if TYPE_CHECKING:
    from ..corpus import AuditReport

EXAMPLES = 5  # findings of each kind that are shown on a terminal


def audit(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with one folder a composer, or an index.csv.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Write the full report and a corrected index here.")
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also measure what the files alone give away (needs the extra train).")
    ] = False,
    jobs: Jobs = 2,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Find duplicates and conflicting labels in a collection, and correct its index."""
    from ..corpus import audit as examine
    from ..corpus import load_corpus

    corpus = load_corpus(data)
    with show.progress(len(corpus)) as advance:
        done = 0

        def tell(so_far: int, _: int) -> None:
            nonlocal done
            while done < so_far:
                advance()
                done += 1

        report = examine(corpus, jobs=jobs, progress=tell)
    if probe:
        from ..study.probe import probe as measure

        report = replace(report, probe=measure(report))
    if out is not None:
        report.write(out)
        message(f"fugato: the report and a corrected index are in {out}")
    if is_table(as_json):
        _summary(report)
    else:
        print_json(report.to_dict())


def _summary(report: AuditReport) -> None:
    """Numbers first, then a few findings of each kind."""
    show.table(["", "number "], [[name, count] for name, count in report.table()])
    conflicts = [
        " = ".join(f"{p.composer}: {p.title}" for p in _one_a_name(c.pieces))
        + (f" → {c.proposed}" if c.proposed else f" ({c.kind})")
        for c in report.conflicts
    ]
    _examples("contradicting labels", conflicts)
    _examples("unreadable files", [f"{u.id}: {u.reason}" for u in report.unreadable])
    if report.probe is not None:
        rows = [
            [target, f"{p['accuracy']:.3f}", f"{p['majority_accuracy']:.3f}", f"{p['balanced_accuracy']:.3f}"]
            for target, p in report.probe.items()
        ]
        show.table(["the files alone tell the", "accuracy", "commonest", "balanced accuracy"], rows)


def _one_a_name(pieces: Any) -> list[Any]:
    """The first piece under each composer's name."""
    return list({p.composer: p for p in reversed(pieces)}.values())[::-1]


def _examples(name: str, findings: list[str]) -> None:
    if not findings:
        return
    screen = show.console()
    screen.print(f"{name}:", style=show.ACCENT)
    for finding in findings[:EXAMPLES]:
        screen.print(show.plain(finding))
    if len(findings) > EXAMPLES:
        screen.print(f"  … and {len(findings) - EXAMPLES:,} more", style="dim")
