"""Explore recordings: pictures of a labelled folder of sound before a model learns it, or of one recording.

How many recordings each genre has; how long they are and in what form; how loud and how bright; the mean spectrum of each genre; and
of each the recording nearest to the middle of its own in five views: waveform, power spectrum, STFT, mel spectrogram, MFCC. What cannot
be read, is silent or too short is named and counted. All sentences are made from the figures in ``explore.json``.

Recordings are measured one at a time in blocks (`fugato.study.sound_facts`); a few hundred numbers are kept of each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import __version__
from fugato.corpus.sounds import Clip, Sounds, load_sounds
from fugato.errors import FugatoError
from fugato.read import read_audio
from fugato.represent.logmel import N_MELS, RATE, hz_to_mel, mel_to_hz
from fugato.represent.outline import sound_view
from fugato.study import explore_page, explore_pictures, explore_sound_page, explore_sound_pictures
from fugato.study.explore import Exploration, between_share, make_folder
from fugato.study.featurise import json_of, write_whole
from fugato.study.sound_facts import SoundFacts, sound_facts

GENRES: Final = 10  # that are drawn

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
Found = SoundFacts | FugatoError


@dataclass(frozen=True, eq=False)
class Heard:
    """What is kept of a collection of recordings.

    Attributes
    ----------
    sounds : Sounds
    found : tuple of SoundFacts or FugatoError
        Of each clip.
    shown : tuple of str
        Genres that are drawn, those with most recordings that can be heard first.
    """

    sounds: Sounds
    found: tuple[Found, ...]
    shown: tuple[str, ...]

    def used(self, genre: str | None = None) -> list[tuple[Clip, SoundFacts]]:
        """Recordings that could be measured, of one genre or of all."""
        return [
            (clip, facts)
            for clip, facts in zip(self.sounds.clips, self.found, strict=True)
            if isinstance(facts, SoundFacts) and genre in (None, clip.genre)
        ]

    def failed(self) -> list[tuple[Clip, FugatoError]]:
        """Those that could not, and why."""
        return [
            (clip, error)
            for clip, error in zip(self.sounds.clips, self.found, strict=True)
            if isinstance(error, FugatoError)
        ]


def explore_sound(
    data: str | os.PathLike[str] | Sounds,
    out: str | os.PathLike[str],
    *,
    classes: int = GENRES,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Exploration:
    """Draw a collection of recordings: one HTML page, its pictures beside it as PNG, and all their figures as JSON.

    Parameters
    ----------
    data : path or Sounds
        A folder with a folder for each genre, or an index.csv with the columns path and genre; see `load_sounds`.
    out : path
        A folder, made where it is not there; pictures of the same names in it are replaced.
    classes : int
        Genres that are drawn, those with most recordings; all are counted.
    jobs : int
        Recordings read at once.
    progress : callable, optional
        Called with the number of recordings heard, and of all.

    Returns
    -------
    Exploration

    Raises
    ------
    FugatoError
        ``bad-data`` where there is nothing to be heard, ``bad-option``, ``bad-output``.
    """
    if classes < 1:
        raise FugatoError("bad-option", f"{classes} genres cannot be drawn; there must be at least 1.")
    folder = make_folder(Path(out))
    sounds = data if isinstance(data, Sounds) else load_sounds(data)
    heard = hear(sounds, classes=classes, jobs=jobs, progress=progress)
    figures: dict[str, Any] = {"version": __version__, "collection": sounds.name}
    pictures: list[explore_page.Picture] = []
    left_out: list[str] = []
    for name, draw in _pictures(heard, figures, left_out):
        pictures.append(explore_sound_page.picture(name, draw, figures))
    page = explore_sound_page.page(pictures, figures, left_out)
    return _written(folder, pictures, page, figures, left_out)


def explore_recording(source: str | os.PathLike[str], out: str | os.PathLike[str]) -> Exploration:
    """Draw one recording in five views; parameters, result and errors as in `explore_sound`, and of `fugato.read.read_audio`."""
    folder = make_folder(Path(out))
    recording = read_audio(source)
    facts = sound_facts(recording)
    view = sound_view(recording)
    figures: dict[str, Any] = {"version": __version__, "collection": Path(source).name, "recording": facts.to_dict()}
    made = explore_sound_page.picture("recording", partial(explore_sound_pictures.views, view, ""), figures)
    page = explore_sound_page.page_of_one(made, figures)
    return _written(folder, [made], page, figures, [])


def _written(
    folder: Path, pictures: Sequence[explore_page.Picture], text: str, figures: dict[str, Any], left_out: Sequence[str]
) -> Exploration:
    paths = []
    for made in pictures:
        paths.append(folder / f"{made.name}.png")
        write_whole(paths[-1], made.light)
    page = folder / "explore.html"
    write_whole(page, text.encode("utf-8", "replace"))
    done = Exploration(folder, page, tuple(paths), {p.name: p.sentence for p in pictures}, tuple(left_out), figures)
    write_whole(folder / "explore.json", json_of(done.to_dict()))
    return done


def hear(sounds: Sounds, *, classes: int = GENRES, jobs: int = 2, progress: Progress | None = None) -> Heard:
    """Measure every recording once; parameters and errors as in `explore_sound`."""
    found: list[Found] = []
    with ThreadPoolExecutor(max(jobs, 1)) as pool:  # decoding happens in processes of its own anyway
        for result in pool.map(_measure, sounds.clips):
            found.append(result)
            if progress:
                progress(len(found), len(sounds))
    used = Counter(c.genre for c, f in zip(sounds.clips, found, strict=True) if isinstance(f, SoundFacts))
    if not used:
        kinds = Counter(f.kind for f in found if isinstance(f, FugatoError))
        reasons = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
        raise FugatoError(
            "bad-data", f"None of its {len(found):,} recordings can be heard ({reasons}).", sounds.name or None
        )
    shown = sorted(used, key=lambda genre: (-used[genre], genre))[:classes]
    return Heard(sounds, tuple(found), tuple(shown))


def _measure(clip: Clip) -> Found:
    try:
        return sound_facts(read_audio(clip.path))
    except FugatoError as error:
        return error


# -- figures -----------------------------------------------------------------------------------------------------------


def _pictures(
    heard: Heard, figures: dict[str, Any], left_out: list[str]
) -> Iterator[tuple[str, explore_pictures.Draw]]:
    """Names and drawing functions; the figures of each are put into `figures` first."""
    figures["classes"] = _class_figures(heard)
    figures["unusable"] = [
        {"file": clip.id, "genre": clip.genre, "kind": error.kind, "message": error.message}
        for clip, error in heard.failed()
    ]
    figures["not taken"] = [{"file": name, "reason": reason} for name, reason in heard.sounds.skipped]
    figures["mended"] = [
        {"file": clip.id, "warnings": list(facts.warnings)} for clip, facts in heard.used() if facts.warnings
    ]
    yield "classes", partial(explore_sound_pictures.classes, figures["classes"])

    used = [(clip, facts) for clip, facts in heard.used() if clip.genre in heard.shown]
    label = np.array([heard.shown.index(clip.genre) for clip, _ in used])
    figures["form"] = _form_figures(heard)
    seconds = np.array([facts.seconds for _, facts in used])
    yield "form", partial(explore_sound_pictures.form, seconds, label, heard.shown, figures["form"])

    measured = {
        name: np.array([getattr(facts, name) for _, facts in used], float) for name in explore_sound_pictures.MEASURED
    }
    figures["level"] = _level_figures(measured, label, heard)
    yield "level", partial(explore_sound_pictures.level, measured, label, heard.shown)

    profiles = np.array([facts.profile for _, facts in used])
    figures["spectra"] = _spectrum_figures(profiles, label, heard.shown)
    yield "spectra", partial(explore_sound_pictures.spectra, profiles, label, heard.shown, band_hertz())

    figures["examples"] = []
    for k, genre in enumerate(heard.shown):
        clip, facts = _nearest(used, profiles, label, k)
        try:
            view = sound_view(read_audio(clip.path))
        except FugatoError as error:  # it has gone in the meantime
            left_out.append(f"example of {genre}: {error.message}")
            continue
        figures["examples"].append({"genre": genre, "file": clip.id, **facts.to_dict()})
        yield f"example-{k + 1:02d}", partial(explore_sound_pictures.views, view, f"{genre}: {clip.id}")


def told_apart(values: Floats, label: NDArray[Any]) -> float:
    """Share of the variance that lies between the genres, less what chance gives (epsilon squared; T. L. Kelley, "An unbiased correlation
    ratio measure", 1935), 0..1; nan where there is one genre, no variance, or no genre with two recordings."""
    n, k = len(values), len(np.unique(label))
    if k < 2 or n <= k:
        return float("nan")
    return max(1 - (1 - between_share(values, label)) * (n - 1) / (n - k), 0.0)


def band_hertz() -> Floats:
    """Middle of each mel band, shape=(128,)."""
    return mel_to_hz(np.linspace(0, hz_to_mel(np.array(RATE / 2)), N_MELS + 2))[1:-1]


def _class_figures(heard: Heard) -> list[dict[str, Any]]:
    out = []
    for genre, count in heard.sounds.genres().items():
        used = heard.used(genre)
        reasons = Counter(error.kind for clip, error in heard.failed() if clip.genre == genre)
        out.append(
            {
                "genre": genre,
                "used": len(used),
                "skipped": count - len(used),
                "reasons": dict(reasons.most_common()),
                "seconds": round(sum(facts.seconds for _, facts in used), 1),
                "shown": genre in heard.shown,
            }
        )
    return out


def _form_figures(heard: Heard) -> dict[str, Any]:
    """Lengths, sample rates, channels and formats; and how many genres their mere form gives away."""
    used = heard.used()
    seconds = np.array([facts.seconds for _, facts in used])
    genres = Counter(clip.genre for clip, _ in used)
    by_form: dict[tuple[int, int, str], Counter[str]] = {}
    for clip, facts in used:
        by_form.setdefault((facts.rate, facts.channels, facts.format), Counter())[clip.genre] += 1
    tables: dict[str, Counter[Any]] = {
        "rates": Counter(facts.rate for _, facts in used),
        "channels": Counter(facts.channels for _, facts in used),
        "formats": Counter(facts.format for _, facts in used),
    }
    low, middle, high = (float(v) for v in np.percentile(seconds, (5, 50, 95)))
    return {
        "seconds": {
            "shortest": _round(seconds.min()),
            "5 %": _round(low),
            "median": _round(middle),
            "95 %": _round(high),
            "longest": _round(seconds.max()),
            "total": _round(seconds.sum()),
        },
        **{name: {str(key): n for key, n in table.most_common()} for name, table in tables.items()},
        "by_genre": {
            genre: {name: _shares(heard, genre, name) for name in ("rate", "channels", "format")}
            for genre in heard.shown
        },
        "commonest": _round(max(genres.values()) / len(used)),
        "told_by_form": _round(sum(max(c.values()) for c in by_form.values()) / len(used)),
    }


def _shares(heard: Heard, genre: str, name: str) -> dict[str, int]:
    return {str(k): n for k, n in Counter(getattr(f, name) for _, f in heard.used(genre)).most_common()}


def _level_figures(measured: dict[str, Floats], label: NDArray[Any], heard: Heard) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, values in measured.items():
        share = told_apart(values, label)
        out[name] = {
            "between": _round(share) if np.isfinite(share) else None,
            "median": {genre: _round(np.median(values[label == k])) for k, genre in enumerate(heard.shown)},
            "lowest": _round(values.min()),
            "highest": _round(values.max()),
        }
    used = heard.used()
    out["clipped files"] = [clip.id for clip, facts in used if facts.clipped > 1e-3]
    out["mostly quiet files"] = [clip.id for clip, facts in used if facts.quiet > 0.5]
    return out


def _spectrum_figures(profiles: Floats, label: NDArray[Any], shown: Sequence[str]) -> dict[str, Any]:
    hertz = band_hertz()
    between = [told_apart(column, label) for column in profiles.T]
    known = np.nan_to_num(np.array(between), nan=-1.0)
    best = int(known.argmax())
    mean = {genre: profiles[label == k].mean(axis=0) for k, genre in enumerate(shown)}
    return {
        "hertz": [_round(v) for v in hertz],
        "mean": {genre: [_round(v) for v in values] for genre, values in mean.items()},
        "between": [_round(v) if np.isfinite(v) else None for v in between],
        "best": {
            "hertz": _round(hertz[best]),
            "between": _round(known[best]) if known[best] >= 0 else None,
            "mean": {genre: _round(values[best]) for genre, values in mean.items()},
        },
    }


def _nearest(
    used: Sequence[tuple[Clip, SoundFacts]], profiles: Floats, label: NDArray[Any], k: int
) -> tuple[Clip, SoundFacts]:
    """The recording whose mean spectrum is nearest to the middle of its genre's."""
    ours = np.flatnonzero(label == k)
    apart = np.abs(profiles[ours] - np.median(profiles[ours], axis=0)).mean(axis=1)
    return used[int(ours[apart.argmin()])]


def _round(value: Any) -> float:
    """Four significant digits."""
    return float(f"{float(value):.4g}")
