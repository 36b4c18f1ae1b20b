"""Answers as a person reads them: a row for each input on a terminal, and more about a single one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from .edge import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.text import Text

ACCENT: Final = "bold blue"
SURE_ENOUGH: Final = 0.6  # of a period or repertoire that is named where the composer is not
BAR: Final = 24  # characters of a probability of 1
PAGE: Final = 120  # columns where there is no terminal
NARROWEST_NAME: Final = 12
WIDEST_NAME: Final = 48
RUNS: Final = 8  # of a timeline that are told


def console() -> Console:
    """Rich on stdout; it leaves colours out where the terminal or NO_COLOR say so."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PAGE
    return Console(highlight=False, soft_wrap=True, width=width)


def verdict(answer: dict[str, Any]) -> str:
    """What people are told: the name, or "none of these; nearest …", or why there is no answer."""
    if "error" in answer:
        return f"not answered: {answer['error']['message']}"
    return str(answer["name"]) if answer["known"] else f"none of these; nearest {answer['name']}"


def level_up(answer: dict[str, Any]) -> str:
    """What may be said where the composer may not: "not sure who, but Classical (92 %), for strings (81 %)"; empty where nothing may."""
    found = [
        f"{words}{answer[level]['name']} ({percent(answer[level]['probability'])})"
        for level, words in (("period", ""), ("repertoire", "for "))
        if answer.get(level) and answer[level]["probability"] >= SURE_ENOUGH
    ]
    return f"not sure who, but {', '.join(found)}" if found else ""


def percent(probability: float) -> str:
    """A probability as whole percent; never 0 or 100 for what is not certain."""
    if 0 < probability < 0.01:
        return "<1 %"
    return ">99 %" if 0.995 <= probability < 1 else f"{100 * probability:.0f} %"


