"""Names of models: the shipped ones inside the package, and local ones in the user's data folder.

Shipped models lie in ``models/shipped/<task>-<name>/``, local ones in ``FUGATO_HOME/models/<name>/`` (default: the platform's folder
for user data). A name of letters, digits, ``-``, ``_`` and ``.`` is looked up there first; anything else is a path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import FugatoError
from .card import CARD_NAME, TASKS, Card, read_card

SHIPPED: Final = Path(__file__).parent / "shipped"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Listed(NamedTuple):
    """A model as `list_models` finds it; `card` is None and `problem` says why where its card cannot be read."""

    name: str
    folder: Path
    shipped: bool
    card: Card | None
    problem: str | None = None


def home() -> Path:
    """The folder for what belongs to the user: ``FUGATO_HOME``, or the platform's folder for user data. Not created here."""
    set_by_user = os.environ.get("FUGATO_HOME")
    if set_by_user:
        return Path(set_by_user).expanduser()
    from platformdirs import user_data_path

    return user_data_path("fugato", appauthor=False)


def find_model(model: str | os.PathLike[str]) -> Path:
    """The folder of a model, by name or path.

    A task's name alone ("composer") is the shipped model of that task. Write ``./composer`` for a folder of such a name.

    Raises
    ------
    FugatoError
        ``no-model``.
    """
    if isinstance(model, str):
        found = _by_name(model)
        if found is not None:
            return found
    folder = Path(model).expanduser()
    if (folder / CARD_NAME).is_file():
        return folder.absolute()
    if folder.is_dir():
        raise FugatoError("no-model", f"The folder holds no {CARD_NAME}, so it is no model folder.", str(model))
    names = [m.name for m in list_models()]
    have = f"there are {', '.join(names)}" if names else "none are installed"
    raise FugatoError(
        "no-model",
        f"There is no model of that name and no such folder; {have}. `fugato models` lists them.",
        str(model),
    )


def local_folder(name: str) -> Path:
    """Where a model of the user's own lives or will live; refuses names that cannot be used or are shipped.

    Raises
    ------
    FugatoError
        ``bad-option``.
    """
    if not _NAME.fullmatch(name):
        raise FugatoError("bad-option", f"{name!r} is no name for a model: use letters, digits, '-', '_' and '.'.")
    if name in TASKS or any(m.shipped and name in (m.name, m.folder.name) for m in list_models()):
        raise FugatoError("bad-option", f"{name!r} is the name of a shipped model; choose another name.")
    return home() / "models" / name


def list_models() -> list[Listed]:
    """Shipped models, then local ones, each sorted by folder."""
    found = []
    for place, shipped in ((SHIPPED, True), (home() / "models", False)):
        for folder in _folders(place):
            try:
                card = read_card(folder)
                found.append(Listed(card.name if shipped else folder.name, folder, shipped, card))
            except FugatoError as error:
                found.append(Listed(folder.name, folder, shipped, None, error.message))
    return found


def _by_name(name: str) -> Path | None:
    if not _NAME.fullmatch(name):
        return None
    shipped = _folders(SHIPPED)
    for folder in shipped:
        if folder.name == name:
            return folder
    local = home() / "models" / name
    if (local / CARD_NAME).is_file():
        return local
    named = [folder for folder in shipped if folder.name.startswith(f"{name}-")]
    if len(named) > 1:  # several models of one task: the one whose card has the plain name is the default
        named = [f for f in named if read_card(f).name == name] or named
    if named:
        return named[0]
    return next((f for f in shipped if read_card(f).name == name), None)


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(p for p in place.iterdir() if (p / CARD_NAME).is_file())
