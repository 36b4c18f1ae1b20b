"""The pictures of `fugato.study.explore`: figures and arrays in, a Matplotlib figure out, on a light or a dark ground.

Matplotlib is used through its objects (no pyplot); its settings are changed only for the moment of drawing.
"""

from __future__ import annotations

import io
import textwrap
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.represent.pianoroll import RATE
from fugato.represent.spectrogram import SECONDS
from fugato.write.picture import ACCENT, COLOURS, FAINT, INK, MUTED, NOTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI: Final = 130
BARS: Final = 20  # composers with a bar of their own
SLICES: Final = 10  # composers with a slice of their own
POINTS: Final = 250  # of a composer in a scatter plot
BINS: Final = 256  # of a density before it is smoothed
INSIDE: Final = (0.5, 98.0)  # per cent of the values that a density's axis covers at least
HIGHEST_BIN: Final = 2746.0  # Hz, the top of a spectrogram
NAMES: Final = {  # feature, what it is called with its unit
    "pitch": "pitch (MIDI number)",
    "duration": "duration (s)",
    "velocity": "velocity",
    "delta_time": "delta time (s)",
    "interval": "interval (semitones)",
    "start": "start (s)",
    "tempo": "estimated tempo (per minute)",
    "pitch_range": "pitch range (semitones)",
    "note_density": "note density (notes/s)",
    "repetition_rate": "repetition rate",
    "average_interval": "average interval (semitones)",
    "rhythmic_variety": "rhythmic variety (s)",
    "chord_density": "chord density",
}
_WHOLE: Final = {"pitch", "velocity", "interval", "pitch_range"}  # features in whole numbers
_DRAWING = threading.RLock()  # Matplotlib's settings belong to the process


@dataclass(frozen=True)
class Theme:
    """Colours of a picture: ground, text, lesser text, lines, quiet marks, and the classes."""

    ground: str
    ink: str
    muted: str
    faint: str
    quiet: str
    accent: str
    colours: tuple[str, ...]
    heat: str  # diverging colour map

    def colour(self, k: int) -> str:
        """Of the k-th class; they repeat after ten."""
        return self.colours[k % len(self.colours)]


LIGHT: Final = Theme("#ffffff", INK, MUTED, FAINT, NOTE, ACCENT, COLOURS, "RdBu_r")
DARK: Final = Theme(
    "#171a20",
    "#e8eaee",
    "#a3abb8",
    "#333943",
    "#5c6573",
    "#6fa3d6",
    ("#6fa3d6", "#ef8a72", "#7cc48a", "#bb8fd1", "#ecc063", "#6cc6cb", "#dd7f97", "#a9ba4e", "#b8977d", "#93a1f5"),
    "RdBu_r",
)
Draw = Callable[[Theme], "Figure"]


def png(draw: Draw, theme: Theme) -> bytes:
    """A picture as the bytes of a PNG; the same figures give the same bytes."""
    import matplotlib

    settings: dict[Any, Any] = {
        **matplotlib.rcParamsDefault,
        "font.family": ["DejaVu Sans"],
        "font.size": 9.0,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "text.usetex": False,
        "text.color": theme.ink,
        "figure.facecolor": theme.ground,
        "axes.facecolor": theme.ground,
        "axes.edgecolor": theme.faint,
        "axes.labelcolor": theme.muted,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 10.0,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": theme.faint,
        "ytick.color": theme.faint,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "grid.color": theme.faint,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
    }
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _DRAWING, matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the typeface lacks is drawn as a box
        figure = draw(theme)
        figure.set_dpi(DPI)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return _encoded(np.asarray(canvas.buffer_rgba())[:, :, :3])


def _encoded(cells: NDArray[np.uint8]) -> bytes:
    """A PNG of red, green and blue, shape=(height, width, 3), with a palette of 256: a third of the bytes of all colours."""
    from PIL import Image, PngImagePlugin  # Matplotlib needs it anyway

    facts = PngImagePlugin.PngInfo()
    facts.add_text("Software", "Fugato")
    few = Image.fromarray(np.ascontiguousarray(cells)).quantize(
        256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    # the octree's white is a shade grey, which would show on a white page
    few.putpalette([255 if value >= 253 else value for value in few.getpalette() or ()])
    out = io.BytesIO()
    few.save(out, format="png", optimize=True, pnginfo=facts)
    return out.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.12, h_pad=0.1)
    return figure


