"""Reader: a worker process that parses untrusted files, is killed when one takes too long or too much, and started
anew.

Started with `subprocess`, so it works under every start method, in daemonic processes and from threads. It lives on
between files: the second file costs no start.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any, Final

from fugato.errors import FugatoError
from fugato.read.deadline import Deadline
from fugato.read.frames import receive, send
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.score import Score

log = logging.getLogger(__name__)

START_SECONDS: Final = 60.0  # for Python and NumPy to be loaded on a slow machine
LONGEST_BOOK: Final = 10.0  # times the seconds of a file; ten tunes of a book have the time of one file
SINGLE_THREADED: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Result = Score | bytes | FugatoError
_readers: weakref.WeakSet[Reader] = weakref.WeakSet()


class Reader:
    """One worker process, one file at a time; safe to share between threads, which then wait for each other.

    The process starts with the first file. Use it as a context manager, or `close` it; it also ends with its parent.

    Attributes
    ----------
    restarts : int
        How often the worker was killed or died, and a new one was needed.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.restarts = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        _readers.add(self)

    def read(self, data: bytes, *, name: str = "", every: bool = False, limits: Limits | None = None) -> list[Score]:
        """The piece in the bytes of one file; of a book of tunes the first, or `every` one."""
        results = self.run(data, name=name, every=every, limits=limits)
        return [r for r in results if isinstance(r, Score)]

    def run(
        self,
        data: bytes,
        *,
        name: str = "",
        sha256: str | None = None,
        then: str | None = None,
        options: Mapping[str, Any] | None = None,
        every: bool = False,
        limits: Limits | None = None,
    ) -> list[Result]:
        """Parse `data` in the worker and, with `then`, call that function there with each Score.

        Parameters
        ----------
        then : str, optional
            ``"package.module:function"``, called as ``function(score, *, name, sha256, **options) -> bytes``.
        every : bool
            All tunes of a book, not just the first piece.

        Returns
        -------
        list of Score, or of bytes and FugatoError with `then`
            A piece each, at least one.

        Raises
        ------
        FugatoError
            When the file cannot be read; ``timeout``, ``too-large`` or ``corrupt`` when it took the worker down.
        """
        limits = limits or self.limits
        if every:  # a book of tunes may take longer
            limits = replace(limits, seconds=limits.seconds * min(max(data.count(b"\nX:") / 10, 1), LONGEST_BOOK))
        request = {
            "name": name,
            "limits": asdict(limits),
            "then": then,
            "options": dict(options or {}),
            "sha256": sha256 or hashlib.sha256(data).hexdigest(),
            "every": every,
        }
        with self._lock:
            header, blobs = self._exchange(request, data, limits)
        if "bug" in header:
            raise RuntimeError(header["bug"])
        if "error" in header:
            kind, message = header["error"]
            raise FugatoError(kind, message, name or None)
        return [_result(kind, blob, name) for kind, blob in zip(header["kinds"], blobs, strict=True)]

    def close(self) -> None:
        """End the worker; the reader may still be used, and starts a new one."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _exchange(self, request: dict[str, Any], data: bytes, limits: Limits) -> tuple[dict[str, Any], list[bytes]]:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._start()
        assert process.stdin and process.stdout
        deadline = Deadline(process, limits.seconds)
        try:
            send(process.stdin, request, data)
            header, blobs = receive(process.stdout)
        except (OSError, EOFError, ValueError) as e:
            deadline.cancel()
            self._stop(kill=True)
            self.restarts += 1
            raise self._cause(process, deadline.late, request["name"] or None, limits) from e
        except BaseException:  # Ctrl-C between request and reply: the pipe is out of step
            deadline.cancel()
            self._stop(kill=True)
            raise
        deadline.cancel()
        if header.pop("leave", False):
            self._stop()
            self.restarts += 1
        return header, blobs

    def _start(self) -> subprocess.Popen[bytes]:
        path = [os.path.abspath(p) if p else os.getcwd() for p in sys.path]
        single = {k: os.environ.get(k, "1") for k in SINGLE_THREADED}
        process = subprocess.Popen(
            [sys.executable, "-m", "fugato.read.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if log.isEnabledFor(logging.DEBUG) else subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, **single, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"},
        )
        self._process = process
        assert process.stdout
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            receive(process.stdout)
        except EOFError:
            self._stop(kill=True)
            raise RuntimeError(f"the reading process does not start: {sys.executable} -m fugato.read.worker") from None
        finally:
            timer.cancel()
        return process

    def _stop(self, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _forget(self) -> None:
        """In a forked child: the worker belongs to the parent, so only our copies of the pipes are closed."""
        self._lock = threading.Lock()
        process, self._process = self._process, None
        if process:
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()

    @staticmethod
    def _cause(process: subprocess.Popen[bytes], late: bool, name: str | None, limits: Limits) -> FugatoError:
        if late:
            return FugatoError("timeout", f"It took longer than {limits.seconds:g} seconds to read.", name)
        if process.returncode == -9:  # killed, but not by us: the system ran out of memory
            return FugatoError("too-large", "It needs more memory to read than this machine has left.", name)
        log.debug("worker ended with status %s on %s", process.returncode, name)
        return FugatoError("corrupt", "It brings down the program that reads it, so it is left alone.", name)


def shared() -> Reader:
    """The reader of this process, started on first use."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Reader()
        return _shared


_shared: Reader | None = None
_shared_lock = threading.Lock()


def _result(kind: str, blob: bytes, name: str) -> Result:
    if kind == "score":
        return Score.from_bytes(blob)
    if kind == "bytes":
        return blob
    error, message, trace = blob.decode().split("\n", 2)
    if trace:
        log.error("%s: %s\n%s", name, message, trace)
    return FugatoError(error, message, name or None)


def _after_fork() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for reader in list(_readers):
        reader._forget()


@atexit.register
def _close_all() -> None:
    for reader in list(_readers):
        if reader._lock.acquire(timeout=1):
            reader._stop()
            reader._lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
