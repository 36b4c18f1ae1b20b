"""The pictures of a report: arrays in, a Matplotlib figure out.

Made to be read with four classes and with eighty. Up to `COLOURED` classes each has its own colour and stands in the legend; beyond,
the curves are grey with the average above them, and a panel beside them ranks every class by its area. Confusion matrices leave out
classes that neither occur nor were answered. Rates are whole per cent.

Matplotlib is used through its objects (no pyplot); its settings are changed only for the moment of drawing.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import numpy as np
from numpy.typing import NDArray

from fugato.study.measure import BINS, Bins, Curve, Level
from fugato.write.picture import ACCENT, COLOURS, FAINT, INK, MUTED, NOTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURED: Final = len(COLOURS)  # classes that are told apart by colour
RANKED: Final = 40  # classes in one column of a ranking
FEW_VALUES: Final = 6  # of a parameter: so many stand side by side, more on a scale
WRONG: Final = COLOURS[1]
DPI: Final = 130
PARAMETERS: Final = 6  # panels of a tuning picture
BEST: Final = 10  # trials in the table and marked in the pictures
_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
    "text.usetex": False,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.0,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
}
_DRAWING = threading.RLock()  # Matplotlib's settings belong to the process
_Made = ParamSpec("_Made")


def _styled(draw: Callable[_Made, Figure]) -> Callable[_Made, Figure]:
    """Draw with the house's settings, and nobody else's."""

    @wraps(draw)
    def drawn(*args: _Made.args, **kwargs: _Made.kwargs) -> Figure:
        import matplotlib

        with _DRAWING, matplotlib.rc_context({**matplotlib.rcParamsDefault, **_SETTINGS}), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return draw(*args, **kwargs)

    return drawn


def save(figure: Figure, path: Path) -> str:
    """Write a figure as PNG; the name of the file."""
    import matplotlib

    with _DRAWING, matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the typeface lacks is drawn as a box
        figure.savefig(path, dpi=DPI, metadata={"Software": "Fugato"})
    return path.name


def of_level(level: Level, order: Sequence[int]) -> Iterator[tuple[str, Figure]]:
    """Names and figures of one level; those that are not defined are left out.

    Parameters
    ----------
    level : Level
    order : sequence of int
        All labels in the order of the confusion matrix.
    """
    units = f"{level.unit}s"
    seen, present = set(level.seen), set(level.present)
    rows, columns = [c for c in order if c in present], [c for c in order if c in seen]
    names = [level.labels[c] for c in rows], [level.labels[c] for c in columns]
    table = level.confusion[np.ix_(rows, columns)]
    yield "confusion-counts", confusion(table, *names, title=f"{units.capitalize()} by true and answered name")
    rates = table / table.sum(axis=1, keepdims=True)
    yield "confusion-rates", confusion(rates, *names, title=f"Per cent of each name's {units}", rates=True)
    if level.macro_roc is not None:
        axes = ("false positive rate", "true positive rate")
        title = f"ROC of each name's {units}"
        yield "roc", curves(level.roc, level.macro_roc, *axes, title=title, value="area", diagonal=True)
    if level.micro_precision_recall is not None:
        average = level.micro_precision_recall
        title = f"Precision and recall of each name's {units}"
        axes = ("recall", "precision")
        yield "precision-recall", curves(level.precision_recall, average, *axes, title=title, value="average precision")
    yield "calibration", reliability(level.bins, level.figures["ece"] or 0.0, units)
    yield "confidence", confidence(level.confidence, level.answer == level.truth, units)


# -- confusion ---------------------------------------------------------------------------------------------------------


@_styled
def confusion(
    table: NDArray[Any], rows: Sequence[str], columns: Sequence[str], *, title: str, rates: bool = False
) -> Figure:
    """A matrix of counts, or of rates 0..1, with the number in every cell that is not 0.

    Parameters
    ----------
    table : ndarray, shape=(n_rows, n_columns)
    rows, columns : sequences of str
        True names, answered names.
    """
    n_rows, n_columns = table.shape
    most = max(n_rows, n_columns)
    cell = 0.62 if most <= 12 else 0.38 if most <= 30 else 0.215  # inches
    size = 10.0 if most <= 12 else 7.5 if most <= 30 else 6.0  # of the numbers, points
    font = 9.5 if most <= 12 else 8.5 if most <= 30 else 7.0  # of the names
    rows, columns = [_cut(name) for name in rows], [_cut(name) for name in columns]
    side = max(map(len, rows)) * font * 0.0085 + 0.55
    upright = most > 6 or max(map(len, columns)) * font * 0.0085 > cell
    top = (max(map(len, columns)) * font * 0.0085 if upright else 0.2) + 0.7
    width, height = max(side + n_columns * cell + 0.15, 3.6), top + n_rows * cell + 0.15
    figure = _figure(width, height)
    axes = figure.add_axes(
        (side / width, 1 - (top + n_rows * cell) / height, n_columns * cell / width, n_rows * cell / height)
    )
    shown = np.asarray(table, np.float64)
    shade = shown if rates else np.sqrt(shown / max(shown.max(), 1.0))
    axes.imshow(shade, cmap=_blues(), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white" if most <= 30 else FAINT, linewidth=1.0 if most <= 30 else 0.4)
    axes.tick_params(which="both", length=0)
    axes.xaxis.tick_top()
    axes.set_xticks(range(n_columns), columns, rotation=90 if upright else 0, size=font)
    axes.set_yticks(range(n_rows), rows, size=font)
    axes.spines[:].set_visible(False)
    for i, j in zip(*np.nonzero(shown), strict=True):
        text = _percent(shown[i, j]) if rates else f"{shown[i, j]:,.0f}"
        small = size if len(text) < (4 if most <= 30 else 3) else size * 0.8
        colour = "white" if shade[i, j] > 0.55 else INK
        axes.text(
            j,
            i,
            text,
            ha="center",
            va="center",
            size=small,
            color=colour,
            weight="bold" if rows[i] == columns[j] else "normal",
        )
    figure.text(0.1 / width, 1 - 0.12 / height, title, va="top", size=11, weight="bold")
    figure.text(0.1 / width, 1 - 0.38 / height, "rows: true, columns: answered", va="top", size=8, color=MUTED)
    return figure


def _percent(rate: float) -> str:
    percent = 100 * rate
    return "<1" if percent < 0.5 else f"{percent:.0f}"


def _blues() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("fugato", ["#f4f6f8", "#c3d5e6", "#6d98c0", ACCENT, "#1c3d5f"])


# -- curves ------------------------------------------------------------------------------------------------------------


@_styled
def curves(
    classes: Sequence[Curve], average: Curve, x: str, y: str, *, title: str, value: str, diagonal: bool = False
) -> Figure:
    """A curve for each class and their average; many classes are ranked by their value in a panel beside.

    Parameters
    ----------
    classes : sequence of Curve
    average : Curve
        Drawn above the others.
    x, y : str
        What the axes are.
    title : str
    value : str
        What a curve's value is called.
    diagonal : bool
        Whether to draw what guessing reaches on the diagonal.
    """
    many = len(classes) > COLOURED
    panels = math.ceil(len(classes) / RANKED) if many else 0
    per_panel = math.ceil(len(classes) / panels) if many else 0
    height = max(4.9, 1.1 + 0.165 * per_panel) if many else 4.6
    side = min(height - 1.25, 4.4)  # inches of the square
    beside = 0.6 + side + 1.5  # where the ranking begins
    width = beside + 3.5 * panels - 1.15 if many else 7.0
    figure = _figure(width, height)
    axes = figure.add_axes((0.6 / width, 1 - (0.7 + side) / height, side / width, side / height))
    if diagonal:
        axes.plot([0, 1], [0, 1], color=NOTE, linewidth=0.9, linestyle=(0, (4, 4)), zorder=1)
    for i, curve in enumerate(classes):
        colour = NOTE if many else COLOURS[i]
        label = None if many else f"{_cut(curve.label)}  {curve.value:.3f}"
        style = "default" if diagonal else "steps-pre"  # precision is not interpolated
        axes.plot(
            curve.x, curve.y, color=colour, linewidth=0.6 if many else 1.4, label=label, drawstyle=style, zorder=2
        )
    mean = f"{average.label}  {average.value:.3f}"
    dotted = "-" if many else (0, (1, 1))
    axes.plot(average.x, average.y, color=INK, linewidth=2.0, linestyle=dotted, label=mean, zorder=3)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.tick_params(length=0)
    figure.text(0.1 / width, 1 - 0.12 / height, title, va="top", size=11, weight="bold")
    if many:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
        ranked = sorted(classes, key=lambda curve: -curve.value)
        low = max(0.0, math.floor(10 * min(average.value, ranked[-1].value) - 0.5) / 10)
        for number in range(panels):
            left, down = beside + 3.5 * number, 0.165 * per_panel
            panel = figure.add_axes((left / width, 1 - (0.7 + down) / height, 2.1 / width, down / height))
            _ranks(panel, ranked[number * per_panel : (number + 1) * per_panel], average.value, low, per_panel)
            if not number:
                panel.set_title(f"{value}; dotted: {average.label}", size=8, color=MUTED, pad=16)
    else:
        heading = {"title": value, "alignment": "left", "title_fontsize": 8}
        axes.legend(loc="upper left", bbox_to_anchor=(1.03, 1.0), **heading)
    return figure


def _ranks(axes: Axes, ranked: Sequence[Curve], mean: float, low: float, rows: int) -> None:
    """The values of some classes as dots in a row each, the highest above."""
    values, places = [curve.value for curve in ranked], np.arange(len(ranked))
    axes.hlines(places, low, values, color=FAINT, linewidth=1.2)
    axes.plot(values, places, "o", color=ACCENT, markersize=3.5)
    axes.axvline(mean, color=INK, linewidth=0.9, linestyle=(0, (1, 1)))
    axes.set_yticks(places, [_cut(curve.label) for curve in ranked], size=7)
    axes.set(xlim=(low, 1.0 + 0.02 * (1.0 - low)), ylim=(rows - 0.4, -0.7))
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[:].set_visible(False)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)


# -- probabilities -----------------------------------------------------------------------------------------------------


@_styled
def reliability(bins: Bins, error: float, units: str) -> Figure:
    """Share answered right against the probability given, with how many answers that rests on.

    Parameters
    ----------
    bins : Bins
    error : float
        Expected calibration error, 0..1.
    units : str
        What is counted.
    """
    figure = _figure(5.4, 5.6)
    axes = figure.add_axes((0.13, 0.36, 0.82, 0.56))
    filled = bins.times > 0
    middle, width = (np.arange(BINS) + 0.5) / BINS, 0.92 / BINS
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 4)), zorder=2, label="as sure as right")
    axes.bar(middle[filled], bins.right[filled], width, color="#c3d5e6", zorder=1)
    area = 12 + 90 * bins.times[filled] / max(int(bins.times.max()), 1)
    axes.plot(bins.confidence[filled], bins.right[filled], color=ACCENT, linewidth=1.0, zorder=3)
    axes.scatter(bins.confidence[filled], bins.right[filled], area, color=ACCENT, zorder=4, edgecolor="white")
    axes.set(xlim=(0, 1), ylim=(0, 1.04), ylabel="share answered right")
    axes.set_title(f"Expected calibration error {error:.3f}", weight="bold")
    axes.legend(loc="upper left")
    below = figure.add_axes((0.13, 0.1, 0.82, 0.2))
    below.bar(middle, bins.times, width, color=NOTE)
    below.set(xlim=(0, 1), xlabel="probability given to the answer", ylabel=units)
    for panel in (axes, below):
        panel.tick_params(length=0)
        panel.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(labelbottom=False)
    return figure


@_styled
def confidence(sure: NDArray[np.float64], right: NDArray[np.bool_], units: str) -> Figure:
    """How many answers were given with which probability, right ones below, wrong ones above.

    Parameters
    ----------
    sure : ndarray, shape=(n,)
        Probability of the answer, 0..1.
    right : ndarray of bool, shape=(n,)
    units : str
        What is counted.
    """
    figure = _figure(6.4, 3.5)
    axes = figure.add_axes((0.11, 0.15, 0.86, 0.75))
    edges = np.linspace(0, 1, 21)
    good, bad = np.histogram(sure[right], edges)[0], np.histogram(sure[~right], edges)[0]
    middle = (edges[1:] + edges[:-1]) / 2
    axes.bar(middle, good, 0.046, color=ACCENT, label=f"right ({int(right.sum()):,})")
    axes.bar(middle, bad, 0.046, bottom=good, color=WRONG, label=f"wrong ({int((~right).sum()):,})")
    axes.set(xlim=(0, 1), xlabel="probability given to the answer", ylabel=units)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    return figure


# -- training and tuning -----------------------------------------------------------------------------------------------


def epochs(history: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Columns of a training history, NaN where an epoch lacks a number; empty where there is none.

    Parameters
    ----------
    history : sequence of mappings
        ``{"epoch", "train_loss", "valid_loss", "train_accuracy", "valid_accuracy"}``; epochs are counted on where they are not given.
    """
    if not history:
        return {}
    out = {"epoch": [_number(row.get("epoch", i + 1)) for i, row in enumerate(history)]}
    for name in ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy"):
        column = [_number(row.get(name)) for row in history]
        if np.isfinite(column).any():
            out[name] = column
    return out if len(out) > 1 else {}


