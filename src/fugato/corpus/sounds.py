"""Labelled recordings: a folder with a folder for each genre, or an index file with the columns ``path`` and ``genre``.

`load_sounds` only lists; nothing is decoded. What is not taken is named with the reason, never passed over in silence.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from fugato.corpus.sources import walked
from fugato.errors import FugatoError
from fugato.read import SUFFIXES as MUSIC
from fugato.read.decode import SUFFIXES

COLLECTIONS: Final = (".csv", ".zip")  # files that hold or name many
MOST: Final = 1_000_000  # rows of an index

WHAT: Final = "a folder with a folder of recordings for each genre, or an index.csv with the columns path and genre"


@dataclass(frozen=True)
class Clip:
    """One recording of a collection.

    Attributes
    ----------
    id : str
        Its path below the collection.
    path : str
    genre : str
        As the collection has it.
    group : str
        What must stay together in a split (an artist), "" where the index does not say.
    split : str
        The source's own, "" where there is none.
    """

    id: str
    path: str
    genre: str
    group: str = ""
    split: str = ""


@dataclass(frozen=True)
class Sounds:
    """Recordings in a fixed order, with what was skipped.

    Attributes
    ----------
    name : str
    clips : tuple of Clip
    skipped : tuple of (path, reason)
    """

    name: str
    clips: tuple[Clip, ...]
    skipped: tuple[tuple[str, str], ...] = field(default=())

    def __len__(self) -> int:
        return len(self.clips)

    def genres(self) -> dict[str, int]:
        """Recordings of each genre, those with most first."""
        return dict(sorted(Counter(c.genre for c in self.clips).items(), key=lambda item: (-item[1], item[0])))


def is_sound(source: str | os.PathLike[str]) -> bool:
    """Whether a source is a recording, or a collection in which recordings are more than scores."""
    path = Path(source)
    if path.is_file() and path.suffix.lower() not in COLLECTIONS:
        return True
    if path.is_dir() and not (path / "index.csv").is_file():
        names = [name.lower() for name in _files(path)]
    elif (index := path / "index.csv" if path.is_dir() else path).is_file() and index.suffix.lower() == ".csv":
        names = [row.get("path", "").lower() for row in _rows(index)]
    else:
        return False
    sounds = sum(name.endswith(SUFFIXES) for name in names)
    return sounds > sum(name.endswith(tuple(MUSIC)) for name in names)


def load_sounds(source: str | os.PathLike[str]) -> Sounds:
    """List a collection of recordings.

    Parameters
    ----------
    source : path
        A folder with a folder for each genre (its first level is the label, whatever lies below belongs to it); an index file (.csv)
        with the columns ``path`` (relative to it) and ``genre``, and perhaps ``group`` and ``split``; or a folder that holds an
        ``index.csv``.

    Raises
    ------
    FugatoError
        ``bad-data``: nothing there, no recordings, no labels, missing columns.
    """
    path = Path(source)
    index = path / "index.csv" if path.is_dir() else path
    if index.is_file() and index.suffix.lower() == ".csv":
        found, skipped = _from_index(index)
    elif path.is_dir():
        found, skipped = _from_folder(path)
    else:
        raise FugatoError("bad-data", f"There are no recordings of that name; give {WHAT}.", os.fspath(source))
    if not found:
        loose = sum(reason.startswith("no label") for _, reason in skipped)
        reason = f"{loose} recordings lie in it, but without a label" if loose else "There are no recordings in it"
        raise FugatoError("bad-data", f"{reason}; give {WHAT}.", os.fspath(source))
    return Sounds(path.stem, tuple(found), tuple(skipped))


def _from_folder(root: Path) -> tuple[list[Clip], list[tuple[str, str]]]:
    found, skipped = [], []
    for name in _files(root):
        file = PurePosixPath(name)
        if file.suffix.lower() not in SUFFIXES:
            skipped.append((name, f"no sound: {file.suffix or 'no suffix'}"))
        elif len(file.parts) < 2:
            skipped.append((name, "no label: it lies beside the genres' folders, not in one"))
        else:
            found.append(Clip(name, str(root / name), file.parts[0]))
    return found, skipped


def _files(root: Path) -> list[str]:
    """Paths of all files below but hidden ones, sorted."""
    every = (name for _, _, files in walked(root) for name in files)
    return sorted(name for name in every if not PurePosixPath(name).name.startswith("."))


def _from_index(index: Path) -> tuple[list[Clip], list[tuple[str, str]]]:
    found: list[Clip] = []
    skipped: list[tuple[str, str]] = []
    rows = list(_rows(index))
    if rows and not {"path", "genre"} <= rows[0].keys():
        has = ", ".join(rows[0])
        raise FugatoError("bad-data", f"The index needs the columns path and genre; it has {has}.", str(index))
    for row in rows:
        name, genre = row["path"], row["genre"].strip()
        if not name.lower().endswith(SUFFIXES):
            skipped.append((name, f"no sound: {PurePosixPath(name).suffix or 'no suffix'}"))
        elif not genre:
            skipped.append((name, "no label: its genre is empty"))
        else:
            where = str(index.parent / name)
            found.append(Clip(name, where, genre, row.get("group", ""), row.get("split", "")))
    return found, skipped


def _rows(index: Path) -> Iterator[dict[str, str]]:
    """Rows of an index, with empty texts where a line is short."""
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file)):
                if number >= MOST:
                    raise FugatoError("too-large", f"The index has more than {MOST:,} rows.", str(index))
                yield {str(key): _text(value) for key, value in row.items() if key is not None}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FugatoError("bad-data", f"The index cannot be read ({error}).", str(index)) from error


def _text(value: str | Sequence[str] | None) -> str:
    return value if isinstance(value, str) else ""
