"""Pictures: a ranking beside the piano roll that it is about, or a piano roll alone, as PNG or SVG.

Time runs in bars where the file has notated beats, else in seconds; pitch is labelled at every C (C4 = middle C, MIDI 60). Matplotlib
is used through its objects (no pyplot), so nothing global is touched but its settings for the moment of drawing.
"""

from __future__ import annotations

import io
import os
import textwrap
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..answer import Answer
from ..errors import FugatoError
from ..score import Score, seconds_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#20242c"
MUTED: Final = "#6c7480"
FAINT: Final = "#e4e7eb"
NOTE: Final = "#aab2bd"  # notes that said nothing in particular
ACCENT: Final = "#2f5d8a"  # the first name, and the bars that spoke for it
WASH: Final = "#e3edf6"  # the same, behind notes
SECOND: Final = "#b8612a"  # the second name, and the bars that spoke for it
SECOND_WASH: Final = "#f8ebe1"
COLOURS: Final = (  # of classes that stand side by side
    "#2f5d8a",
    "#c8553d",
    "#4f8f5b",
    "#8a5aa0",
    "#d59b2d",
    "#3d9a9f",
    "#a0495f",
    "#6f7d1f",
    "#7a5c46",
    "#5566c8",
)

SUFFIXES: Final = (".png", ".svg")
DPI: Final = 160
NAMES_SHOWN: Final = 6
BARS_SHOWN: Final = 12  # telling bars that are marked for a name
LEAST_WEIGHT: Final = 0.1  # of a bar that is marked, against the heaviest
LANE: Final = 0.03  # height of the row of marks over the piano roll, for each name, as a share of the roll's
VECTOR_NOTES: Final = 8000  # in an SVG, more notes than this become an image
_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,  # a dollar sign in a file name is a dollar sign
    "text.usetex": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "fugato",  # the same picture is the same file
    "path.simplify": True,
}
_DRAWING = threading.Lock()  # Matplotlib's settings belong to the process


def plot_answer(answer: Answer, score: Score | None, out: str | os.PathLike[str]) -> Path:
    """Draw a ranking as bars beside the piano roll of the piece.

    Parameters
    ----------
    answer : Answer
        Bars in its `evidence` are marked in the piano roll.
    score : Score or None
        The piece; None draws the ranking alone.
    out : path
        Ends in .png or .svg.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be written there.
    """
    path = _check_out(out)

    def draw(figure: Figure) -> None:
        side = 0.235 if score is not None else 0.9
        _draw_heading(figure, answer)
        _draw_ranking(figure.add_axes((0.04, 0.13, side, 0.56)), answer)
        if score is not None:
            axes = figure.add_axes((0.345, 0.13, 0.63, 0.75))
            marks = _telling_bars(answer, len(score.bars))
            figure.text(0.345, 0.925, _facts(score), size=8, color=MUTED)
            _draw_roll(axes, score, marks)
            _draw_legend(figure, marks)
        if answer.warnings:
            text = textwrap.shorten("Note: " + " ".join(answer.warnings), 190, placeholder=" …")
            figure.text(0.04, 0.022, text, color=MUTED, size=7)

    return _save(draw, (11.0, 5.0) if score is not None else (5.0, 4.6), path)