@_styled
def learning(runs: Mapping[str, Sequence[float]]) -> Figure:
    """Loss and accuracy by epoch, with the best epoch marked.

    Parameters
    ----------
    runs : mapping
        Of `epochs`.
    """
    kinds = [kind for kind in ("loss", "accuracy") if any(name.endswith(kind) for name in runs)]
    figure = _figure(4.1 * len(kinds) + 0.4, 3.5)
    for number, kind in enumerate(kinds):
        axes = figure.add_subplot(1, len(kinds), number + 1)
        for side, colour, label in (("train", NOTE, "learnt from"), ("valid", ACCENT, "held out")):
            if f"{side}_{kind}" in runs:
                few = len(runs["epoch"]) < 30
                axes.plot(
                    runs["epoch"],
                    runs[f"{side}_{kind}"],
                    color=colour,
                    label=label,
                    marker="o" if few else "",
                    markersize=3,
                )
        at = best_epoch(runs)
        if at is not None:
            axes.axvline(runs["epoch"][at], color=INK, linewidth=0.8, linestyle=(0, (1, 1)))
        axes.set(xlabel="epoch", ylabel="loss" if kind == "loss" else "accuracy")
        axes.xaxis.set_major_locator(_whole())
        axes.tick_params(length=0)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.legend()
    figure.tight_layout()
    return figure


