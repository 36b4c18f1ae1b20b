"""Explore: pictures of a collection before a model learns it, each with what can be read from it.

How many files and chunks each composer has; how every feature of `fugato.represent.chunks` is distributed, composer by composer; which
features say the same; the two directions in which the chunks differ most; what augmentation does to them; and for each composer the
chunk nearest to the middle of its own, as the networks see it. All sentences are made from the figures in ``explore.json``.

Statistics of chunks are over all of them. Those of single notes, and the augmentation, are over a seeded sample of each composer's
chunks, so that memory hardly grows with the collection. Composers beyond the `classes` with most files are counted, and not drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato import __version__
from fugato.corpus import Corpus, Piece, load_corpus
from fugato.errors import FugatoError
from fugato.read import read_all
from fugato.represent.augment import augment
from fugato.represent.chunks import CHUNK_FEATURES, FEATURES, NOTE_FEATURES, SIZE, Chunks, rows
from fugato.represent.pianoroll import RATE, pianoroll
from fugato.represent.spectrogram import SECONDS
from fugato.represent.spectrogram import excerpt as spectrogram_of
from fugato.score import Score
from fugato.study import explore_page, explore_pictures
from fugato.study.featurise import (
    CHUNK_COLUMNS,
    PIECE_COLUMNS,
    Counts,
    chunk_statistics,
    json_of,
    no_chunks,
    read_chunks,
    write_whole,
    writing,
)

CLASSES: Final = 10  # composers that are drawn
SAMPLE: Final = 400  # chunks of each of them that are kept whole
EXAMPLE_SECONDS: Final = SECONDS  # what one spectrogram shows
SAME: Final = 0.95  # correlation above which the published study dropped the later feature
DRAWN: Final = ("pitch", "duration", "velocity", "delta_time", "interval", *CHUNK_FEATURES)  # density of each
CHANGED: Final = ("pitch", "duration", "start", "note_density", "rhythmic_variety", "chord_density")  # by augmentation
AXES: Final = tuple(c for c in PIECE_COLUMNS if c != "program")  # numbers; a program is a name

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Gathered:
    """What is kept of a collection.

    Attributes
    ----------
    corpus : Corpus
    composers : dict of Counts
        All of them, those with most files first.
    shown : tuple of str
        Composers that are drawn, in the same order.
    table : ndarray of float32, shape=(n_chunks, 19)
        `CHUNK_COLUMNS` of every chunk of the shown.
    label : ndarray of int64, shape=(n_chunks,)
        Index into `shown`.
    source : list of (Piece, tune) of length n_chunks
        Where each chunk is from.
    notes, summary : float32, shape=(n_sample, size, 9), (n_sample, 7)
        The sample, composer by composer.
    sample_label : ndarray of int64, shape=(n_sample,)
    """

    corpus: Corpus
    composers: dict[str, Counts]
    shown: tuple[str, ...]
    table: Floats
    label: NDArray[np.int64]
    source: list[tuple[Piece, int]]
    notes: Floats
    summary: Floats
    sample_label: NDArray[np.int64]


@dataclass(frozen=True)
class Exploration:
    """What has been written.

    Attributes
    ----------
    folder, page : Path
    pictures : tuple of Path
    sentences : dict
        What can be read from each picture, by its name.
    left_out : tuple of str
        Pictures that could not be made, and why.
    figures : dict
        All numbers, as in ``explore.json``.
    """

    folder: Path
    page: Path
    pictures: tuple[Path, ...]
    sentences: dict[str, str]
    left_out: tuple[str, ...]
    figures: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "page": str(self.page),
            "pictures": [p.name for p in self.pictures],
            "sentences": self.sentences,
            "left_out": list(self.left_out),
            "figures": self.figures,
        }


def explore(
    data: str | os.PathLike[str] | Corpus,
    out: str | os.PathLike[str],
    *,
    classes: int = CLASSES,
    sample: int = SAMPLE,
    size: int = SIZE,
    random_seed: int = 0,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Exploration:
    """Draw a collection.

    Parameters
    ----------
    data : path, "music21" or Corpus
        As for `fugato.corpus.load_corpus`.
    out : path
        A folder; made where it is not there. Gets the pictures (PNG), ``explore.html`` with all of them in it, and
        ``explore.json`` with the figures.
    classes : int
        Composers that are drawn: those with most files.
    sample : int
        Chunks of each whose notes are kept.
    size : int
        Notes of a chunk, at least 2.
    random_seed : int
        Of sample and augmentation.
    jobs : int
        Reading processes.
    progress : callable, optional
        Told (files done, files in all) after each.

    Raises
    ------
    FugatoError
        ``bad-option``, ``bad-output``, or ``bad-data`` where no file gives a chunk.
    """
    if classes < 1 or sample < 1:
        raise FugatoError("bad-option", f"{classes} composers and {sample} chunks of each; there must be at least 1.")
    folder = make_folder(Path(out))
    gathered = gather(
        load_corpus(data),
        classes=classes,
        sample=sample,
        size=size,
        random_seed=random_seed,
        jobs=jobs,
        progress=progress,
    )
    figures: dict[str, Any] = {
        "version": __version__,
        "collection": gathered.corpus.name,
        "size": size,
        "random_seed": random_seed,
        "sample": {"chunks": len(gathered.notes), "most_per_composer": sample},
    }
    pictures: list[explore_page.Picture] = []
    left_out: list[str] = []
    for name, draw in _pictures(gathered, figures, random_seed, left_out):
        pictures.append(explore_page.picture(name, draw, figures))
    paths = []
    for made in pictures:
        paths.append(folder / f"{made.name}.png")
        write_whole(paths[-1], made.light)
    page = folder / "explore.html"
    write_whole(page, explore_page.page(pictures, figures, left_out).encode("utf-8", "replace"))
    sentences = {p.name: p.sentence for p in pictures}
    done = Exploration(folder, page, tuple(paths), sentences, tuple(left_out), figures)
    write_whole(folder / "explore.json", json_of(done.to_dict()))
    return done


def make_folder(path: Path) -> Path:
    """The folder, made where it is not there; its own parent must be."""
    if path.exists() and not path.is_dir():
        raise FugatoError("bad-output", "That is a file; the pictures need a folder.", str(path))
    if not path.absolute().parent.is_dir():
        raise FugatoError("bad-output", "There is no such folder to make it in.", str(path))
    with writing(path):
        path.mkdir(exist_ok=True)
    if not os.access(path, os.W_OK):
        raise FugatoError("bad-output", "Nothing can be written to that folder.", str(path))
    return path


def gather(
    corpus: Corpus,
    *,
    classes: int = CLASSES,
    sample: int = SAMPLE,
    size: int = SIZE,
    random_seed: int = 0,
    jobs: int = 2,
    progress: Progress | None = None,
) -> Gathered:
    """Read a collection once; parameters and errors as in `explore`."""
    wanted = list(corpus.composers())[:classes]
    rng = np.random.default_rng(random_seed)
    kept = {name: _Sample(sample, size, rng) for name in wanted}
    composers: dict[str, Counts] = {name: Counts() for name in corpus.composers()}
    tables: dict[str, list[Floats]] = {name: [] for name in wanted}
    sources: dict[str, list[tuple[Piece, int]]] = {name: [] for name in wanted}
    skipped: list[tuple[str, str, str, str]] = []
    for piece, result in read_chunks(corpus, size=size, jobs=jobs, progress=progress):
        composers[piece.composer].add(result)
        if isinstance(result, FugatoError):
            skipped.append((piece.id, piece.composer, result.kind, result.message))
        elif piece.composer in kept:
            for tune, made in enumerate(result):
                kept[piece.composer].add(made)
                tables[piece.composer].append(chunk_statistics(made))
                sources[piece.composer] += [(piece, tune)] * len(made)
    shown = tuple(name for name in wanted if tables[name])
    if not shown:
        raise no_chunks(corpus, skipped, size)
    samples = [kept[name].chunks() for name in shown]
    counts = [sum(map(len, tables[name])) for name in shown]
    return Gathered(
        corpus=corpus,
        composers=composers,
        shown=shown,
        table=np.concatenate([t for name in shown for t in tables[name]]),
        label=np.repeat(np.arange(len(shown)), counts),
        source=[s for name in shown for s in sources[name]],
        notes=np.concatenate([s[0] for s in samples]),
        summary=np.concatenate([s[1] for s in samples]),
        sample_label=np.repeat(np.arange(len(shown)), [len(s[0]) for s in samples]),
    )


class _Sample:
    """At most `most` chunks, any as likely as any other, in order of a random key."""

    def __init__(self, most: int, size: int, rng: np.random.Generator) -> None:
        self._most, self._rng = most, rng
        self._keys = np.zeros(0)
        self._notes = np.zeros((0, size, len(NOTE_FEATURES)), np.float32)
        self._summary = np.zeros((0, len(CHUNK_FEATURES)), np.float32)

    def add(self, made: Chunks) -> None:
        keys = self._rng.random(len(made))
        if len(self._keys) >= self._most:  # most chunks of a big collection are not looked at again
            better = keys < self._keys[-1]
        else:
            better = np.ones(len(keys), bool)
        if not better.any():
            return
        keys = np.concatenate((self._keys, keys[better]))
        order = np.argsort(keys)[: self._most]
        self._keys = keys[order]
        self._notes = np.concatenate((self._notes, made.notes[better]))[order]
        self._summary = np.concatenate((self._summary, made.summary[better]))[order]

    def chunks(self) -> tuple[Floats, Floats]:
        return self._notes, self._summary


# -- figures -----------------------------------------------------------------------------------------------------------


def between_share(values: NDArray[Any], label: NDArray[np.int64]) -> float:
    """Share of the variance of `values` that lies between the classes (eta squared), 0..1; nan where they do not vary."""
    values = np.asarray(values, np.float64)
    total = float(((values - values.mean()) ** 2).sum())
    if total <= 1e-12 * max(1.0, float((values**2).sum())):
        return float("nan")
    count = np.bincount(label)
    present = count > 0
    mean = np.bincount(label, values)[present] / count[present]
    return float((count[present] * (mean - values.mean()) ** 2).sum() / total)


def distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Largest gap between two distribution functions (Kolmogorov and Smirnov's), 0..1."""
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate((a, b))
    gap = np.searchsorted(a, both, "right") / len(a) - np.searchsorted(b, both, "right") / len(b)
    return float(np.abs(gap).max())


