"""A sound file -> Recording. Decoding happens in processes of their own (`fugato.read.sound_worker`), which live on between files.

A file is opened once to learn what it is, and its first seconds are decoded, so that what cannot be read is refused at once. Every
walk through the Recording opens it again. Bytes and file objects are laid into a temporary file first, which goes with the Recording.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from fugato.errors import FugatoError
from fugato.read.decode import AudioLimits, Facts, SoundFile
from fugato.read.files import Source, name_of
from fugato.read.frames import receive, send
from fugato.recording import LEAST_SECONDS, Block, Decoder, Recording

DEFAULT_LIMITS: Final = AudioLimits()
COPY: Final = 1 << 20  # bytes
START_SECONDS: Final = 60.0  # for Python and NumPy to be loaded on a slow machine
IDLE: Final = 4  # processes that wait for the next file; more are ended
SINGLE_THREADED: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def read_audio(
    source: Source, *, name: str | None = None, limits: AudioLimits = DEFAULT_LIMITS, sandbox: bool = True
) -> Recording:
    """The recording in a file: WAV, FLAC, OGG, MP3, AIFF and whatever else libsndfile reads, known by its bytes.

    Only its first seconds are decoded here; the rest is when the blocks of the Recording are asked for, which may then find it silent
    or damaged (see `Recording.blocks`).

    Parameters
    ----------
    source : path, bytes or binary file object
    name : str, optional
        What to call it in messages. Default: the path.
    limits : AudioLimits
        How long, wide and large it may be before it is refused.
    sandbox : bool
        False decodes in this process: for files that one trusts, and for debugging. MP3 decoders may then write to standard error.

    Raises
    ------
    FugatoError
        ``not-audio``, ``empty``, ``too-short`` (under 3 s), ``silent``, ``corrupt``, ``unsupported``, ``too-large``, ``timeout``, or
        ``bad-data`` for a path that cannot be opened; `input` is the path or name.
    """
    name = name or name_of(source)
    try:
        path, temporary = _path(source, limits)
        try:
            return _recording(path, name, limits, sandbox, temporary)
        except BaseException:
            if temporary:
                _remove(path)
            raise
    except FugatoError as e:
        raise FugatoError(e.kind, e.message, name) from e


def _recording(path: str, name: str | None, limits: AudioLimits, sandbox: bool, temporary: bool) -> Recording:
    def start() -> Decoder:
        return _Remote(path, limits) if sandbox else SoundFile(path, limits)

    first = _Remote(path, limits) if sandbox else SoundFile(path, limits)
    facts = first.facts
    first.close()
    recording = Recording(
        start, rate=facts.rate, channels=facts.channels, frames=facts.frames, format=facts.format, name=name
    )
    count = 0
    blocks = recording.blocks()
    for block in blocks:  # a file that ends before is judged at its end
        count += len(block)
        if count >= LEAST_SECONDS * facts.rate:
            break
    blocks.close()  # type: ignore[attr-defined]
    if temporary:
        weakref.finalize(recording, _remove, path)
    return recording


def _path(source: Source, limits: AudioLimits) -> tuple[str, bool]:
    """Where the bytes of a source lie, and whether that is a temporary file."""
    try:
        if isinstance(source, (str, os.PathLike)):
            path = Path(source)
            if path.is_dir():
                raise FugatoError("bad-data", "It is a folder, not a file.")
            if not path.exists():
                raise FugatoError("bad-data", "There is no such file.")
            if not path.is_file():
                raise FugatoError("bad-data", "It is no ordinary file.")
            return os.path.abspath(path), False
        file, where = tempfile.mkstemp(prefix="fugato-", suffix=".sound")
        try:
            with os.fdopen(file, "wb") as out:
                if isinstance(source, (bytes, bytearray, memoryview)):
                    out.write(source)
                else:
                    _copy(source, out, limits)
        except BaseException:
            _remove(where)
            raise
        return where, True
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise FugatoError("bad-data", f"It cannot be opened: {reason}.") from e


def _copy(source: Any, out: Any, limits: AudioLimits) -> None:
    copied = 0
    while data := source.read(COPY):
        if not isinstance(data, bytes):
            raise FugatoError("bad-data", "A file object must be opened for bytes (mode 'rb').")
        copied += len(data)
        if copied > limits.file_bytes:
            raise FugatoError("too-large", f"More than {limits.file_bytes:,} bytes.")
        out.write(data)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


class _Remote:
    """A `SoundFile` in another process."""

    def __init__(self, path: str, limits: AudioLimits) -> None:
        self._limits = limits
        self._process: _Process | None = _take()
        reply, _ = self._ask({"open": path, "limits": asdict(limits)})
        self.facts = Facts(**reply["facts"])

    def read(self, size: int) -> Block:
        reply, blobs = self._ask({"read": size})
        samples = np.frombuffer(blobs[0], np.float32).reshape(-1, self.facts.channels)
        return Block(samples, reply["end"], tuple(reply["warnings"]))

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.ask({"close": True}, self._limits.wait)
        except (OSError, EOFError, ValueError):
            process.end()
        except BaseException:  # Ctrl-C between request and reply: the pipe is out of step
            process.end()
            raise
        else:
            _give(process)

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        process = self._process
        assert process
        try:
            reply, blobs = process.ask(request, self._limits.wait)
        except (OSError, EOFError, ValueError) as e:
            self._process = None
            process.end()
            if process.late:
                raise FugatoError(
                    "timeout", f"It took longer than {self._limits.wait:g} seconds to decode a part."
                ) from e
            if process.status == -9:  # killed, but not by us: the system ran out of memory
                raise FugatoError("too-large", "It needs more memory to decode than this machine has left.") from e
            raise FugatoError("corrupt", "It brings down the program that decodes it, so it is left alone.") from e
        except BaseException:
            self._process = None
            process.end()
            raise
        if "error" in reply:
            kind, message = reply["error"]
            self.close()
            raise FugatoError(kind, message)
        return reply, blobs


class _Process:
    """One decoding process and the pipes to it."""

    def __init__(self) -> None:
        path = [os.path.abspath(p) if p else os.getcwd() for p in sys.path]
        single = {k: os.environ.get(k, "1") for k in SINGLE_THREADED}
        self.owner = os.getpid()
        self.late = False
        self.status: int | None = None
        self._fresh = True
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "fugato.read.sound_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, **single, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"},
        )
        self._deadline = 0.0
        self._selector: selectors.BaseSelector | None = None
        if (
            os.name == "posix"
        ):  # elsewhere pipes cannot be waited for, and a timer does it; a thread for each block is slow
            assert self._popen.stdout
            self._selector = selectors.DefaultSelector()
            self._selector.register(self._popen.stdout, selectors.EVENT_READ)

    def alive(self) -> bool:
        return self.owner == os.getpid() and self._popen.poll() is None

    def ask(self, request: dict[str, Any], seconds: float) -> tuple[dict[str, Any], list[bytes]]:
        """One request and its reply; the process is killed where it takes longer than `seconds`."""
        assert self._popen.stdin and self._popen.stdout
        seconds += START_SECONDS if self._fresh else 0
        send(self._popen.stdin, request)
        if self._selector:
            self._deadline = time.monotonic() + seconds
            reply = receive(self)
        else:
            timer = threading.Timer(seconds, self._kill)
            timer.daemon = True
            timer.start()
            try:
                reply = receive(self._popen.stdout)
            finally:
                timer.cancel()
        self._fresh = False
        return reply

    def read(self, size: int) -> bytes | None:
        """Bytes of a reply, as soon as there are some."""
        assert self._popen.stdout and self._selector
        if not self._selector.select(max(self._deadline - time.monotonic(), 0)):
            self._kill()
        return self._popen.stdout.read(size)

    def end(self) -> None:
        """Let the process go, or kill it."""
        if self._selector:
            self._selector.close()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self.owner == os.getpid():
            try:  # one that died by itself says how
                self.status = self._popen.wait(0.5)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()

    def _kill(self) -> None:
        self.late = True
        self._popen.kill()


_idle: list[_Process] = []


def _take() -> _Process:
    """A process that waits for a file, or a new one."""
    while True:
        try:
            process = _idle.pop()
        except IndexError:
            return _Process()
        if process.alive():
            return process
        process.end()


def _give(process: _Process) -> None:
    if len(_idle) < IDLE and process.alive():
        _idle.append(process)
    else:
        process.end()


@atexit.register
def end_decoders() -> None:
    """End the processes that wait for the next file; a later file starts a new one."""
    while _idle:
        _idle.pop().end()
