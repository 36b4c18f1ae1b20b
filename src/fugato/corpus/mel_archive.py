"""GTZAN without its audio: the spectrograms of its clips in one file, with artists and the splits that others have used.

A folder with ``logmel7.npz`` (the arrays ``logmel7_dband``, ``db_floor``, ``clip``, ``genre``, ``genres``), and beside it, as far as they
are there, ``splits/*.txt``, ``splits/artist_folds3.csv``, ``artists.csv`` and ``features_30_sec.csv``.

The collection has faults (repeated clips, one artist on both sides of a split, wrong labels); see B. L. Sturm, "An analysis of the GTZAN
music genre dataset" (MIRUM 2012) for them, and C. Kereliuk, B. L. Sturm and J. Larsen, "Deep learning and music adversaries" (IEEE
Transactions on Multimedia 17, 2015) for the filtered split.
"""

from __future__ import annotations

import csv
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.sounds import Clip
from fugato.errors import FugatoError

ARCHIVE: Final = "logmel7.npz"
SIDES: Final = ("train", "valid", "test")
FEATURES: Final = "features_30_sec.csv"
NO_FEATURE: Final = frozenset({"filename", "length", "label"})  # columns of the table that are none


@dataclass(frozen=True, eq=False)
class MelArchive:
    """Clips as spectrograms.

    Attributes
    ----------
    name : str
    clips : tuple of Clip
        Their group is the artist, or the genre's unknown artists together.
    decibels : ndarray of float32, shape=(n_clips, 128, n_frames)
        -80 to 0, one frame in 3.34 (`fugato.represent.sampled_mel`).
    split : dict of str to ndarray of int64
        Places in `clips` for "train", "valid" and "test" of the filtered split; empty where there is none.
    folds : ndarray of int64, shape=(n_clips,), or None
        Artist-clean folds from 1.
    features : ndarray of float64, shape=(n_clips, n_features), or None
        The table of features that came with it.
    feature_names : tuple of str
    """

    name: str
    clips: tuple[Clip, ...]
    decibels: NDArray[np.float32]
    split: dict[str, NDArray[np.int64]]
    folds: NDArray[np.int64] | None
    features: NDArray[np.float64] | None
    feature_names: tuple[str, ...] = ()


def is_mel_archive(source: str | os.PathLike[str]) -> bool:
    """Whether a folder holds such an archive."""
    return (Path(source) / ARCHIVE).is_file()


def load_mel_archive(source: str | os.PathLike[str]) -> MelArchive:
    """Read an archive.

    Raises
    ------
    FugatoError
        ``bad-data`` where it is damaged or lacks an array.
    """
    folder = Path(source)
    try:
        with np.load(folder / ARCHIVE, allow_pickle=False) as found:
            levels = np.cumsum(found["logmel7_dband"], axis=1, dtype=np.uint8)
            floor = found["db_floor"].astype(np.float32)
            ids = [str(name) for name in found["clip"]]
            genres = [str(found["genres"][number]) for number in found["genre"]]
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise FugatoError("bad-data", f"{ARCHIVE} cannot be read ({error}).", str(folder)) from error
    decibels = floor[:, None, None] * (1 - (levels.astype(np.float32) + np.float32(0.5)) / 128)
    place = {name: i for i, name in enumerate(ids)}
    artists = {row["clip"]: row.get("artist_group", "") for row in _table(folder / "splits" / "artist_folds3.csv")}
    clips = tuple(
        Clip(name, str(folder / ARCHIVE), genre, f"{genre}: {artists.get(name, '') or name}")
        for name, genre in zip(ids, genres, strict=True)
    )
    split = {side: _listed(folder / "splits" / f"{side}_filtered.txt", place) for side in SIDES}
    folds = np.zeros(len(ids), np.int64)
    for row in _table(folder / "splits" / "artist_folds3.csv"):
        if row["clip"] in place:
            folds[place[row["clip"]]] = int(row["fold"])
    names, features = _features(folder / FEATURES, place)
    return MelArchive(
        folder.name,
        clips,
        decibels,
        split if all(len(part) for part in split.values()) else {},
        folds if folds.any() else None,
        features,
        names,
    )


def _listed(path: Path, place: dict[str, int]) -> NDArray[np.int64]:
    """Places of the clips that a text file names, one a line as genre/clip.wav."""
    if not path.is_file():
        return np.zeros(0, np.int64)
    names = [Path(line.strip()).stem for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return np.array([place[name] for name in names if name in place], np.int64)


def _table(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _features(path: Path, place: dict[str, int]) -> tuple[tuple[str, ...], NDArray[np.float64] | None]:
    """Names and values of the table of features, NaN for clips that it lacks."""
    rows = _table(path)
    if not rows:
        return (), None
    names = tuple(name for name in rows[0] if name not in NO_FEATURE)
    values: NDArray[Any] = np.full((len(place), len(names)), np.nan)
    for row in rows:
        name = Path(row["filename"]).stem
        if name in place:
            values[place[name]] = [float(row[column]) for column in names]
    return names, values