def correlations(table: NDArray[Any]) -> NDArray[np.float64]:
    """Pearson's coefficients of the columns, shape=(k, k); nan for a column that does not vary."""
    values = np.array(table, np.float64)
    size = np.einsum("ij,ij->j", values, values)
    values -= values.mean(axis=0)  # in place: it is the largest table here
    norm = np.sqrt(np.einsum("ij,ij->j", values, values))
    flat = norm <= 1e-6 * np.sqrt(size + 1e-12)
    norm[flat] = np.nan
    found: NDArray[np.float64] = np.clip((values.T @ values) / np.outer(norm, norm), -1, 1)
    return found


def principal(table: NDArray[Any]) -> tuple[NDArray[np.float64], ...]:
    """Principal components of standardised columns.

    Returns
    -------
    mean, scale : float64, shape=(k,)
        A column that does not vary has scale 1, and no part in the components.
    components : float64, shape=(2, k)
        The largest weight of each is positive.
    explained : float64, shape=(2,)
        Share of the variance.
    """
    values = np.asarray(table, np.float64)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = np.where(scale > 1e-9 * np.maximum(1, np.abs(mean)), scale, 1.0)
    _, strength, directions = np.linalg.svd((values - mean) / scale, full_matrices=False)
    components = directions[:2]
    sign = np.sign(components[np.arange(2), np.abs(components).argmax(axis=1)])
    power = strength**2
    return mean, scale, components * sign[:, None], power[:2] / max(float(power.sum()), 1e-300)


