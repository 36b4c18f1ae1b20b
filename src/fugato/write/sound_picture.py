"""Pictures of sound: a recording in five views, and a genre answer along the time of its recording, as PNG or SVG.

The views are those that everybody who works with sound looks at: waveform, power spectrum (FFT), spectrogram (STFT), mel spectrogram and
MFCC, each with its axes and units. What is drawn comes as arrays (`SoundView`, `Outline`; `fugato.represent.outline` makes them), so that
nothing is computed here.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..answer import Answer, Segment
from .picture import (
    ACCENT,
    COLOURS,
    FAINT,
    INK,
    MUTED,
    NOTE,
    _check_out,
    _clock,
    _cut,
    _percent,
    _save,
    _step,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAT: Final = "magma"
RANGE: Final = 80.0  # dB from the loudest cell down
LOUD_BELOW: Final = 6.0  # dB; the spectrum's axis ends so far above its loudest bin
FLOOR: Final = 110.0  # dB; and so far below it at most
LOWEST_HZ: Final = 20.0
TICKS_HZ: Final = (250, 500, 1000, 2000, 4000, 8000)
LEAST_REST: Final = 0.005  # of the probability; less is rounding
LEAST_SHARE: Final = 0.02  # probability that a genre must reach somewhere to be named
NAMED: Final = 9  # genres with a colour of their own where there are more than ten; the others are grey together

Floats = NDArray[np.float32]


class Palette(Protocol):
    """Colours of a picture; `fugato.study.explore_pictures.Theme` is one."""

    @property
    def ink(self) -> str: ...
    @property
    def muted(self) -> str: ...
    @property
    def faint(self) -> str: ...
    @property
    def accent(self) -> str: ...


@dataclass(frozen=True)
class _Light:
    ink: str = INK
    muted: str = MUTED
    faint: str = FAINT
    accent: str = ACCENT


@dataclass(frozen=True, eq=False)
class Outline:
    """A recording as far as it can be seen along a time axis.

    Attributes
    ----------
    name : str
        Path or name of the recording.
    seconds : float
    rate, channels : int
    format : str
    wave : ndarray of float32, shape=(2, n)
        Lowest and highest sample of each column.
    wave_column : float
        Seconds of a column; the last may be shorter.
    mel : ndarray of float32, shape=(128, m)
        dB below the loudest cell, low bands first.
    mel_column : float
        Seconds of a column.
    mel_hertz : ndarray of float64, shape=(128,)
        Middle of each band.
    warnings : tuple of str
    """

    name: str
    seconds: float
    rate: int
    channels: int
    format: str
    wave: Floats
    wave_column: float
    mel: Floats
    mel_column: float
    mel_hertz: NDArray[np.float64]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SoundView:
    """All that is drawn of one recording.

    Attributes
    ----------
    outline : Outline
    hertz : ndarray of float64, shape=(k,)
        Frequency of each bin.
    spectrum : ndarray of float32, shape=(k,)
        Mean power of each bin in dB; a sine from -1 to 1 has 0 dB.
    stft : ndarray of float32, shape=(k, m)
        dB below the loudest cell.
    stft_column : float
        Seconds of a column.
    mfcc : ndarray of float32, shape=(n_mfcc, m)
        With columns as `outline.mel`.
    """

    outline: Outline
    hertz: NDArray[np.float64]
    spectrum: Floats
    stft: Floats
    stft_column: float
    mfcc: Floats


# -- a recording -------------------------------------------------------------------------------------------------------


def draw_sound(view: SoundView, out: str | os.PathLike[str]) -> Path:
    """Draw the five views of a recording.

    Parameters
    ----------
    view : SoundView
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
    return _save(lambda figure: five_views(figure, view, _Light()), (11.0, 7.6), path)


