"""Card: what a model says about itself, kept as ``card.json`` in its folder.

The fields follow "Model Cards for Model Reporting" (Mitchell et al., FAT* 2019) as far as a program can use them: what goes in,
what comes out, what it was trained on, how well it does under which protocol, and what it should not be used for. The
layout is the contract's (docs/contract.md, "The model folder").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NoReturn

from ..errors import FugatoError

FORMAT: Final = 1  # version of the layout; a folder with another one is refused
CARD_NAME: Final = "card.json"
TASKS: Final = ("composer", "genre", "compose")
SUFFIXES: Final = (".safetensors", ".onnx", ".json")
MAX_CARD_BYTES: Final = 4_000_000
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CardFile:
    """One file of a model: its name inside the folder, SHA-256 in lower-case hex, and size in bytes."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Card:
    """A model's card.

    Attributes
    ----------
    name, version : str
        As they appear in answers: ``{"name": "composer", "version": "1.0.0"}``.
    task : "composer", "genre" or "compose"
    recipe : str
        The recipe that made it.
    labels : dict of str to int
        Each name the model can answer with, in the order of its outputs, and how many training pieces it had.
    representation : dict
        ``{"name": …, "settings": {…}}``: all that is needed to turn a Score or Recording into the model's input.
    corpora : tuple of dict
        ``{"name": …, "licence": …, …}`` for each training corpus.
    figures : tuple of dict
        ``{"name": …, "value": …, "interval": [low, high], "protocol": …}``; the interval is left out where there is none.
    calibration : dict
        How the probabilities were fitted and with what result; empty where they were not.
    limits : tuple of str
        Sentences on what it should not be used for.
    licence : str
        Of the weights.
    made : dict
        What made it: random seed, options, version of Fugato.
    files : dict of str to CardFile
        Part name to file.
    """

    name: str
    version: str
    task: str
    recipe: str
    labels: dict[str, int]
    representation: dict[str, Any]
    corpora: tuple[dict[str, Any], ...] = ()
    figures: tuple[dict[str, Any], ...] = ()
    calibration: dict[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    licence: str = ""
    made: dict[str, Any] = field(default_factory=dict)
    files: dict[str, CardFile] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, the format version first."""
        return {"format": FORMAT, **asdict(self)}

    def to_json(self) -> str:
        """The text of ``card.json``."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, data: Any, where: str | None = None) -> Card:
        """Check a card's JSON object and build the Card.

        Raises
        ------
        FugatoError
            ``bad-model`` with the field that is wrong; `where` is named as the input.
        """

        def refuse(problem: str) -> NoReturn:
            raise FugatoError("bad-model", f"{problem} The folder was damaged or was not written by Fugato.", where)

        if not isinstance(data, dict):
            refuse("The model's card is not a JSON object.")
        if data.get("format") != FORMAT:
            raise FugatoError(
                "bad-model",
                f"The model's card has format {data.get('format')!r}; this version of Fugato reads format {FORMAT}. "
                "Install the version of Fugato that the model was made with, or train it again.",
                where,
            )
        known = {f.name for f in fields(cls)}
        unknown = sorted(data.keys() - known - {"format"})
        if unknown:
            refuse(f"The model's card has unknown fields: {', '.join(map(str, unknown))}.")
        missing = [
            n for n in ("name", "version", "task", "recipe", "labels", "representation", "files") if n not in data
        ]
        if missing:
            refuse(f"The model's card lacks {', '.join(missing)}.")
        for name in ("name", "version", "task", "recipe", "licence"):
            if not isinstance(data.get(name, ""), str):
                refuse(f"The field {name!r} of the model's card is not a text.")
        for name in ("labels", "representation", "calibration", "made", "files"):
            if not isinstance(data.get(name, {}), dict):
                refuse(f"The field {name!r} of the model's card is not an object.")
        for name, kind in (("corpora", dict), ("figures", dict), ("limits", str)):
            entries = data.get(name, [])
            if not isinstance(entries, list | tuple) or not all(isinstance(e, kind) for e in entries):
                refuse(
                    f"The field {name!r} of the model's card is not a list of {'texts' if kind is str else 'objects'}."
                )
        if data["task"] not in TASKS:
            refuse(f"The model's card names the task {data['task']!r}; the tasks are {', '.join(TASKS)}.")
        for label, n in data["labels"].items():
            if not isinstance(n, int) or isinstance(n, bool) or n < 0:
                refuse(f"The model's card gives {n!r} as the number of pieces for the label {label!r}.")
        if not isinstance(data["representation"].get("name"), str):
            refuse("The model's card does not name its representation.")
        files = {part: _card_file(part, entry, refuse) for part, entry in data["files"].items()}
        if len({f.file.lower() for f in files.values()}) != len(files):
            refuse("The model's card lists one file twice.")
        given = {key: value for key, value in data.items() if key != "format"}
        given.update(files=files, **{n: tuple(data.get(n, ())) for n in ("corpora", "figures", "limits")})
        return cls(**given)


def read_card(folder: Path) -> Card:
    """The checked card of a model folder.

    Raises
    ------
    FugatoError
        ``no-model`` where there is no card, ``bad-model`` where it cannot be used.
    """
    path = folder / CARD_NAME
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise FugatoError("bad-model", f"The card is larger than {MAX_CARD_BYTES:,} bytes.", str(folder))
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise FugatoError(
            "no-model",
            f"There is no {CARD_NAME} in it, so it is no model folder. `fugato models` lists models.",
            str(folder),
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise FugatoError("bad-model", f"Its {CARD_NAME} cannot be read ({error}).", str(folder)) from error
    return Card.from_dict(data, str(folder))


def check_file_name(name: Any) -> str | None:
    """What is wrong with a file name for a model folder; None if nothing is."""
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        return f"{name!r} is no plain file name"
    if name == CARD_NAME:
        return f"{CARD_NAME} is the card itself"
    if not name.endswith(SUFFIXES):
        return f"{name!r} does not end in {', '.join(SUFFIXES)}; nothing else is read from a model folder"
    return None


def _card_file(part: Any, entry: Any, refuse: Any) -> CardFile:
    if not isinstance(entry, Mapping) or set(entry) != {"file", "sha256", "bytes"}:
        refuse(f"The model's card does not give file, sha256 and bytes of the part {part!r}.")
    problem = check_file_name(entry["file"])
    if problem:
        refuse(f"In the model's card, {problem}.")
    if not isinstance(entry["sha256"], str) or not _SHA256.fullmatch(entry["sha256"]):
        refuse(f"The model's card gives no SHA-256 of {entry['file']}.")
    if not isinstance(entry["bytes"], int) or isinstance(entry["bytes"], bool) or entry["bytes"] < 0:
        refuse(f"The model's card gives no size of {entry['file']}.")
    return CardFile(entry["file"], entry["sha256"], entry["bytes"])
