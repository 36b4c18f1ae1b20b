"""Model folders: written all at once, checked when they are loaded, and never a place for code.

A folder holds ``card.json`` and the files that the card lists: ``*.safetensors`` (arrays), ``*.onnx`` (networks) and ``*.json``
(vocabularies, trees). Nothing else is opened, and a file that could hold code (a pickle, a checkpoint, a script) is refused by its
presence, so that a folder from a stranger is data and no more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import FugatoError
from .card import CARD_NAME, Card, CardFile, check_file_name, read_card
from .names import find_model

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Model:
    """A model folder that agrees with its card.

    Attributes
    ----------
    card : Card
    folder : Path
    """

    card: Card
    folder: Path

    @property
    def labels(self) -> tuple[str, ...]:
        """The names it can answer with, in the order of its outputs."""
        return tuple(self.card.labels)

    def has(self, part: str) -> bool:
        """Whether the model has a part of that name."""
        return part in self.card.files

    def path(self, part: str) -> Path:
        """The file that holds `part`."""
        if part not in self.card.files:
            raise FugatoError(
                "bad-model",
                f"The model {self.card.name} has no part {part!r}, only {', '.join(self.card.files) or 'its card'}. "
                "It was made for another use or by another version of Fugato.",
                str(self.folder),
            )
        return self.folder / self.card.files[part].file

    def arrays(self, part: str) -> dict[str, NDArray[Any]]:
        """The arrays of a ``.safetensors`` part, by name."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self.path(part)
        try:
            found = load(path.read_bytes())
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise FugatoError(
                "bad-model", f"{path.name} cannot be read as safetensors ({error}).", str(self.folder)
            ) from error
        return _Arrays(found, path)

    def json(self, part: str) -> Any:
        """The value of a ``.json`` part."""
        path = self.path(part)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FugatoError(
                "bad-model", f"{path.name} cannot be read as JSON ({error}).", str(self.folder)
            ) from error


class _Arrays(dict[str, NDArray[Any]]):
    """The arrays of a part; one that is asked for and is not there makes the model a damaged one."""

    def __init__(self, found: Arrays, path: Path) -> None:
        super().__init__(found)
        self._path = path

    def __missing__(self, name: str) -> NoReturn:
        raise FugatoError(
            "bad-model",
            f"{self._path.name} holds no array {name!r}: it was damaged, or made for another version of Fugato.",
            str(self._path.parent),
        )


