"""What a long study has found out, kept in files, so that it goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

CHUNK: Final = 10  # after so many new entries they are written


def digest(data: bytes) -> str:
    """A short name for some bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def remembered(path: Path, key: Any, make: Callable[[], Any]) -> Any:
    """What a file holds under a key, made and kept where it holds something else.

    Parameters
    ----------
    path : Path
    key, and what `make` gives
        Plain JSON values.
    """
    key = json.loads(json.dumps(key))
    before = _read(path)
    if before.get("key") == key:
        return before["found"]
    found = make()
    _write(path, {"key": key, "found": found})
    return found


def remembered_each(
    path: Path,
    about: Any,
    names: Sequence[str],
    make: Callable[[Sequence[str]], Sequence[Any]],
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """The same for many entries by name, kept every `CHUNK` new ones; all are made again where `about` is another."""
    about = json.loads(json.dumps(about))
    before = _read(path)
    kept: dict[str, Any] = before["found"] if before.get("key") == about else {}
    missing = [name for name in dict.fromkeys(names) if name not in kept]
    for start in range(0, len(missing), CHUNK):
        some = missing[start : start + CHUNK]
        kept.update(zip(some, make(some), strict=True))
        _write(path, {"key": about, "found": kept})
        if progress is not None:
            progress(len(names) - len(missing) + start + len(some), len(names))
    return [kept[name] for name in names]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "found" in found else {}


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f"{path.name}.tmp")
    building.write_text(json.dumps(value), encoding="utf-8")
    building.replace(path)
