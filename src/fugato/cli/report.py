"""``fugato report``: what a trained model is worth on a labelled collection, in figures and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import show
from .edge import FAILED, message
from .options import Jobs
from .output import is_table, print_json
from .train import progress

SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "macro_roc_auc", "micro_average_precision", "ece", "log_loss")


def report(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name or folder.")],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A folder with one folder a composer or genre, or an index.csv.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of the report.")] = Path("report"),
    random_seed: Annotated[int, typer.Option("--random-seed", min=0, metavar="N", help="Of the intervals.")] = 0,
    jobs: Jobs = 2,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as JSON on stdout, also on a terminal.")] = False,
) -> None:
    """Ask a model about a labelled collection, and write figures and pictures of how often it is right, or how well it foretells."""
    from ..models import load_model

    make: Any
    corpus: Any
    task = load_model(model).card.task
    if task == "compose":
        _compose(model, data, out, random_seed=random_seed, jobs=jobs, as_json=as_json)
        return
    if task == "genre":
        from ..corpus.sounds import load_sounds
        from ..study.predict_genre import report_genres as make

        corpus, asked = load_sounds(data), data
    else:
        from ..corpus import load_corpus
        from ..study.predict import report_model as make

        corpus = asked = load_corpus(data)  # type: ignore[assignment]
    with show.progress(2 * len(corpus)) as advance:
        done = 0

        def tell(stage: str, so_far: int, total: int) -> None:
            nonlocal done
            for _ in range(max(so_far + (0 if stage == "asking the model" else len(corpus)) - done, 0)):
                advance()
                done += 1

        written = make(model, asked, out, jobs=jobs, random_seed=random_seed, progress=tell)
    values = written.to_dict()
    if is_table(as_json):
        heads = ["", *(f"{level.unit}s " for level in written.levels)]
        rows = [["judged", *(f"{level.n:,}" for level in written.levels)]]
        for name in SHOWN:
            cells = []
            for level in written.levels:
                value, interval = level.figures.get(name), level.intervals.get(name)
                spread = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
                cells.append("–" if value is None else f"{value:.3f}{spread}")
            rows.append([name, *cells])
        show.table(heads, rows)
    else:
        kept = {key: values[key] for key in ("title", "about", "remarks")}
        levels = {
            level.name: {"n": level.n, "works": level.works, "figures": level.figures, "intervals": level.intervals}
            for level in written.levels
        }
        print_json({**kept, "levels": levels, "folder": str(written.folder)})
    for remark in values["remarks"]:
        message(f"fugato: {remark}")
    failed = values["about"]["unreadable"]
    if failed:
        message(
            f"fugato: {failed:,} file{'s' if failed > 1 else ''} could not be judged; the report names what they are"
        )
    message(f"fugato: the report is in {written.folder / 'report.md'}")
    if failed:
        raise typer.Exit(FAILED)


def _compose(model: str, data: str, out: Path, *, random_seed: int, jobs: int, as_json: bool) -> None:
    """The report on a model that composes."""
    from ..study.report_compose import report_compose

    with progress() as tell:
        written = report_compose(model, data, out, jobs=jobs, random_seed=random_seed, progress=tell)
    values = written.values
    if is_table(as_json):
        heads = ["composer", "pieces ", "nats a note ", "95 % "]
        rows = [
            [name, f"{row['pieces']:,}", f"{row['nats']:.2f}", f"[{row['interval'][0]:.2f}, {row['interval'][1]:.2f}]"]
            for name, row in [("all", values["all"]), *values["composers"].items()]
        ]
        show.table(heads, rows)
    else:
        kept = ("title", "about", "remarks", "all", "composers", "examples")
        print_json({**{key: values[key] for key in kept}, "folder": str(written.folder)})
    for remark in values["remarks"]:
        message(f"fugato: {remark}")
    message(f"fugato: the report is in {written.folder / 'report.md'}")
