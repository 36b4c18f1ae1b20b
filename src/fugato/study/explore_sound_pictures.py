"""The pictures of `fugato.study.explore_sound`: figures and arrays in, a Matplotlib figure out, on a light or a dark ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.study import explore_pictures
from fugato.study.explore_pictures import Theme, cut
from fugato.write.sound_picture import TICKS_HZ, SoundView, five_views

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS: Final = 400  # of a genre in a strip
MEASURED: Final = {  # measurement, what it is called with its unit
    "loudness": "loudness (LUFS)",
    "centroid": "mean frequency of the power (Hz)",
    "bandwidth": "99 % of the power lies below (Hz)",
}
FEW: Final = 6  # sample rates or formats with a colour of their own

Floats = NDArray[np.float64]


def classes(counts: Sequence[Mapping[str, Any]], theme: Theme) -> Figure:
    """Recordings of each genre as bars, used and not; their shares of the total length as a pie."""
    told = [{**c, "composer": c["genre"], "chunks": c["seconds"]} for c in counts]
    titles = ("Recordings by genre", "Share of the time")
    return explore_pictures.classes(told, theme, titles=titles, used_for="can be heard")


def form(
    seconds: Floats, label: NDArray[Any], names: Sequence[str], figures: Mapping[str, Any], theme: Theme
) -> Figure:
    """Lengths of the recordings of each genre; their sample rates, and their formats with channels."""
    figure = explore_pictures._figure(12, max(3.4, 1.5 + 0.3 * len(names)))
    lengths, rates, formats = figure.subplots(1, 3, width_ratios=(1.5, 1, 1), sharey=True)
    _strips(lengths, seconds, label, names, theme)
    lengths.set_xlabel("length (s)")
    lengths.set_title("Length")
    wide = seconds.max() > 20 * max(float(np.median(seconds)), 1e-9)
    if wide:
        lengths.set_xscale("log")
        lengths.xaxis.set_major_formatter("{x:,g}")
    elif np.ptp(seconds) < 0.05 * seconds.max():  # all alike: a narrow axis would make much of milliseconds
        lengths.set_xlim(0, 1.15 * seconds.max())
    for axes, key, title, unit in (
        (rates, "rate", "Sample rate", " Hz"),
        (formats, "format", "Format", ""),
    ):
        _stacks(axes, [figures["by_genre"][name][key] for name in names], theme, unit)
        axes.set_title(title)
        axes.set_xlabel("share of the recordings")
    return figure


def level(measured: Mapping[str, Floats], label: NDArray[Any], names: Sequence[str], theme: Theme) -> Figure:
    """Loudness and frequencies of every recording, genre by genre."""
    figure = explore_pictures._figure(12, max(3.4, 1.5 + 0.3 * len(names)))
    panels = figure.subplots(1, len(measured), sharey=True)
    for axes, (name, values) in zip(np.atleast_1d(panels), measured.items(), strict=True):
        _strips(axes, values, label, names, theme)
        title, unit = MEASURED[name].rsplit(" (", 1)
        axes.set_title(title[0].upper() + title[1:])
        axes.set_xlabel(unit.rstrip(")"))
        if name != "loudness":
            axes.set_xlim(left=0)
            axes.xaxis.set_major_formatter("{x:,.0f}")
    return figure


def spectra(profiles: Floats, label: NDArray[Any], names: Sequence[str], hertz: Floats, theme: Theme) -> Figure:
    """Mean level of each mel band, a curve for each genre; the middle half of all recordings as a band."""
    figure = explore_pictures._figure(11, 4.8)
    axes = figure.subplots()
    low, high = np.percentile(profiles, (25, 75), axis=0)
    band = axes.fill_between(hertz, low, high, color=theme.quiet, alpha=0.25, linewidth=0, label="half of all")
    lines = [
        axes.plot(hertz, profiles[label == k].mean(axis=0), color=theme.colour(k), linewidth=1.7, label=cut(name))[0]
        for k, name in enumerate(names)
    ]
    axes.set_xscale("log")
    axes.set_xlim(float(hertz[0]), float(hertz[-1]))
    ticks = (62, 125, *TICKS_HZ)
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("mean level (dB below the loudest cell)")
    axes.grid(linewidth=0.6)
    axes.tick_params(length=2)
    axes.set_title("Mean spectrum of each genre, by mel bands")
    figure.legend(handles=[*lines, band], loc="outside right center", labelcolor=theme.ink)
    return figure


def views(view: SoundView, title: str, theme: Theme) -> Figure:
    """Waveform, power spectrum, STFT, mel spectrogram and MFCC of a recording."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.6))
    five_views(figure, view, theme, cut(title, 80) if title else "")
    return figure


def _strips(axes: Axes, values: Floats, label: NDArray[Any], names: Sequence[str], theme: Theme) -> None:
    """A row of dots for each genre, one for each recording, with a mark at the median."""
    rng = np.random.default_rng(0)
    for k in range(len(names)):
        ours = np.sort(values[label == k])
        middle = float(np.median(ours))
        if len(ours) > POINTS:
            ours = ours[np.linspace(0, len(ours) - 1, POINTS).round().astype(int)]
        spread = rng.uniform(-0.26, 0.26, len(ours))
        few = len(ours) <= 40
        axes.scatter(
            ours, k + spread, s=22 if few else 12, color=theme.colour(k), alpha=0.8 if few else 0.5, linewidths=0
        )
        axes.plot([middle, middle], [k - 0.38, k + 0.38], color=theme.ink, linewidth=1.5, solid_capstyle="butt")
    axes.set_yticks(range(len(names)), [cut(name) for name in names], color=theme.ink)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", linewidth=0.6)


def _stacks(axes: Axes, tables: Sequence[Mapping[str, int]], theme: Theme, unit: str) -> None:
    """Shares of each genre's recordings by a value, as bars in pieces; rare values are grey together."""
    total: dict[str, int] = {}
    for table in tables:
        for value, n in table.items():
            total[value] = total.get(value, 0) + n
    kept = sorted(total, key=lambda value: -total[value])[:FEW]
    colours = {value: theme.colour(j) for j, value in enumerate(kept)}
    handles: dict[str, Any] = {}
    for row, table in enumerate(tables):
        left, whole = 0.0, sum(table.values())
        pieces = [(value, table.get(value, 0)) for value in kept]
        pieces.append(("others", sum(n for value, n in table.items() if value not in colours)))
        for value, n in pieces:
            if n:
                bar = axes.barh(row, n / whole, left=left, height=0.6, color=colours.get(value, theme.quiet))
                handles.setdefault(value, bar)
                left += n / whole
    labels = [f"{int(v):,}{unit}" if v.isdigit() else v for v in handles]
    axes.legend(
        handles.values(), labels, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2, handlelength=1, columnspacing=1
    )
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    axes.set_xticks([0, 0.5, 1])
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