def five_views(figure: Figure, view: SoundView, colours: Palette, title: str = "") -> None:
    """Draw waveform, power spectrum, STFT, mel spectrogram and MFCC on an empty figure, 11 x 7.6 inches or alike."""
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.09)
    seen = view.outline
    grid = figure.add_gridspec(3, 2, height_ratios=(0.8, 1, 1))
    name = title or _cut(Path(seen.name).name, 70) or "Recording"
    figure.suptitle(f"{name}   ({facts(seen)})", x=0.012, ha="left", size=10.5, color=colours.ink)
    wave = figure.add_subplot(grid[0, :])
    draw_wave(wave, seen, colours)
    wave.set_title("Waveform", **_head(colours))
    spectrum = figure.add_subplot(grid[1, 0])
    _draw_spectrum(spectrum, view, colours)
    stft, mel, mfcc = (figure.add_subplot(cell) for cell in (grid[1, 1], grid[2, 0], grid[2, 1]))
    top = float(view.hertz[-1])
    image = stft.imshow(
        view.stft, **_heat(), extent=(0, view.stft.shape[1] * view.stft_column, 0, top), interpolation="nearest"
    )
    stft.set_ylim(0, top)
    steps = _hertz_steps(top)
    stft.set_yticks(steps, [f"{f:,}" for f in steps])
    stft.set_ylabel("frequency (Hz)")
    stft.set_title("Spectrogram (STFT, 2,048 samples, hop 512)", **_head(colours))
    _bar(figure, image, stft, "dB", colours)
    image = draw_mel(mel, seen)
    mel.set_title("Mel spectrogram (128 bands)", **_head(colours))
    _bar(figure, image, mel, "dB", colours)
    image = _draw_mfcc(mfcc, view)
    mfcc.set_title(f"MFCC 1 to {len(view.mfcc) - 1} (0, the level, is left out)", **_head(colours))
    _bar(figure, image, mfcc, "dB", colours)
    for axes in (wave, stft, mel, mfcc):
        _time_axis(axes, seen.seconds, colours)
    for axes in (wave, spectrum, stft, mel, mfcc):
        _plain(axes, colours)


def facts(seen: Outline) -> str:
    """Length, rate, channels and format in one line."""
    channels = {1: "mono", 2: "stereo"}.get(seen.channels, f"{seen.channels} channels")
    length = f"{seen.seconds:.1f} s" if seen.seconds < 90 else _clock(seen.seconds)
    return " · ".join(part for part in (length, f"{seen.rate:,} Hz", channels, seen.format) if part)


def draw_wave(axes: Axes, seen: Outline, colours: Palette) -> None:
    """The waveform between its lowest and highest samples; full scale is from -1 to 1."""
    low, high = seen.wave
    middles = np.minimum((np.arange(len(low)) + 0.5) * seen.wave_column, seen.seconds)
    reach = max(float(np.abs(seen.wave).max(initial=0.0)), 1e-6)
    limit = 1.0 if 0.35 < reach <= 1.0 else 1.1 * reach
    axes.axhline(0, color=colours.faint, linewidth=0.7, zorder=1)
    axes.fill_between(
        middles, low, high, color=colours.accent, linewidth=0.4, edgecolor=colours.accent, rasterized=True
    )
    axes.set_ylim(-limit, limit)
    axes.set_ylabel("amplitude (of 1)")


def draw_mel(axes: Axes, seen: Outline) -> Any:
    """The log-mel spectrogram with a frequency axis in Hz; the image."""
    width = seen.mel.shape[1] * seen.mel_column
    image = axes.imshow(seen.mel, **_heat(), extent=(0, width, 0, len(seen.mel)), interpolation="nearest")
    bands = np.interp(TICKS_HZ, seen.mel_hertz, np.arange(len(seen.mel)) + 0.5)
    axes.set_yticks(bands, [f"{t:,}" for t in TICKS_HZ])
    axes.set_ylabel("frequency (Hz)")
    return image


def _draw_spectrum(axes: Axes, view: SoundView, colours: Palette) -> None:
    """Mean power over the whole recording against a logarithmic frequency axis."""
    shown = view.hertz >= LOWEST_HZ
    hertz, level = view.hertz[shown], view.spectrum[shown]
    top = float(level.max())
    bottom = max(float(level.min()), top - FLOOR)
    axes.fill_between(hertz, bottom, np.maximum(level, bottom), color=colours.accent, alpha=0.16, linewidth=0)
    axes.plot(hertz, level, color=colours.accent, linewidth=1.0)
    axes.set_xscale("log")
    axes.set_xlim(hertz[0], hertz[-1])
    axes.set_ylim(bottom, top + LOUD_BELOW)
    ticks = [t for t in (31, 62, 125, 250, 500, 1000, 2000, 4000, 8000, 16000) if hertz[0] <= t <= hertz[-1]]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("mean power (dB, sine = 0)")
    axes.grid(color=colours.faint, linewidth=0.6)
    axes.set_title("Power spectrum (FFT)", **_head(colours))


