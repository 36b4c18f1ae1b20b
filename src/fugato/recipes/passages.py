"""Passages of labelled recordings as log-mel spectrograms: decoded once, kept on disk, then shared by every fold and every try.

Frames are sampled, one in 3.34 (`fugato.represent.sampled_mel`), unless every frame is asked for. An archive of sampled spectrograms has no
others: its frames are then repeated, which is its nearest form.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.mel_archive import is_mel_archive, load_mel_archive
from fugato.corpus.sounds import Clip, load_sounds
from fugato.errors import FugatoError
from fugato.read import read_audio
from fugato.represent.logmel import N_MELS, log_mel, pieces
from fugato.represent.sampled_mel import CLIP_OF, from_levels, sampled, to_levels
from fugato.write.place import replaced_folder

VERSION: Final = 1  # of the folder
MOST_PASSAGES: Final = 20  # of a recording, from its start: ten minutes; an album in one file would outweigh all others

Progress = Callable[[int, int], None]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Passages:
    """Half minutes of recordings.

    Attributes
    ----------
    name : str
    clips : tuple of Clip
        For each passage the recording that it is of.
    levels : ndarray of uint8, shape=(n_frames, 128)
        Of all passages one after another; memory-mapped where it comes from audio.
    starts, stops : ndarrays of int64, shape=(n,)
        Frames of each.
    failed : tuple of FugatoError
        Of the recordings that could not be used.
    split : dict of str to ndarray of int64
        The collection's own sides, as places in `clips`.
    folds : ndarray of int64, shape=(n,), or None
        The collection's own folds, in which no artist stands in two.
    features : ndarray of float64, shape=(n, n_features), or None
        A table that came with the collection.
    """

    name: str
    clips: tuple[Clip, ...]
    levels: NDArray[np.uint8]
    starts: Ints
    stops: Ints
    failed: tuple[FugatoError, ...] = ()
    split: dict[str, Ints] | None = None
    folds: Ints | None = None
    features: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.clips)

    def decibels(self, number: int) -> NDArray[np.float32]:
        """The spectrogram of a passage, shape=(128, n_frames), -80 to 0."""
        return from_levels(self.levels[self.starts[number] : self.stops[number]]).T

    @property
    def genres(self) -> tuple[str, ...]:
        """Of each passage."""
        return tuple(clip.genre for clip in self.clips)

    @property
    def groups(self) -> tuple[str, ...]:
        """What must stay together: the artist where it is known, else the recording."""
        return tuple(clip.group or clip.id for clip in self.clips)

    def select(self, which: Ints) -> Passages:
        """Some passages, over the same frames, with what is left of the collection's sides and folds."""
        place = np.full(len(self), -1)
        place[which] = np.arange(len(which))
        split = self.split and {side: place[part][place[part] >= 0] for side, part in self.split.items()}
        return Passages(
            self.name,
            tuple(self.clips[i] for i in which),
            self.levels,
            self.starts[which],
            self.stops[which],
            self.failed,
            split,
            None if self.folds is None else self.folds[which],
            None if self.features is None else self.features[which],
        )


def load_passages(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    every_frame: bool = False,
    progress: Progress | None = None,
) -> Passages:
    """The passages of a collection.

    Parameters
    ----------
    source : path
        A folder with a folder of recordings for each genre, an index of recordings (`fugato.corpus.sounds`), or an archive of
        spectrograms (`fugato.corpus.mel_archive`).
    folder : path
        Where the spectrograms of recordings are kept; a folder that holds those of the same files is used as it is.
    every_frame : bool
        Keep all frames, 23 ms apart, instead of samples.
    progress : callable, optional
        Told (recordings done, recordings in all).

    Raises
    ------
    FugatoError
        ``bad-data`` where nothing could be used, ``bad-output`` where the folder cannot be written.
    """
    if is_mel_archive(source):
        archive = load_mel_archive(source)
        n, _, frames = archive.decibels.shape
        found = to_levels(archive.decibels).transpose(0, 2, 1)
        if every_frame:
            found = found[:, np.arange(CLIP_OF) * frames // CLIP_OF]
            frames = CLIP_OF
        levels = found.reshape(n * frames, N_MELS)
        starts = np.arange(n, dtype=np.int64) * frames
        return Passages(
            archive.name,
            archive.clips,
            levels,
            starts,
            starts + frames,
            split=archive.split or None,
            folds=archive.folds,
            features=archive.features,
        )
    sounds = load_sounds(source)
    skipped = tuple(FugatoError("unsupported", reason, path) for path, reason in sounds.skipped)
    target = Path(folder)
    key = _key(sounds.clips, every_frame)
    if (kept := _load(target, key, sounds.name, sounds.clips, skipped)) is not None:
        return kept
    with replaced_folder(target, "the spectrograms") as building:
        _fill(building, key, sounds.clips, every_frame, progress)
    made = _load(target, key, sounds.name, sounds.clips, skipped)
    assert made is not None  # just written
    if not len(made):
        first = f" The first: {made.failed[0]}" if made.failed else ""
        raise FugatoError("bad-data", f"None of its {len(sounds)} recordings could be used.{first}", os.fspath(source))
    return made


def _key(clips: tuple[Clip, ...], every_frame: bool) -> str:
    """Changes whenever the spectrograms would."""
    digest = hashlib.sha256(f"{VERSION} {every_frame}\n".encode())
    for clip in clips:
        try:
            about = os.stat(clip.path)
            state = f"{about.st_size} {about.st_mtime_ns}"
        except OSError:
            state = ""
        digest.update(f"{clip.id}\t{clip.path}\t{state}\n".encode())
    return digest.hexdigest()


def _fill(folder: Path, key: str, clips: tuple[Clip, ...], every_frame: bool, progress: Progress | None) -> None:
    """Write the frames as they come, so that memory stays flat."""
    owner: list[int] = []
    ends = [0]
    failed: list[list[Any]] = []
    with (folder / "levels.bin").open("wb") as file:
        for number, clip in enumerate(clips):
            made: list[NDArray[np.uint8]] = []
            try:
                for passage in pieces(read_audio(clip.path)):
                    if len(made) == MOST_PASSAGES:
                        break
                    if not passage.silent:
                        heard = log_mel(passage.samples)
                        made.append(to_levels(heard if every_frame else sampled(heard)).T)
            except FugatoError as error:
                failed.append([number, error.kind, error.message])
                made = []
            for levels in made:
                file.write(np.ascontiguousarray(levels).data)
                owner.append(number)
                ends.append(ends[-1] + len(levels))
            if progress is not None:
                progress(number + 1, len(clips))
    note = {"key": key, "owner": owner, "ends": ends, "failed": failed}
    (folder / "passages.json").write_text(json.dumps(note), encoding="utf-8")


def _load(
    folder: Path, key: str, name: str, clips: tuple[Clip, ...], skipped: tuple[FugatoError, ...]
) -> Passages | None:
    try:
        note = json.loads((folder / "passages.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if note.get("key") != key:
        return None
    ends = np.array(note["ends"], np.int64)
    shape = (int(ends[-1]), N_MELS)
    levels: NDArray[np.uint8] = (
        np.memmap(folder / "levels.bin", np.uint8, "r", shape=shape) if shape[0] else np.zeros(shape, np.uint8)
    )
    failed = tuple(FugatoError(kind, message, clips[i].path) for i, kind, message in note["failed"])
    return Passages(name, tuple(clips[i] for i in note["owner"]), levels, ends[:-1], ends[1:], (*skipped, *failed))