# -- pictures ----------------------------------------------------------------------------------------------------------


def _pictures(
    g: Gathered, figures: dict[str, Any], random_seed: int, left_out: list[str]
) -> Iterator[tuple[str, explore_pictures.Draw]]:
    """Names and drawing functions; the figures of each are put into `figures` first."""
    figures["classes"] = _class_figures(g)
    yield "classes", lambda theme: explore_pictures.classes(figures["classes"], theme)

    values = {name: _values(g.notes, g.summary, g.table, name) for name in DRAWN}
    labels = {
        name: g.label if name in CHUNK_FEATURES else np.repeat(g.sample_label, g.notes.shape[1]) for name in DRAWN
    }
    figures["densities"] = [
        {
            "feature": name,
            "between": _number(between_share(values[name], labels[name])) if len(g.shown) > 1 else None,
            "median": {c: _number(np.median(values[name][labels[name] == k])) for k, c in enumerate(g.shown)},
        }
        for name in DRAWN
    ]
    yield "densities", lambda theme: explore_pictures.densities(values, labels, g.shown, theme)

    found = correlations(rows(g.notes, g.summary))
    figures["correlation"] = _pair_figures(found, FEATURES)
    yield "correlation", lambda theme: explore_pictures.correlation(found, FEATURES, theme)

    changed = augment(g.notes, g.summary, random_seed=random_seed)
    if len(g.notes) >= 3:
        points, more, shares = _pca(g, changed, figures)
        yield "pca", lambda theme: explore_pictures.pca(points, more, g.sample_label, g.shown, shares, theme)
    else:
        left_out.append(f"pca: {len(g.notes)} chunks are too few for two directions")

    before = {name: _values(g.notes, g.summary, None, name) for name in CHANGED}
    after = {name: _values(*changed, None, name) for name in CHANGED}
    figures["augmentation"] = _augmentation_figures(g, before, after)
    yield "augmentation", lambda theme: explore_pictures.augmentation(before, after, theme)

    figures["examples"] = []
    for k, composer in enumerate(g.shown):
        try:
            example, excerpt = _example(g, k)
            roll, spectrum = pianoroll(excerpt)[: int(EXAMPLE_SECONDS * RATE)], spectrogram_of(excerpt)
        except FugatoError as error:
            left_out.append(f"example of {composer}: {error.message}")
            continue
        figures["examples"].append(example)
        yield f"example-{k + 1:02d}", partial(explore_pictures.example, example, roll, spectrum)