def _draw_mfcc(axes: Axes, view: SoundView) -> Any:
    table = view.mfcc[1:]
    limit = max(float(np.percentile(np.abs(table), 92)), 1e-6)  # the first would leave the others pale
    width = table.shape[1] * view.outline.mel_column
    image = axes.imshow(
        table,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        extent=(0, width, 0.5, len(table) + 0.5),
        interpolation="nearest",
    )
    axes.set_yticks([1, *range(5, len(table) + 1, 5)])
    axes.set_ylabel("coefficient")
    return image


# -- a genre answer ----------------------------------------------------------------------------------------------------


def draw_genre(answer: Answer, seen: Outline, out: str | os.PathLike[str]) -> Path:
    """Draw an answer over its recording: waveform, mel spectrogram and genres on one time axis.

    Parameters
    ----------
    answer : Answer
        Its `timeline` is drawn as stacked areas, a genre in a colour; without one the whole recording counts as one stretch.
    seen : Outline
        Of the recording that it is about.
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
    colours = _Light()
    timeline = answer.timeline or (Segment(0.0, seen.seconds, answer.ranking),)

    def draw(figure: Figure) -> None:
        figure.text(0.065, 0.928, "None of these" if not answer.known else _cut(answer.name, 40), **_name(colours))
        said = f"nearest: {answer.name}, {_percent(answer.probability)}" if not answer.known else ""
        said = said or f"{_percent(answer.probability)} for the whole recording"
        figure.text(0.065, 0.888, said, size=9, color=colours.muted)
        name = _cut(Path(answer.input or seen.name).name, 70)
        figure.text(0.845, 0.945, name, size=9, color=colours.ink, ha="right")
        figure.text(0.845, 0.912, facts(seen), size=8, color=colours.muted, ha="right")
        wave, mel, genres = (
            figure.add_axes((0.065, bottom, 0.78, height))
            for bottom, height in ((0.70, 0.16), (0.385, 0.285), (0.10, 0.255))
        )
        draw_wave(wave, seen, colours)
        image = draw_mel(mel, seen)
        _bar(figure, image, mel, "dB", colours, beside=figure.add_axes((0.857, 0.385, 0.009, 0.285)))
        handles = _draw_timeline(genres, answer, timeline, colours)
        figure.legend(
            handles,
            [str(h.get_label()) for h in handles],
            loc="upper left",
            bbox_to_anchor=(0.848, 0.363),
            frameon=False,
            fontsize=8.5,
            labelcolor=colours.ink,
            handlelength=0.9,
            handleheight=0.9,
            labelspacing=0.35,
        )
        for axes in (wave, mel, genres):
            _time_axis(axes, seen.seconds, colours, label=axes is genres)
            _plain(axes, colours)
            axes.yaxis.set_label_coords(-0.052, 0.5)
        for axes in (wave, mel):
            axes.tick_params(labelbottom=False)
        if answer.warnings:
            text = textwrap.shorten("Note: " + " ".join(answer.warnings), 190, placeholder=" …")
            figure.text(0.065, 0.015, text, color=colours.muted, size=7)

    return _save(draw, (11.0, 6.4), path)


def _draw_timeline(axes: Axes, answer: Answer, timeline: Sequence[Segment], colours: Palette) -> list[Any]:
    """Stacked probabilities of each stretch, the answer's genre at the bottom; handles for the legend, topmost first."""
    names = [g.name for g in answer.ranking]
    table = np.array([[dict(s.ranking).get(name, 0.0) for name in names] for s in timeline], float)  # (segments, names)
    overall = np.array([g.probability for g in answer.ranking])
    strongest = np.maximum(table.max(axis=0, initial=0.0), overall)
    most = len(COLOURS) if len(names) <= len(COLOURS) else NAMED
    heard = [k for k in np.argsort(-strongest, kind="stable")[:most].tolist() if strongest[k] >= LEAST_SHARE]
    named = sorted({0, *heard})  # in the order of the ranking
    others = [k for k in range(len(names)) if k not in named]
    colour = genre_colours(names)
    layers = [(f"{names[k]}  {_percent(float(overall[k]))}", colour[names[k]], table[:, k]) for k in named]
    rest = np.maximum(1 - table[:, named].sum(axis=1), 0)  # rankings may be cut
    if others or rest.max(initial=0.0) > LEAST_REST:
        label = "others" if not others else "1 other" if len(others) == 1 else f"{len(others)} others"
        layers.append((label, NOTE, rest))
    starts, ends = (np.array([getattr(s, side) for s in timeline], float) for side in ("start", "end"))
    at = np.stack([starts, starts, ends, ends], axis=1).ravel()
    base = np.zeros(len(timeline))
    handles = []
    for label, paint, share in layers:
        low, high = base, base + share
        zero = np.zeros_like(low)
        under, over = (np.stack([zero, side, side, zero], axis=1).ravel() for side in (low, high))
        handles.append(
            axes.fill_between(
                at,
                under,
                over,
                color=paint,
                linewidth=0,
                label=label,
                alpha=1.0 if answer.known else 0.45,
                rasterized=len(at) > 2000,
            )
        )
        base = high
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_ylabel("genre")
    if not answer.known:
        axes.text(
            0.5,
            0.5,
            "none of these: the nearest are shown pale",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=colours.ink,
            size=10,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "boxstyle": "round,pad=0.4"},
        )
    return handles[::-1]