@contextmanager
def taken_up(model: Model) -> Iterator[None]:
    """What a recipe stumbles over while it takes up the parts of a model becomes ``bad-model``."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FugatoError(
            "bad-model",
            f"Its parts are not those of its recipe {model.card.recipe!r} ({type(error).__name__}: {error}); it was damaged, or made for "
            "another version of Fugato.",
            str(model.folder),
        ) from error


def load_model(model: str | os.PathLike[str]) -> Model:
    """Find a model by name or folder and check it against its card.

    Parameters
    ----------
    model : str or path
        A shipped name ("composer"), the name of a local model made with ``fugato train --name``, or a model folder.

    Returns
    -------
    Model

    Raises
    ------
    FugatoError
        ``no-model`` where there is none, ``bad-model`` where a file is missing, changed or foreign.

    Examples
    --------
    >>> import fugato
    >>> model = fugato.load_model("composer")  # doctest: +SKIP
    >>> model.card.labels["Chopin"]  # doctest: +SKIP
    """
    folder = find_model(model)
    card = read_card(folder)
    listed = {f.file for f in card.files.values()}
    for entry in sorted(folder.iterdir()):
        if entry.name not in listed and not _is_ignored(entry):
            raise FugatoError(
                "bad-model",
                f"{entry.name} is not listed in its card. A model folder holds only what its card lists, and no code or pickles; "
                "remove the file if you know where it came from.",
                str(folder),
            )
    for file in card.files.values():
        _check_file(folder, file)
    return Model(card, folder)


def save_model(folder: str | os.PathLike[str], card: Card, parts: Mapping[str, Any]) -> Card:
    """Write a model folder, whole or not at all.

    Parameters
    ----------
    folder : path
        Where to. An older model folder there is replaced; anything else that lies there is left alone and refused.
    card : Card
        Its `files` are filled in here.
    parts : mapping
        Part name to a mapping of arrays (written as safetensors), bytes (of an ONNX network), a Path (copied; it ends in
        .safetensors, .onnx or .json), or anything that JSON can hold.

    Returns
    -------
    Card
        With its files.

    Raises
    ------
    FugatoError
        ``bad-output`` where the folder cannot be written or is not a model folder.
    """
    target = Path(folder).absolute()
    kept = check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise FugatoError("bad-output", f"Cannot make the model folder ({error}).", str(target)) from error
    try:
        files = {part: _write_part(building, part, content) for part, content in parts.items()}
        card = Card.from_dict(json.loads(replace(card, files=files).to_json()), str(target))
        (building / CARD_NAME).write_text(card.to_json(), encoding="utf-8")
        building.chmod(0o755)
        _swap(building, target, kept)
    except OSError as error:
        raise FugatoError("bad-output", f"Cannot write the model ({error}).", str(target)) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return card


def _check_file(folder: Path, file: CardFile) -> None:
    path = folder / file.file
    try:
        if path.is_symlink():
            raise FugatoError(
                "bad-model", f"{file.file} is a link; a model folder holds its files itself.", str(folder)
            )
        size = path.stat().st_size
        if size == file.bytes:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise FugatoError("bad-model", f"{file.file} is missing; copy the whole folder again.", str(folder)) from None
    except OSError as error:
        raise FugatoError("bad-model", f"{file.file} cannot be read ({error}).", str(folder)) from error
    if size != file.bytes:
        raise FugatoError(
            "bad-model",
            f"{file.file} has {size:,} bytes, its card says {file.bytes:,}; copy the whole folder again.",
            str(folder),
        )
    if digest != file.sha256:
        raise FugatoError(
            "bad-model",
            f"{file.file} was changed: its SHA-256 is not the card's; copy the whole folder again.",
            str(folder),
        )


def _is_ignored(entry: Path) -> bool:
    """The card, notes to readers, and what operating systems leave behind."""
    return entry.name == CARD_NAME or entry.name.startswith(".") or (entry.suffix == ".md" and entry.is_file())


def check_target(folder: str | os.PathLike[str]) -> list[Path]:
    """Whether a model can be written there, to be asked before hours of training.

    Returns
    -------
    list of Path
        Hidden entries and notes of an older model folder there, which are kept in the new one.

    Raises
    ------
    FugatoError
        ``bad-output`` where `save_model` would refuse.
    """
    target = Path(folder).absolute()
    if not target.exists():
        nearest = next(p for p in target.parents if p.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise FugatoError(
                "bad-output", f"Cannot make the model folder: {nearest} cannot be written to.", str(target)
            )
        return []
    if not target.is_dir():
        raise FugatoError(
            "bad-output", "There is a file of that name; choose another folder for the model.", str(target)
        )
    entries = sorted(target.iterdir())
    others = [e for e in entries if not _is_ignored(e)]
    if not others and not (target / CARD_NAME).exists():
        return entries
    try:
        listed = {f.file for f in read_card(target).files.values()}
    except FugatoError as error:
        raise FugatoError(
            "bad-output",
            "The folder is not empty and holds no model, so it is left alone; choose another one.",
            str(target),
        ) from error
    foreign = [e.name for e in others if e.name not in listed]
    if foreign:
        raise FugatoError(
            "bad-output",
            f"The folder holds {foreign[0]}, which is not part of its model; it is left alone.",
            str(target),
        )
    return [e for e in entries if e.name != CARD_NAME and e.name not in listed]


def _swap(building: Path, target: Path, kept: list[Path]) -> None:
    """Put the new folder in the place of the old one; the old one comes back if that fails."""
    if not target.exists():
        os.rename(building, target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    os.rename(target, old / target.name)
    try:
        os.rename(building, target)
    except OSError:
        os.rename(old / target.name, target)
        raise
    for entry in kept:
        os.rename(old / target.name / entry.name, target / entry.name)
    shutil.rmtree(old, ignore_errors=True)


def _write_part(folder: Path, part: str, content: Any) -> CardFile:
    if isinstance(content, Path):
        name, data = part + content.suffix, content.read_bytes()
    elif isinstance(content, bytes):
        name, data = part + ".onnx", content
    elif isinstance(content, Mapping) and content and all(isinstance(a, np.ndarray) for a in content.values()):
        from safetensors.numpy import save

        name = part + ".safetensors"
        data = save({key: np.ascontiguousarray(array) for key, array in content.items()})
    else:
        name = part + ".json"
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    problem = check_file_name(name)
    if problem:
        raise FugatoError("bad-output", f"The part {part!r} cannot be written: {problem}.", str(folder))
    with (folder / name).open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return CardFile(name, hashlib.sha256(data).hexdigest(), len(data))