def cut(text: str, length: int = 28) -> str:
    """A name that fits; what is no Unicode text in it becomes question marks."""
    text = text.encode("utf-8", "replace").decode()
    return textwrap.shorten(text, length, placeholder="…") if " " in text and len(text) > length else text[:length]


# -- classes -----------------------------------------------------------------------------------------------------------


def classes(
    counts: Sequence[Mapping[str, Any]],
    theme: Theme,
    *,
    titles: tuple[str, str] = ("Files by composer", "Share of the chunks"),
    used_for: str = "with a chunk at least",
) -> Figure:
    """Files of each class as bars, used and skipped; its share of the chunks as a pie."""
    from matplotlib.ticker import MaxNLocator

    named, rest = list(counts[:BARS]), list(counts[BARS:])
    if rest:
        others = {key: sum(c[key] for c in rest) for key in ("used", "skipped", "chunks")}
        named.append({"composer": f"{len(rest)} others", **others})
    figure = _figure(11, max(3.6, 0.9 + 0.23 * len(named)))
    bars, pie = figure.subplots(1, 2, width_ratios=(1.35, 1))
    places = np.arange(len(named))
    used, skipped = (np.array([c[key] for c in named]) for key in ("used", "skipped"))
    bars.barh(places, used, color=theme.accent, height=0.72, label=used_for)
    if skipped.any():
        bars.barh(places, skipped, left=used, color=theme.quiet, height=0.72, label="skipped")
        bars.legend(loc="lower right")
    for place, (u, s) in enumerate(zip(used.tolist(), skipped.tolist(), strict=True)):
        bars.annotate(f"{u + s:,}", (u + s, place), (4, 0), textcoords="offset points", va="center", color=theme.muted)
    bars.set_yticks(places, [cut(c["composer"]) for c in named], color=theme.ink)
    bars.set_ylim(len(named) - 0.4, -0.6)
    bars.set_xlim(0, max(int((used + skipped).max()) * 1.1, 1))
    bars.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    bars.xaxis.set_major_formatter("{x:,.0f}")
    bars.set_xlabel("files")
    bars.grid(axis="x", linewidth=0.7)
    bars.tick_params(length=0)
    bars.spines["left"].set_visible(False)
    bars.set_title(titles[0])
    _pie(pie, counts, theme)
    pie.set_title(titles[1])
    return figure


