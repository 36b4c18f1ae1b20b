"""The server's own folder: all that it writes lies there, and what a crash left is removed at the next start.

Every run has a subfolder that it holds a lock on. A subfolder whose lock can be had belongs to nobody any more, also after a crash or a
power cut, and is swept away; those of other servers that run beside this one are left alone.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from pathlib import Path
from typing import IO, Any, Final

from fugato.errors import FugatoError

RUN: Final = "run-"
LOCK: Final = "lock"
_SUFFIX: Final = re.compile(r"\.[A-Za-z0-9]{1,10}")


class WorkFolder:
    """The folder of one run of the server.

    Parameters
    ----------
    place : Path
        Made where it is missing, readable by its owner alone.

    Raises
    ------
    FugatoError
        ``bad-output`` where it cannot be written to or belongs to somebody else.
    """

    def __init__(self, place: Path) -> None:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if hasattr(os, "getuid") and place.lstat().st_uid != os.getuid():
                raise FugatoError("bad-output", "The server's folder belongs to somebody else.", str(place))
            sweep(place)
            self.run = place / f"{RUN}{secrets.token_hex(8)}"
            self.run.mkdir(mode=0o700)
            self._lock = (self.run / LOCK).open("wb")
            _lock(self._lock)
            for name in ("uploads", "jobs", "tmp"):
                (self.run / name).mkdir(mode=0o700)
            self.pictures = (
                place / "matplotlib"
            )  # its list of fonts, which takes a second to make: kept from run to run
            self.pictures.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise FugatoError(
                "bad-output", f"The server cannot write to its folder ({error.strerror or error}).", str(place)
            ) from error

    @property
    def temporary(self) -> Path:
        """What libraries write for themselves."""
        return self.run / "tmp"

    def environment(self) -> dict[str, str]:
        """Variables that keep other processes' temporary files in here."""
        return {"TMPDIR": str(self.temporary), "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR") or str(self.pictures)}

    def request(self) -> Path:
        """A new folder for the files of one request."""
        return self._new("uploads")

    def job(self, name: str) -> Path:
        """A new folder for what a job writes."""
        folder = self.run / "jobs" / name
        folder.mkdir(mode=0o700)
        return folder

    def close(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.run, ignore_errors=True)
        self._lock.close()

    def _new(self, kind: str) -> Path:
        folder = self.run / kind / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return folder


def sweep(place: Path) -> int:
    """Remove what servers that run no more have left there; how many there were."""
    swept = 0
    for folder in sorted(place.glob(f"{RUN}*")):
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            with (folder / LOCK).open("ab") as file:
                _lock(file)
        except BlockingIOError:
            continue  # somebody serves from it
        except OSError:
            pass  # it has no lock: the server died while it was made
        shutil.rmtree(folder, ignore_errors=True)
        swept += 1
    return swept


def suffix_of(name: str) -> str:
    """The suffix of an upload's name where it is a plain one, with its dot; else ""."""
    suffix = os.path.splitext(name)[1]
    return suffix.lower() if _SUFFIX.fullmatch(suffix) else ""


def _lock(file: IO[Any]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: a file that is open there cannot be removed, which serves as well
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
