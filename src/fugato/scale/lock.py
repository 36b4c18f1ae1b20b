"""One writer for one output: an advisory lock that the system takes away when its owner ends, however that ends."""

from __future__ import annotations

from typing import BinaryIO

from fugato.errors import FugatoError


def lock_file(file: BinaryIO, path: str, option: str = "--out") -> None:
    """Hold the lock of an open file until it is closed.

    Raises
    ------
    FugatoError
        ``busy`` where another process holds it. File systems and platforms that have no locks let everybody in.
    """
    try:
        import fcntl
    except ImportError:  # Windows: no advisory locks; nothing is lost but the warning
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FugatoError(
            "busy", f"Another process is writing answers to it; wait for it, or give another name to {option}.", path
        ) from None
    except OSError:
        pass  # a file system or a device that has no locks
