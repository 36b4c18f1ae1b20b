"""The pictures and the table of a search for settings: how it went, what mattered, and each setting alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fugato.errors import FugatoError
from fugato.study.figures import FEW_VALUES, _dots, _figure, _number, _styled, _whole, finished, save, varied
from fugato.train.tuned import Tuned
from fugato.write.picture import FAINT, INK, NOTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP: Final = 10  # trials in the table and marked in the pictures
SPREAD: Final = 30  # times that the highest value is the lowest from which an axis is logarithmic
GIVEN_UP: Final = "#b9b9b9"


@_styled
def history(trials: Sequence[Mapping[str, Any]]) -> Figure:
    """The value of every trial in turn and the best so far; those that were given up early stand as crosses.

    Parameters
    ----------
    trials : sequence of mappings
        As in `Tuned.trials`.
    """
    figure = _figure(6.4, 3.4)
    axes = figure.add_subplot()
    done = finished(trials)
    given_up = [t for t in trials if t["state"] == "PRUNED" and t["value"] is not None]
    if given_up:
        numbers, values = [t["number"] for t in given_up], [t["value"] for t in given_up]
        axes.scatter(numbers, values, 14, color=GIVEN_UP, marker="x", linewidths=1.0, label="given up early")
    if done:
        number, value = np.array([t["number"] for t in done]), np.array([t["value"] for t in done])
        _dots(axes, number, value, _best(value))
        so_far = np.maximum.accumulate(value)
        axes.plot(number, so_far, color=INK, linewidth=1.0, drawstyle="steps-post", label="best so far")
    axes.set(xlabel="trial", ylabel="value")
    axes.xaxis.set_major_locator(_whole())
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    if done or given_up:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, ncols=2)
    figure.tight_layout()
    return figure


@_styled
def importance(shares: Mapping[str, float]) -> Figure:
    """A bar for each setting: the share of what the trials differ by."""
    figure = _figure(5.6, 0.9 + 0.34 * len(shares))
    axes = figure.add_subplot()
    names = list(shares)[::-1]
    values = [shares[name] for name in names]
    axes.barh(names, values, color=NOTE, height=0.6)
    for place, value in enumerate(values):
        axes.annotate(f" {100 * value:.0f} %", (value, place), va="center")
    axes.set_xlim(0, max(1.15 * max(values), 0.01))
    axes.set(xlabel="share of the variance between trials (fANOVA)")
    axes.xaxis.set_major_formatter(lambda at, _: f"{100 * at:.0f} %")
    axes.tick_params(length=0)
    figure.tight_layout()
    return figure


@_styled
def against(trials: Sequence[Mapping[str, Any]], name: str) -> Figure:
    """The value of every finished trial against one setting; the best are marked.

    Parameters
    ----------
    trials : sequence of mappings
        Of `fugato.study.figures.finished`, all with that setting.
    name : str
    """
    figure = _figure(4.4, 3.2)
    axes = figure.add_subplot()
    value = np.array([t["value"] for t in trials])
    x = np.array([_number(t["params"][name]) for t in trials])
    levels = np.unique(x)
    # A grid: beside one another, and moved a little so that none hides another.
    if len(levels) <= min(FEW_VALUES, len(trials) // 2):
        place = np.searchsorted(levels, x) + np.random.default_rng(0).uniform(-0.12, 0.12, len(x))
        _dots(axes, place, value, _best(value))
        means = [float(value[x == level].mean()) for level in levels]
        axes.scatter(range(len(levels)), means, 260, color=INK, marker="_", linewidths=1.2, label="mean")
        axes.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        axes.set_xlim(-0.5, len(levels) - 0.5)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    else:
        _dots(axes, x, value, _best(value))
        if x.min() > 0 and x.max() / x.min() >= SPREAD:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda at, _: f"{at:g}")
            axes.xaxis.set_minor_formatter(lambda at, _: "")
    axes.set(xlabel=name, ylabel="value")
    figure.tight_layout()
    return figure


def _best(value: Any) -> Any:
    best = np.zeros(len(value), bool)
    best[np.argsort(-value, kind="stable")[: max(min(TOP, len(value) // 4), 1)]] = True
    return best


def markdown(tuned: Tuned, top: int = TOP) -> str:
    """The best trials as a table, and the command that trains with the first."""
    ranked = tuned.ranked
    names = varied(ranked) or list(ranked[0]["params"] if ranked else ())
    lines = [f"# {tuned.recipe} on {Path(tuned.data).name}", ""]
    counts = {state: sum(t["state"] == state for t in tuned.trials) for state in ("COMPLETE", "PRUNED", "FAIL")}
    lines += [
        f"{counts['COMPLETE']} trials were finished, {counts['PRUNED']} given up early and {counts['FAIL']} came to nothing. "
        f"Value: {tuned.measure}.",
        "",
        f"| rank | trial | value | {' | '.join(names)} | seconds |",
        f"|{'---|' * (len(names) + 4)}",
    ]
    lines += [f"| {' | '.join(cells)} |" for cells in rows(tuned, names, top)]
    if ranked:
        lines += ["", "```sh", tuned.command, "```"]
    return "\n".join(lines) + "\n"


def rows(tuned: Tuned, names: Sequence[str], top: int = TOP) -> list[list[str]]:
    """Rank, trial, value, settings and seconds of the best trials."""
    return [
        [
            str(rank),
            str(trial["number"]),
            f"{trial['value']:.4f}",
            *(f"{trial['params'].get(name, float('nan')):.4g}" for name in names),
            f"{trial['seconds'] or 0:.1f}",
        ]
        for rank, trial in enumerate(tuned.ranked[:top], 1)
    ]


def write(tuned: Tuned, folder: Path, *, top: int = TOP) -> list[str]:
    """``tuning.md`` and the pictures ``history.png``, ``importance.png`` and ``slice-SETTING.png``; their names.

    Raises
    ------
    FugatoError
        ``bad-output``.
    """
    made = []
    try:
        (folder / "tuning.md").write_text(markdown(tuned, top), encoding="utf-8")
        made.append(save(history(tuned.trials), folder / "history.png"))
        if tuned.importance:
            made.append(save(importance(tuned.importance), folder / "importance.png"))
        done = finished(tuned.trials)
        for name in varied(done):
            given = [trial for trial in done if name in trial["params"]]
            made.append(save(against(given, name), folder / f"slice-{name}.png"))
    except OSError as error:
        raise FugatoError("bad-output", f"Cannot write the pictures ({error}).", str(folder)) from error
    return ["tuning.md", *made]