def _values(notes: Floats, summary: Floats, table: Floats | None, name: str) -> NDArray[np.float64]:
    """All values of a feature: of the sample's notes, or of the chunks (all of them where there is a table)."""
    if name in NOTE_FEATURES:
        return notes[:, :, NOTE_FEATURES.index(name)].ravel().astype(np.float64)
    if table is not None:
        return table[:, CHUNK_COLUMNS.index(name)].astype(np.float64)
    return summary[:, CHUNK_FEATURES.index(name)].astype(np.float64)


def _class_figures(g: Gathered) -> list[dict[str, Any]]:
    return [
        {
            "composer": name,
            "used": c.used,
            "skipped": sum(c.skipped.values()),
            "reasons": c.skipped,
            "chunks": c.chunks,
            "shown": name in g.shown,
        }
        for name, c in g.composers.items()
    ]


def _pair_figures(found: NDArray[np.float64], names: Sequence[str]) -> dict[str, Any]:
    """The strongest pair, those that say the same, and the features that do not vary."""
    flat = np.isnan(np.diag(found))
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names)) if not flat[i] and not flat[j]]
    pairs.sort(key=lambda p: -abs(found[p]))
    listed = [{"features": [names[i], names[j]], "r": _number(found[i, j])} for i, j in pairs]
    return {
        "strongest": listed[:5],
        "dropped": sorted({names[j] for i, j in pairs if abs(found[i, j]) > SAME}, key=list(names).index),
        "constant": [name for name, is_flat in zip(names, flat.tolist(), strict=True) if is_flat],
        "matrix": [[_number(v) for v in row] for row in found.tolist()],
        "features": list(names),
    }