def genre_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, the same whatever the order of the names; they repeat after ten."""
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(sorted(names))}


# -- axes --------------------------------------------------------------------------------------------------------------


def _heat() -> dict[str, Any]:
    return {"origin": "lower", "aspect": "auto", "cmap": HEAT, "vmin": -RANGE, "vmax": 0.0}


def _head(colours: Palette) -> dict[str, Any]:
    return {"loc": "left", "size": 9.5, "color": colours.ink}


def _name(colours: Palette) -> dict[str, Any]:
    return {"size": 18, "color": colours.ink, "weight": "bold"}


def _time_axis(axes: Axes, seconds: float, colours: Palette, *, label: bool = True) -> None:
    """Seconds up to two minutes, beyond that minutes and seconds."""
    axes.set_xlim(0, max(seconds, 1e-3))
    step = _step(seconds, (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600), most=13)
    times = np.arange(0, seconds + 1e-9, step)
    if seconds <= 120:
        axes.set_xticks(times, [f"{t:g}" for t in times])
    else:
        axes.set_xticks(times, [f"{int(t) // 60}:{int(t) % 60:02d}" for t in times])
    if label:
        axes.set_xlabel("time (s)" if seconds <= 120 else "time (min:s)")


def _hertz_steps(top: float) -> list[int]:
    return [*range(0, round(top) + 1, _step(top, (500, 1000, 2000, 4000, 5000, 10_000, 20_000, 50_000), most=6))]


def _bar(figure: Figure, image: Any, axes: Axes, unit: str, colours: Palette, *, beside: Axes | None = None) -> None:
    """The scale of an image's colours."""
    low, high = image.get_clim()
    over = "both" if image.get_array().max() > high + 0.01 * (high - low) else "neither"
    bar = figure.colorbar(
        image, ax=None if beside else axes, cax=beside, pad=0.01, fraction=0.03, aspect=22, extend=over
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=colours.muted)
    bar.set_label(unit, size=8, color=colours.muted)


def _plain(axes: Axes, colours: Palette) -> None:
    for name, side in axes.spines.items():
        side.set_visible(name == "bottom")
        side.set_color(colours.faint)
    axes.tick_params(length=2, color=colours.faint, labelsize=8, labelcolor=colours.muted)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(colours.muted)
        label.set_fontsize(8)