def best_epoch(runs: Mapping[str, Sequence[float]]) -> int | None:
    """Place of the epoch with the lowest held-out loss, or else the highest held-out accuracy."""
    if "valid_loss" in runs:
        return int(np.nanargmin(runs["valid_loss"]))
    return int(np.nanargmax(runs["valid_accuracy"])) if "valid_accuracy" in runs else None


def finished(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Trials that ended with a value, in the order of their numbers: ``{"number", "value", "params"}``."""
    out = []
    for i, trial in enumerate(trials):
        value = _number(trial.get("value"))
        if np.isfinite(value) and str(trial.get("state", "COMPLETE")).upper().endswith("COMPLETE"):
            out.append(
                {"number": int(trial.get("number", i)), "value": value, "params": dict(trial.get("params") or {})}
            )
    return sorted(out, key=lambda trial: trial["number"])


@_styled
def tuning(trials: Sequence[Mapping[str, Any]]) -> Figure:
    """The value of every trial in turn with the best so far, and against each parameter that was varied; the best are marked.

    Parameters
    ----------
    trials : sequence of mappings
        Of `finished`.
    """
    names = varied(trials)[:PARAMETERS]
    values = np.array([trial["value"] for trial in trials])
    best = np.zeros(len(trials), bool)
    best[np.argsort(-values, kind="stable")[:BEST]] = True
    across = 3 if len(names) in (4, 5) else min(len(names) + 1, 4)
    down = math.ceil((len(names) + 1) / across)
    figure = _figure(2.9 * across + 0.5, 2.8 * down + 0.2)
    first = figure.add_subplot(down, across, 1)
    number = np.array([trial["number"] for trial in trials])
    _dots(first, number, values, best)
    first.plot(
        number, np.maximum.accumulate(values), color=INK, linewidth=1.0, drawstyle="steps-post", label="best so far"
    )
    first.set(xlabel="trial", ylabel="value", xlim=(number.min() - 0.8, number.max() + 0.8))
    first.xaxis.set_major_locator(_whole())
    first.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    for place, name in enumerate(names, 2):
        axes = figure.add_subplot(down, across, place)
        given = [_hashable(trial["params"].get(name)) for trial in trials]
        numbers = np.array([_number(g) for g in given])
        if np.isfinite(numbers).all() and len(set(numbers.tolist())) > FEW_VALUES:
            x = numbers
            if x.min() > 0 and x.max() / x.min() >= 30:
                axes.set_xscale("log")
                axes.xaxis.set_major_formatter(lambda at, _: f"{at:g}")
        else:
            kinds = sorted(set(given), key=lambda g: (_number(g), str(g)))
            x = np.array([kinds.index(g) for g in given], float)
            x += np.random.default_rng(0).uniform(-0.12, 0.12, len(x))  # so that equal trials do not hide one another
            axes.set_xticks(range(len(kinds)), [_cut(f"{g:g}" if isinstance(g, float) else str(g)) for g in kinds])
            axes.tick_params(axis="x", rotation=0 if sum(len(str(g)) for g in kinds) < 26 else 30)
            axes.set_xlim(-0.5, len(kinds) - 0.5)
        _dots(axes, x, values, best)
        axes.set_xlabel(name)
    figure.tight_layout()
    return figure


def varied(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Parameters that had more than one value, in the order of their first appearance."""
    names = list(dict.fromkeys(name for trial in trials for name in trial["params"]))
    return [name for name in names if len({str(trial["params"].get(name)) for trial in trials}) > 1]


def _dots(axes: Axes, x: NDArray[Any], values: NDArray[np.float64], best: NDArray[np.bool_]) -> None:
    axes.scatter(x[~best], values[~best], 12, color=NOTE)
    axes.scatter(x[best], values[best], 18, color=ACCENT)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else str(value)


def _whole() -> Any:
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True, nbins=8, min_n_ticks=1)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def _cut(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21].rstrip()}…"