def _pie(axes: Axes, counts: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    drawn = {
        c["composer"]: k for k, c in enumerate(c for c in counts if c["shown"])
    }  # in the colours of other pictures
    ranked = sorted((c for c in counts if c["chunks"] and c["composer"] in drawn), key=lambda c: -c["chunks"])[:SLICES]
    sizes = [c["chunks"] for c in ranked]
    names = [cut(c["composer"], 22) for c in ranked]
    colours = [theme.colour(drawn[name]) for name in (c["composer"] for c in ranked)]
    if rest := [c for c in counts if c["chunks"] and c not in ranked]:
        sizes.append(sum(c["chunks"] for c in rest))
        names.append(f"{len(rest)} others")
        colours.append(theme.quiet)
    total = sum(sizes)
    wedges = axes.pie(
        sizes,
        colors=colours,
        startangle=90,
        counterclock=False,
        radius=1,
        wedgeprops={"edgecolor": theme.ground, "linewidth": 1.2},
    )[0]
    labels = [f"{name}  {100 * size / total:.1f} %" for name, size in zip(names, sizes, strict=True)]
    axes.legend(wedges, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1, handleheight=1)


# -- densities ---------------------------------------------------------------------------------------------------------


def densities(
    values: Mapping[str, NDArray[np.float64]],
    labels: Mapping[str, NDArray[np.int64]],
    names: Sequence[str],
    theme: Theme,
) -> Figure:
    """A panel for each feature, a curve for each composer; areas are alike."""
    figure = _figure(12, 11)
    panels = figure.subplots(-(-len(values) // 3), 3).ravel()
    lines: list[Any] = []
    for axes, (feature, column) in zip(panels, values.items(), strict=False):
        low, high = _range(column, feature in _WHOLE)
        curves = []
        for k in range(len(names)):
            at, height = density(column[labels[feature] == k], low, high, whole=feature in _WHOLE)
            width = 1.6 if len(names) <= 5 else 1.2
            curves.append(axes.plot(at, height, color=theme.colour(k), linewidth=width, alpha=0.95)[0])
        lines = lines or curves
        axes.set_title(NAMES[feature])
        _bare(axes)
        axes.set_xlim(low, high)
        # one composer who always plays alike would press all others to the ground
        peaks = sorted(float(c.get_ydata().max()) for c in curves)
        if len(peaks) > 1 and peaks[-1] > 2.5 * peaks[len(peaks) // 2]:
            axes.set_ylim(0, 2.5 * peaks[len(peaks) // 2])
    for axes in panels[len(values) :]:
        axes.axis("off")
    figure.legend(
        lines, [cut(n) for n in names], loc="outside upper center", ncols=min(len(names), 6), labelcolor=theme.ink
    )
    return figure


def augmentation(before: Mapping[str, Any], after: Mapping[str, Any], theme: Theme) -> Figure:
    """Features of the sampled chunks, filled, and of their changed copies, as a line."""
    figure = _figure(12, 5.8)
    panels = figure.subplots(-(-len(before) // 3), 3).ravel()
    handles: list[Any] = []
    for axes, (feature, column) in zip(panels, before.items(), strict=False):
        whole = feature in _WHOLE
        low, high = _range(np.concatenate((column, after[feature])), whole)
        at, height = density(column, low, high, whole=whole)
        filled = axes.fill_between(at, height, color=theme.quiet, alpha=0.55, linewidth=0)
        line = axes.plot(*density(after[feature], low, high, whole=whole), color=theme.colour(1), linewidth=1.6)[0]
        handles = handles or [filled, line]
        axes.set_title(NAMES[feature])
        _bare(axes)
        axes.set_xlim(low, high)
    for axes in panels[len(before) :]:
        axes.axis("off")
    figure.legend(handles, ["original", "augmented"], loc="outside upper center", ncols=2, labelcolor=theme.ink)
    return figure


def density(
    values: NDArray[np.float64], low: float, high: float, *, whole: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A density with Gaussian kernels after Silverman's rule, by binning.

    Parameters
    ----------
    values : ndarray, shape=(n,)
        Those outside `low` to `high` count for the area, and are not drawn.
    whole : bool
        Whether they are whole numbers, whose steps are not to be seen.

    Returns
    -------
    at, height : float64, shape=(BINS,)
    """
    edges = np.linspace(low, high, BINS + 1)
    step = edges[1] - edges[0]
    if not len(values):
        return (edges[:-1] + edges[1:]) / 2, np.zeros(BINS)
    q1, q3 = np.percentile(values, (25, 75))
    spread = min(float(values.std()), float(q3 - q1) / 1.349) or float(values.std())
    width = max(0.9 * spread * len(values) ** -0.2, 1.0 if whole else 0.0, 1.5 * step)
    reach = int(np.ceil(4 * width / step))
    counts = np.histogram(values, BINS, (low, high))[0].astype(np.float64)
    # mirrored at both ends, or a feature that cannot be negative would fall off towards 0
    padded = np.pad(counts, min(reach, BINS), mode="symmetric")
    kernel = np.exp(-0.5 * (np.arange(-min(reach, BINS), min(reach, BINS) + 1) * step / width) ** 2)
    smooth = np.convolve(padded, kernel / kernel.sum(), "valid")
    return (edges[:-1] + edges[1:]) / 2, smooth / (len(values) * step)


def _range(values: NDArray[np.float64], whole: bool) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(values, INSIDE))
    if whole:
        low, high = low - 1.5, high + 1.5
    return (low, high) if high - low > 1e-9 else (low - 0.5, high + 0.5)


def _bare(axes: Axes) -> None:
    axes.set_yticks([])
    axes.set_ylim(bottom=0)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=2)


# -- tables ------------------------------------------------------------------------------------------------------------


def correlation(matrix: NDArray[np.float64], names: Sequence[str], theme: Theme) -> Figure:
    """Coefficients from -1 to 1 as colours and, in hundredths, as numbers; features that do not vary are left out."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba

    kept = np.flatnonzero(~np.isnan(np.diag(matrix)))
    table = matrix[np.ix_(kept, kept)]
    labels = [names[i].replace("_", " ") for i in kept.tolist()]
    figure = _figure(9.4, 7.8)
    axes = figure.subplots()
    below = np.tril(np.ones_like(table, bool))
    colours = colormaps[theme.heat](np.where(below, (table + 1) / 2, 0.5))
    colours[~below, 3] = 0
    colours[np.diag_indices(len(colours))] = to_rgba(theme.faint)
    axes.imshow(colours, interpolation="nearest")
    for (i, j), value in np.ndenumerate(table):
        if j < i:
            strong = abs(value) > 0.6
            axes.text(
                j, i, f"{round(100 * value):d}", ha="center", va="center", size=7.5, color="white" if strong else INK
            )
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor", color=theme.ink)
    axes.set_yticks(range(len(labels)), labels, color=theme.ink)
    axes.tick_params(length=0)
    axes.set_title("Correlation of features in hundredths (red: both rise; blue: one rises, the other falls)")
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def pca(
    points: NDArray[np.float64],
    moved: NDArray[np.float64],
    label: NDArray[np.int64],
    names: Sequence[str],
    explained: Sequence[float],
    theme: Theme,
) -> Figure:
    """Chunks in the plane in which they differ most, and their changed copies beside them on the same axes."""
    figure = _figure(12, 6.2)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    chosen = np.concatenate([np.flatnonzero(label == k)[:POINTS] for k in range(len(names))])
    order = np.random.default_rng(0).permutation(chosen)  # no class lies on top of all others
    both = np.concatenate((points[order], moved[order]))
    low, high = np.percentile(both, (0.3, 99.7), axis=0)
    margin = 0.06 * (high - low) + 1e-9
    for axes, places, title in ((left, points, "Original"), (right, moved, "Augmented")):
        colours = [theme.colour(k) for k in label[order]]
        axes.scatter(*places[order].T, s=9, c=colours, alpha=0.45, linewidths=0)
        for k, name in enumerate(names):
            middle = np.median(places[label == k], axis=0)
            axes.scatter(
                *middle, s=95, color=theme.colour(k), edgecolors=theme.ground, linewidths=1.6, zorder=3, label=cut(name)
            )
        axes.set_title(title)
        axes.set_xlabel(f"first component ({100 * explained[0]:.0f} % of the variance)")
        axes.tick_params(length=2)
        axes.grid(linewidth=0.5)
    left.set_ylabel(f"second component ({100 * explained[1]:.0f} %)")
    left.set_xlim(low[0] - margin[0], high[0] + margin[0])
    left.set_ylim(low[1] - margin[1], high[1] + margin[1])
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(len(names), 6), labelcolor=theme.ink)
    return figure


# -- examples ----------------------------------------------------------------------------------------------------------


def example(facts: Mapping[str, Any], roll: NDArray[np.uint8], spectrum: NDArray[np.float32], theme: Theme) -> Figure:
    """Piano roll, shape=(n_frames, 128), and spectrogram in dB, shape=(256, 256), of the same ten seconds."""
    from matplotlib.colors import LinearSegmentedColormap

    figure = _figure(11, 3.7)
    left, right = figure.subplots(1, 2)
    frames = round(SECONDS * RATE)
    whole = np.zeros((frames, roll.shape[1]), np.uint8)
    whole[: len(roll)] = roll[:frames]
    sounding = np.flatnonzero(whole.any(axis=0))
    low, high = (int(sounding[0]), int(sounding[-1])) if len(sounding) else (60, 72)
    middle, reach = (low + high) / 2, max((high - low) / 2 + 2, 14)
    paint = LinearSegmentedColormap.from_list("roll", [theme.ground, theme.quiet, theme.accent, theme.ink])
    left.imshow(
        np.ma.masked_equal(whole.T, 0),
        origin="lower",
        aspect="auto",
        cmap=paint,
        vmin=0,
        vmax=127,
        extent=(0, SECONDS, -0.5, 127.5),
        interpolation="none",
        zorder=2,
    )
    left.set_ylim(middle - reach, middle + reach)
    octaves = [p for p in range(0, 128, 12) if middle - reach <= p <= middle + reach]
    left.set_yticks(octaves, [f"C{p // 12 - 1}" for p in octaves])
    left.grid(axis="y", linewidth=0.7)
    right.imshow(
        spectrum, origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=0, extent=(0, SECONDS, 0, HIGHEST_BIN)
    )
    right.set_yticks([0, 500, 1000, 1500, 2000, 2500])
    right.set_ylabel("Hz")
    for axes in (left, right):
        axes.set_xlabel("seconds")
        axes.tick_params(length=2)
    left.set_title(cut(facts["composer"], 40), weight="bold")
    right.set_title(cut(facts["title"] or facts["piece"], 60), color=theme.muted, loc="right", size=8.5)
    return figure