def plot_score(score: Score, out: str | os.PathLike[str], *, new: NDArray[np.bool_] | None = None) -> Path:
    """Draw the piano roll of a piece.

    Parameters
    ----------
    score : Score
    out : path
        Ends in .png or .svg.
    new : ndarray of bool, shape=(n_notes,), optional
        Which notes were composed: they are drawn in another colour than those that were given, and the legend says so.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be written there, ``bad-option`` where `new` is not a truth value for each note.
    """
    path = _check_out(out)
    if new is not None and np.shape(new) != (len(score),):
        raise FugatoError("bad-option", f"There are {len(score)} notes, but `new` has the shape {np.shape(new)}.")

    def draw(figure: Figure) -> None:
        title = textwrap.shorten(score.title, 80, placeholder=" …") if score.title else ""
        figure.text(0.055, 0.91, title or score.composer or "Piano roll", size=14, color=INK, weight="bold")
        figure.text(0.975, 0.91, _facts(score), size=8, color=MUTED, ha="right")
        if title and score.composer:
            figure.text(0.055, 0.855, textwrap.shorten(score.composer, 80, placeholder=" …"), size=9, color=MUTED)
        _draw_roll(figure.add_axes((0.055, 0.13, 0.92, 0.69)), score, (), new)
        if new is not None:
            shown = [(NOTE, "given", not new.all()), (ACCENT, "new", bool(new.any()))]
            _legend(figure, [(colour, words) for colour, words, is_there in shown if is_there], (0.985, 0.895))

    return _save(draw, (11.0, 4.4), path)


def _check_out(out: str | os.PathLike[str]) -> Path:
    path = Path(out)
    if path.suffix.lower() not in SUFFIXES:
        raise FugatoError("bad-output", "A picture is written as .png or .svg; give it a name that ends so.", str(path))
    if path.is_dir():
        raise FugatoError("bad-output", "That is a folder; give the picture a name in it.", str(path))
    if not path.absolute().parent.is_dir():
        raise FugatoError("bad-output", "There is no such folder to write the picture to; make it first.", str(path))
    return path


def _save(draw: Callable[[Figure], None], size: tuple[float, float], path: Path) -> Path:
    """Draw on a fresh figure of `size` inches and write it, whole or not at all."""
    import matplotlib
    from matplotlib.figure import Figure

    kind = path.suffix.lower()[1:]
    picture = io.BytesIO()
    with _DRAWING, matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the typeface lacks is drawn as a box
        figure = Figure(figsize=size, facecolor="white")
        draw(figure)
        facts: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": "Fugato"}
        figure.savefig(picture, format=kind, dpi=DPI, metadata=facts)
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise FugatoError(
            "bad-output", f"The picture cannot be written ({error.strerror or error}).", str(path)
        ) from error
    return path


# -- the answer ----------------------------------------------------------------------------------------------------


def _draw_heading(figure: Figure, answer: Answer) -> None:
    source = Path(answer.input).name if answer.input else ""
    figure.text(0.04, 0.925, _cut(source, 38), size=8.5, color=MUTED)
    if answer.known:
        figure.text(0.04, 0.835, _cut(answer.name, 20), size=20, color=INK, weight="bold")
    else:
        figure.text(0.04, 0.835, "None of these", size=20, color=INK, weight="bold")
    second = f"nearest: {answer.name}" if not answer.known else _level_up(answer)
    figure.text(0.04, 0.775, _cut(second, 44), size=9, color=MUTED)


def _draw_ranking(axes: Axes, answer: Answer) -> None:
    """One row for each name: the name over a bar whose length is its probability, the number at the end of the row."""
    shown = answer.ranking[:NAMES_SHOWN]
    axes.set_xlim(0, 1)
    axes.set_ylim(NAMES_SHOWN - 0.15, -0.62)
    axes.axis("off")
    for row, guess in enumerate(shown):
        first = row == 0 and answer.known
        axes.barh(row + 0.08, 1.0, height=0.17, color=FAINT)
        axes.barh(row + 0.08, max(guess.probability, 0.004), height=0.17, color=ACCENT if first else MUTED)
        axes.text(0, row - 0.13, _cut(guess.name, 30), color=INK, weight="bold" if first else "normal", size=9.5)
        axes.text(1, row - 0.13, _percent(guess.probability), color=INK if first else MUTED, size=9.5, ha="right")


class _Mark(NamedTuple):
    """Bars that spoke for one name: number, from 1, to weight."""

    name: str
    colour: str
    wash: str
    bars: dict[int, float]


