"""A picture of a network: its layers from top to bottom, what comes out of each, and how many parameters it has, as PNG or SVG.

Layers with weights are boxes in the colour of their family; what has none (activations, pooling, dropout) is a thin line between them.
Runs of layers that repeat are drawn once, with how often.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .picture import COLOURS, FAINT, INK, MUTED, NOTE, _check_out, _cut, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILIES: Final = {  # the first that a layer's kind begins with, or holds, decides its colour
    "Input": NOTE,
    "Conv": COLOURS[0],
    "LSTM": COLOURS[3],
    "GRU": COLOURS[3],
    "Bidirectional": COLOURS[3],
    "Embedding": COLOURS[4],
    "Attention": COLOURS[1],
    "Dense": COLOURS[2],
    "Norm": COLOURS[5],
    "BatchNorm": COLOURS[5],
    "LayerNorm": COLOURS[5],
    "Trees": COLOURS[7],
    "Support vectors": COLOURS[7],
}
OTHER: Final = COLOURS[8]
WIDTH: Final = 5.4  # inches of a column
BOX, THIN, GAP = 0.4, 0.2, 0.085  # inches of a layer with weights, of one without, between two
HIGHEST: Final = 10.5  # inches of a column; a longer network goes on beside it
MARGIN: Final = 0.35
BESIDE: Final = 0.7  # inches to the right of a column, for how often a run repeats
HEAD: Final = 0.95  # inches above the layers
LONGEST_RUN: Final = 64  # layers in a run that repeats


@dataclass(frozen=True)
class Layer:
    """One layer of a model.

    Attributes
    ----------
    name : str
        Where it stands: "vgg.0".
    kind : str
        What it is: "Conv2D 3x3".
    output : tuple of int and str
        Shape of what comes out of it; "n" stands for any number of inputs. Empty where nothing flows.
    parameters : int
        Weights that it has and no layer before it.
    """

    name: str
    kind: str
    output: tuple[int | str, ...]
    parameters: int

    @property
    def shape(self) -> str:
        """The output as text: "n × 200 × 64"."""
        return " × ".join(f"{d:,}" if isinstance(d, int) else d for d in self.output)


@dataclass(frozen=True)
class Summary:
    """A model, layer by layer.

    Attributes
    ----------
    name : str
    about : str
        Recipe, task and what the layers were read from.
    layers : tuple of Layer
    counted : str
        What its numbers are: "parameters", or "numbers" where they are a table and no network.
    parameters : int
        Those of the layers together.
    """

    name: str
    about: str
    layers: tuple[Layer, ...]
    counted: str = "parameters"

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        layers = [
            {"name": x.name, "kind": x.kind, "output": list(x.output), "parameters": x.parameters} for x in self.layers
        ]
        return {"name": self.name, "about": self.about, "parameters": self.parameters, "layers": layers}


@dataclass(frozen=True)
class Run:
    """Layers that follow one another `times` times, alike but for their names."""

    layers: tuple[Layer, ...]
    times: int


def runs(layers: Sequence[Layer]) -> list[Run]:
    """Layers with repetitions folded: at each place the one that covers most; with one layer with weights it must stand three times."""
    keys = [(x.kind, x.output, x.parameters) for x in layers]
    out: list[Run] = []
    single: list[Layer] = []
    at = 0
    while at < len(layers):
        best, times = 0, 1
        for length in range(1, min(LONGEST_RUN, (len(layers) - at) // 2) + 1):
            if best and length % best == 0:  # nothing new but a multiple of what is found
                continue
            n = 1
            while keys[at + n * length : at + (n + 1) * length] == keys[at : at + length]:
                n += 1
            weighed = sum(x.parameters > 0 for x in layers[at : at + length])
            if n > 1 and n * length > best * times and (n > 2 or weighed > 1):
                best, times = length, n
        if best:
            if single:
                out.append(Run(tuple(single), 1))
                single = []
            out.append(Run(tuple(layers[at : at + best]), times))
            at += best * times
        else:
            single.append(layers[at])
            at += 1
    if single:
        out.append(Run(tuple(single), 1))
    return out


def draw_network(summary: Summary, out: str | os.PathLike[str]) -> Path:
    """Draw a model.

    Parameters
    ----------
    summary : Summary
    out : path
        Ends in .png or .svg; a picture that is there is replaced.

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
    columns = _columns(runs(summary.layers))
    deepest = max(_height(column) for column in columns)
    size = (MARGIN + (WIDTH + BESIDE) * len(columns), HEAD + deepest + MARGIN)

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, size[0])
        axes.set_ylim(size[1], 0)
        axes.axis("off")
        axes.text(MARGIN, 0.42, _cut(summary.name, 44), size=14, weight="bold", color=INK, va="center")
        total = f"{summary.parameters:,} {summary.counted}" if summary.parameters else f"no {summary.counted}"
        axes.text(MARGIN, 0.72, _cut(f"{total} · {summary.about}", 48 + 72 * len(columns)), size=8.5, color=MUTED)
        for number, column in enumerate(columns):
            left = MARGIN + number * (WIDTH + BESIDE)
            _draw_column(axes, column, left, last=number == len(columns) - 1)

    return _save(draw, size, path)