def rows(answers: Iterable[dict[str, Any]], inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Print one row for each answer as it comes, and pass it on."""
    from rich.text import Text

    screen = console()
    width = min(max([NARROWEST_NAME, *(len(name) for name in inputs)]), WIDEST_NAME)
    for answer in answers:
        line = Text(_fit(printable(str(answer["input"])), width) + "  ")
        if "error" in answer:
            line.append(printable(verdict(answer)), style="yellow")
        else:
            line.append(f"{percent(answer['probability']):>5}  ", style="dim")
            line.append(printable(verdict(answer)), style=ACCENT if answer["known"] else "")
            others = [f"{g['name']} {percent(g['probability'])}" for g in answer["ranking"][1:3]]
            if others:
                line.append("  " + ", ".join(others), style="dim")
        screen.print(line)
        yield answer


def detail(answer: dict[str, Any], top: int = 5) -> None:
    """Print all there is about one answer."""
    from rich.text import Text

    screen = console()
    if "error" in answer:
        screen.print(Text(f"{printable(str(answer['input']))}: {printable(verdict(answer))}", style="yellow"))
        return
    screen.print(Text(printable(str(answer["input"])), style="dim"))
    screen.print(Text(verdict(answer), style=ACCENT if answer["known"] else "bold"))
    if not answer["known"] and (level := level_up(answer)):
        screen.print(Text(level))
    facts = [f"{answer['music'][k]:,} {k}" for k in ("notes", "bars") if answer["music"].get(k)]
    if answer.get("task") == "genre":
        facts.append(_clock(answer["music"]["seconds"]))
    for level in ("period", "repertoire"):
        if answer.get(level):
            facts.append(f"{answer[level]['name']} {percent(answer[level]['probability'])}")
    facts.append(f"model {answer['model']['name']} {answer['model']['version']}")
    screen.print(Text(" · ".join(facts), style="dim"))
    screen.print()
    shown = answer["ranking"][:top]
    width = max(len(g["name"]) for g in shown)
    for row, guess in enumerate(shown):
        line = Text(f"  {guess['name']:<{width}}  {percent(guess['probability']):>5}  ")
        line.append("█" * max(round(guess["probability"] * BAR), 0) or "▏", style="blue" if row == 0 else "dim")
        screen.print(line)
    for line_of_text in [*_evidence(answer), *_along(answer)]:
        screen.print(Text(line_of_text))
    if answer.get("work"):
        work = answer["work"]
        heard = ", in the training data" if work.get("in_training") else ""
        facts_of_work = f"{work.get('composer')}: {work.get('title')}, {percent(float(work['match']))} of it in {work['where']}{heard}"
        screen.print(Text(f"\n  recognised: {printable(facts_of_work)}"))
    for part in answer.get("parts") or []:
        screen.print(Text(f"  {printable(str(part.get('input')))}  {printable(verdict(part))}"))
    for warning in answer["warnings"]:
        screen.print(Text(f"  note: {printable(warning)}", style="dim"))


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr while it is a terminal; gives the function to call after each input."""
    if not sys.stderr.isatty() or total < 2:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    screen = Console(stderr=True)
    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=screen, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """A plain table; columns whose heading ends in a space are set flush right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        grid.add_column(name.strip(), justify="right" if name.endswith(" ") else "left", overflow="fold")
    for line in lines:
        grid.add_row(*(Text(printable(cell)) for cell in line))
    console().print(grid)


def plain(finding: Any) -> Text:
    """A finding of a report on one line, values only."""
    from rich.text import Text

    if isinstance(finding, dict):
        parts = [str(plain(value)).strip() for value in finding.values() if value not in (None, "", [])]
        return Text("  " + printable(" · ".join(parts)))
    if isinstance(finding, list | tuple):
        return Text("  " + printable(", ".join(map(str, finding))))
    return Text("  " + printable(str(finding)))


def figures(measured: Sequence[dict[str, Any]]) -> None:
    """The figures of a card: value with its interval, protocol, number of pieces."""
    rows = []
    for figure in measured:
        value, interval = figure.get("value"), figure.get("interval")
        text = f"{value:.3f}" if isinstance(value, float) else str(value)
        if interval:
            text += f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        rows.append([str(figure.get("name")), text, str(figure.get("protocol", "")), str(figure.get("n", ""))])
    table(["figure", "value ", "protocol", "pieces "], rows)


def _evidence(answer: dict[str, Any]) -> list[str]:
    evidence = answer.get("evidence") or {}
    lines = []
    bars: dict[str, list[dict[str, Any]]] = {}  # of the first name, then of the second
    for bar in evidence.get("bars") or []:
        bars.setdefault(bar.get("for", answer["name"]), []).append(bar)
    for name, found in bars.items():
        told = ", ".join(str(b["bar"]) for b in sorted(found, key=lambda b: -b["weight"])[:8])
        lines.append(f"  bars that spoke most for {name}: {told}")
    if lines:
        lines[0] = "\n" + lines[0]
    patterns = evidence.get("patterns") or []
    if patterns:
        lines.append(f"  what spoke for {answer['name']}: " + "; ".join(str(p["text"]) for p in patterns[:5]))
    return lines


def _along(answer: dict[str, Any]) -> list[str]:
    """What a timeline says, stretches with the same name at the top as one."""
    runs: list[list[Any]] = []
    for part in answer.get("timeline") or []:
        name = part["ranking"][0]["name"]
        if runs and runs[-1][2] == name and part["start"] - runs[-1][1] < 1:
            runs[-1][1] = part["end"]
        else:
            runs.append([part["start"], part["end"], name])
    if len(runs) < 2:
        return []
    told = [f"{_clock(start)}-{_clock(end)} {name}" for start, end, name in runs[:RUNS]]
    more = f" and {len(runs) - RUNS} more" if len(runs) > RUNS else ""
    return ["\n  along the time: " + ", ".join(told) + more]


def _clock(seconds: float) -> str:
    """Minutes and seconds, 1:05; hours where there are some."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def _fit(text: str, width: int) -> str:
    """`text` in exactly `width` columns of a terminal; the end of a path says more than its beginning."""
    from rich.cells import cell_len, set_cell_size

    while cell_len(text) > width:
        text = "…" + text[2 if text.startswith("…") else 1 :]
    return set_cell_size(text, width)