def _telling_bars(answer: Answer, n_bars: int) -> tuple[_Mark, ...]:
    """The strongest bars for the first and for the second name; a name without any is left out.

    At most `BARS_SHOWN` each, and a quarter of a short piece, since what is all marked says nothing; none that weighs next to nothing.
    """
    found = (answer.evidence or {}).get("bars") or []
    most = min(BARS_SHOWN, max(n_bars // 4, 1))
    least = LEAST_WEIGHT * max((b.get("weight", 0.0) for b in found), default=0.0)
    marks = []
    for guess, colour, wash in zip(answer.ranking, (ACCENT, SECOND), (WASH, SECOND_WASH), strict=False):
        ours = [b for b in found if b.get("for", answer.name) == guess.name and b.get("weight", 0.0) > least]
        ours.sort(key=lambda b: -b["weight"])
        if ours:
            marks.append(_Mark(guess.name, colour, wash, {int(b["bar"]): float(b["weight"]) for b in ours[:most]}))
    return tuple(marks)


def _draw_legend(figure: Figure, marks: Sequence[_Mark]) -> None:
    shown = [(mark.colour, _cut(f"spoke most for {mark.name}", 38)) for mark in marks]
    _legend(figure, shown, (0.985, 0.968))


def _legend(figure: Figure, shown: Sequence[tuple[str, str]], corner: tuple[float, float]) -> None:
    """Colours and what they stand for, in a row that ends at a corner."""
    from matplotlib.patches import Patch

    if shown:
        figure.legend(
            [Patch(color=colour) for colour, _ in shown],
            [words for _, words in shown],
            loc="upper right",
            bbox_to_anchor=corner,
            ncols=len(shown),
            frameon=False,
            fontsize=8,
            labelcolor=MUTED,
            handlelength=0.9,
            handleheight=0.7,
            handletextpad=0.5,
            columnspacing=1.4,
        )


def _level_up(answer: Answer) -> str:
    parts = [g.name for g in (answer.period, answer.repertoire) if g is not None]
    return " · ".join(parts)


def _percent(probability: float) -> str:
    percent = 100 * probability
    if 0 < percent < 1:
        return "<1 %"
    return ">99 %" if 99.5 <= percent < 100 else f"{percent:.0f} %"


def _facts(score: Score) -> str:
    bars = f"{len(score.bars):,} bars · " if score.beats == "notated" else ""
    return f"{len(score):,} notes · {bars}{_clock(score.seconds)}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


# -- the piano roll ------------------------------------------------------------------------------------------------


def _draw_roll(axes: Axes, score: Score, marks: Sequence[_Mark], new: NDArray[np.bool_] | None = None) -> None:
    """Notes as boxes, a line at every C, bar numbers or seconds below.

    Telling bars are washed in the colour of their name, their notes are in it, and a row of marks over the roll, stronger for a
    heavier bar, shows them also where two names share a bar and where a bar of a long piece is narrow. Notes that are not `new`,
    where that is known, are pale.
    """
    from matplotlib.collections import PolyCollection

    notes = score.pitched if len(score.pitched) else score.notes
    in_bars = score.beats == "notated"
    start, length = ("onset", "duration") if in_bars else ("onset_seconds", "duration_seconds")
    edges = np.append(score.bars, max(score.end, float(score.bars[-1]) + 1e-6))
    if not in_bars:
        edges = seconds_at(score.tempos, edges)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(length=0, labelsize=8, labelcolor=MUTED, pad=4)
    axes.set_axisbelow(True)
    left, right = (
        min(0.0, float(edges[0])),
        max(float(edges[-1]), float((notes[start] + notes[length]).max(initial=0.0)), 1e-3),
    )
    axes.set_xlim(left, right)
    _label_time(axes, edges, in_bars)
    if not len(notes):
        axes.set_yticks([])
        return
    low, high = int(notes["pitch"].min()), int(notes["pitch"].max())
    middle, reach = (low + high) / 2, max((high - low) / 2 + 2, 10)
    lane = 2 * reach * LANE
    axes.set_ylim(middle - reach, middle + reach + lane * len(marks))
    octaves = [p for p in range(0, 128, 12) if middle - reach <= p <= middle + reach]
    axes.set_yticks(octaves, [f"C{p // 12 - 1}" for p in octaves])
    axes.grid(axis="y", color=FAINT, linewidth=0.7)

    colours = np.full(len(notes), NOTE if marks else ACCENT, dtype=object)
    if new is not None:
        colours[~(new[~score.notes["drum"]] if len(score.pitched) else new)] = NOTE
    bar_of_note = score.bar_of(notes["onset"]) + 1
    narrowest_bar = (right - left) / 250
    for number, mark in reversed([*enumerate(marks)]):  # the first name is drawn last and lies on top
        strongest = max(mark.bars.values())
        row = middle + reach + lane * (len(marks) - 1 - number)
        for bar, weight in mark.bars.items():
            if not 1 <= bar < len(edges):
                continue
            begin, end = float(edges[bar - 1]), float(edges[bar])
            width = max(end - begin, narrowest_bar)
            at = (begin, middle - reach)
            axes.add_patch(_box(at, width, 2 * reach, mark.wash, 0.6 - 0.1 * number))
            axes.add_patch(_box((begin, row), width, 0.8 * lane, mark.colour, 3, alpha=0.3 + 0.7 * weight / strongest))
        colours[np.isin(bar_of_note, list(mark.bars))] = mark.colour
    narrowest = (right - left) / 900  # what can still be seen
    for colour in dict.fromkeys(colours.tolist()):
        chosen = colours == colour
        boxes: Any = _boxes(notes[chosen][start], notes[chosen][length], notes[chosen]["pitch"], narrowest)
        above = 2.0 if colour == NOTE else 2.1
        collection = PolyCollection(
            boxes, facecolors=colour, linewidths=0, zorder=above, rasterized=len(notes) > VECTOR_NOTES
        )
        axes.add_collection(collection, autolim=False)


def _box(at: tuple[float, float], width: float, height: float, colour: str, zorder: float, alpha: float = 1.0) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(at, width, height, facecolor=colour, linewidth=0, zorder=zorder, alpha=alpha)


def _boxes(onset: NDArray[Any], duration: NDArray[Any], pitch: NDArray[Any], narrowest: float) -> NDArray[np.float64]:
    """Corners of one box a note, shape=(n, 4, 2); a note ends a little early, so that repeated notes stay apart."""
    end = onset + np.maximum(duration * 0.94, narrowest)
    low, high = pitch - 0.42, pitch + 0.42
    xs = np.stack([onset, end, end, onset], axis=1)
    ys = np.stack([low, low, high, high], axis=1)
    return np.stack([xs, ys], axis=2).astype(np.float64)


def _label_time(axes: Axes, edges: NDArray[np.float64], in_bars: bool) -> None:
    if in_bars:
        n_bars = len(edges) - 1
        step = _step(n_bars, (1, 2, 4, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 2000))
        numbers = [1, *(n for n in range(step, n_bars + 1, step) if n > max(1, step // 2))]
        axes.set_xticks([float(edges[n - 1]) for n in numbers], [str(n) for n in numbers])
        axes.set_xlabel("bar", color=MUTED, size=8, loc="right", labelpad=3)
    else:
        end = float(axes.get_xlim()[1])
        step = _step(end, (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600))
        times = np.arange(0, end, step)
        axes.set_xticks(times, [f"{int(t) // 60}:{int(t) % 60:02d}" for t in times])
        axes.set_xlabel("time", color=MUTED, size=8, loc="right", labelpad=3)


def _step(length: float, steps: Sequence[int], most: int = 14) -> int:
    return next((s for s in steps if length / s <= most), int(length // most) + 1)