def _tall(layer: Layer) -> bool:
    return layer.parameters > 0 or layer.kind == "Input"


def _height(column: Sequence[Run]) -> float:
    return sum(
        sum((BOX if _tall(x) else THIN) + GAP for x in run.layers) + (0.16 if run.times > 1 else 0) for run in column
    )


def _columns(found: Sequence[Run]) -> list[list[Run]]:
    """Runs in columns of about the same height, none much higher than `HIGHEST`; a run that repeats is not torn apart."""
    pieces = [
        piece for run in found for piece in ([run] if run.times > 1 else [Run((layer,), 1) for layer in run.layers])
    ]
    total = _height(pieces)
    wanted = total / max(-(-total // HIGHEST), 1)
    out: list[list[Run]] = [[]]
    for piece in pieces:
        over = _height(out[-1]) + _height([piece]) / 2 > wanted
        if out[-1] and over and len(out) < -(-total // HIGHEST):
            out.append([])
        out[-1].append(piece)
    return out


def _draw_column(axes: Axes, column: Sequence[Run], left: float, *, last: bool) -> None:
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    y, middle = HEAD, left + WIDTH / 2
    before: float | None = None
    for run in column:
        repeated = run.times > 1
        if repeated:
            height = _height([run]) - GAP
            frame = FancyBboxPatch(
                (left - 0.1, y - 0.02),
                WIDTH + 0.2,
                height + 0.02,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor="#f6f7f9",
                edgecolor=FAINT,
                linewidth=1.2,
                zorder=0,
            )
            axes.add_patch(frame)
            axes.text(
                left + WIDTH + 0.17, y + height / 2, f"× {run.times}", size=11, weight="bold", color=INK, va="center"
            )
            y += 0.08
        for layer in run.layers:
            height = BOX if _tall(layer) else THIN
            if before is not None:
                end = y if _tall(layer) or layer is column[-1].layers[-1] else y + height
                axes.plot([middle, middle], [before, end], color=NOTE, linewidth=0.9, zorder=0.5)
            _draw_layer(axes, layer, left, y, height)
            before = y + height
            y += height + GAP
        y += 0.08 if repeated else 0
    if not last:
        arrow = FancyArrowPatch(
            (middle, before or y), (middle, y + 0.2), arrowstyle="-|>", mutation_scale=9, color=NOTE, linewidth=0.9
        )
        axes.add_patch(arrow)


def _draw_layer(axes: Axes, layer: Layer, left: float, top: float, height: float) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    centre = top + height / 2
    if not _tall(layer):
        axes.text(left + 0.22, centre, _cut(layer.kind, 34), size=8, color=MUTED, va="center", backgroundcolor="none")
        axes.text(left + WIDTH - 0.95, centre, layer.shape, size=7.5, color=MUTED, va="center", ha="right")
        return
    colour = next((c for family, c in FAMILIES.items() if layer.kind.startswith(family)), None)
    colour = colour or next((c for family, c in FAMILIES.items() if family in layer.kind), OTHER)
    body = FancyBboxPatch(
        (left, top),
        WIDTH,
        height,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor="white",
        edgecolor=colour,
        linewidth=1.1,
        zorder=1,
    )
    axes.add_patch(body)
    axes.add_patch(Rectangle((left, top + 0.03), 0.09, height - 0.06, facecolor=colour, linewidth=0, zorder=1.1))
    name = layer.name if layer.name != layer.kind else ""
    above = centre - 0.075 if name else centre
    axes.text(left + 0.22, above, _cut(layer.kind, 34), size=9.2, weight="bold", color=INK, va="center")
    if name:
        axes.text(left + 0.22, centre + 0.095, _shortened(name), size=7, color=MUTED, va="center")
    axes.text(left + WIDTH - 0.95, centre, layer.shape, size=8.6, color=INK, va="center", ha="right")
    if layer.parameters:
        axes.text(left + WIDTH - 0.1, centre, f"{layer.parameters:,}", size=8.2, color=colour, va="center", ha="right")


def _shortened(name: str, length: int = 36) -> str:
    """A path, its end being what tells it apart."""
    return name if len(name) <= length else "…" + name[1 - length :]