def _pca(
    g: Gathered, changed: tuple[Floats, Floats], figures: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[float]]:
    """Sampled chunks and their changed copies in the plane of the first two components of the former."""
    places = [CHUNK_COLUMNS.index(name) for name in AXES]
    part = np.zeros(len(g.notes), np.int64)
    table, more = (
        chunk_statistics(Chunks(n, s, part))[:, places] for n, s in ((g.notes, g.summary), (changed[0], changed[1]))
    )
    mean, scale, components, explained = principal(table)
    points, moved = ((t - mean) / scale @ components.T for t in (table, more))
    figures["pca"] = {
        "explained": [_number(v) for v in explained],
        "axes": [
            [{"feature": AXES[i], "weight": _number(row[i])} for i in np.argsort(-np.abs(row))[:3]]
            for row in components
        ],
        "between": [_number(between_share(points[:, a], g.sample_label)) for a in range(2)]
        if len(g.shown) > 1
        else None,
        "moved": _number(np.sqrt(((moved - points) ** 2).sum(axis=1)).mean()),
        "spread": _number(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1)).mean()),
    }
    return points, moved, explained.tolist()


def _augmentation_figures(g: Gathered, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    chunks = {name: g.composers[name].chunks for name in g.shown}
    most = max(chunks.values())
    return {
        "distance": {name: _number(distance(before[name], after[name])) for name in CHANGED},
        "needed": {name: most - n for name, n in chunks.items()},
        "largest": max(chunks, key=lambda name: chunks[name]),
        "total": sum(chunks.values()),
    }


def _example(g: Gathered, k: int) -> tuple[dict[str, Any], Score]:
    """The chunk nearest to the middle of its composer's, and the ten seconds of its piece from there on."""
    places = [CHUNK_COLUMNS.index(name) for name in AXES]
    table = g.table[:, places].astype(np.float64)
    scale = table.std(axis=0)
    ours = np.flatnonzero(g.label == k)
    middle = np.median(table[ours], axis=0)
    apart = (((table[ours] - middle) / np.where(scale > 1e-9, scale, 1.0)) ** 2).sum(axis=1)
    chosen = int(ours[apart.argmin()])
    piece, tune = g.source[chosen]
    row = dict(zip(CHUNK_COLUMNS, g.table[chosen].tolist(), strict=True))
    facts = {name: _number(row[name]) for name in ("note_density", "pitch_range", "tempo", "start")}
    score = read_all(g.corpus.open(piece), name=piece.path)[tune]
    return {"composer": g.shown[k], "piece": piece.id, "title": piece.title, **facts}, _from(score, row["start"])


def _from(score: Score, start: float) -> Score:
    """The pitched notes that start within `EXAMPLE_SECONDS` from `start` (seconds), moved to 0."""
    notes = score.pitched
    inside = (notes["onset_seconds"] >= start - 1e-3) & (notes["onset_seconds"] < start + EXAMPLE_SECONDS)
    notes = notes[inside].copy()
    notes["onset_seconds"] = np.maximum(notes["onset_seconds"] - start, 0)
    return replace(score, notes=notes)


def _number(value: Any) -> float | None:
    """Four significant digits; None for what is not defined."""
    return None if not np.isfinite(value) else float(f"{float(value):.4g}")
