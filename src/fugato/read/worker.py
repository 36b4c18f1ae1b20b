"""The worker process: ``python -m fugato.read.worker``. Parses one file at a time for a `fugato.read.Reader` on its
pipes.

Requests are a JSON header (name, limits, and perhaps a function to call with each Score) and the bytes of the file;
replies are Scores as bytes, what the function returned, or an error. Standard output belongs to the messages, so
whatever a library prints goes nowhere. The worker ends when its pipe closes or its parent is gone.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from fugato.errors import FugatoError
from fugato.read.frames import receive, send
from fugato.read.limits import Limits
from fugato.read.lowered import lower_limit
from fugato.read.parse import parse
from fugato.score import Score

WATCH_SECONDS = 1.0


def main() -> None:
    """Answer requests until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the pipe
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    warnings.simplefilter("ignore")
    threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    send(replies, {"ready": True})
    while True:
        try:
            header, (data,) = receive(requests)
        except EOFError:
            return
        reply, blobs = _answer(header, data)
        send(replies, reply, *blobs)
        if reply.get("leave"):
            return


def _answer(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    limits = Limits(**header["limits"])
    name = header["name"]
    limit_memory(limits.memory)
    try:
        scores = parse(data, name, limits, every=header["every"])
        if header["then"] is None:
            return {"kinds": ["score"] * len(scores)}, [s.to_bytes() for s in scores]
        function = _find(header["then"])
        results = [_call(function, s, name, header) for s in scores]
        return {"kinds": [kind for kind, _ in results]}, [blob for _, blob in results]
    except FugatoError as e:
        return {"error": [e.kind, e.message]}, []
    except MemoryError:
        return {"error": ["too-large", _too_much(limits)], "leave": True}, []
    except _BadThenError as e:
        return {"bug": str(e)}, []


def _call(function: Callable[..., bytes], score: Score, name: str, header: dict[str, Any]) -> tuple[str, bytes]:
    """What `function` says about one Score, or its refusal."""
    try:
        return "bytes", function(score, name=name, sha256=header["sha256"], **header["options"])
    except FugatoError as e:
        return "error", f"{e.kind}\n{e.message}\n".encode()
    except MemoryError:
        raise
    except Exception as e:  # noqa: BLE001 (whatever an analysis stumbles over, the run goes on)
        message = f"It was read, but could not be analysed ({type(e).__name__}: {e})."
        return "error", f"corrupt\n{' '.join(message.split())}\n{traceback.format_exc()}".encode()


class _BadThenError(Exception):
    """The function to call cannot be found: a mistake of the program, not of the file."""


def _find(then: str) -> Callable[..., bytes]:
    module, _, function = then.partition(":")
    try:
        found: Callable[..., bytes] = getattr(importlib.import_module(module), function)
    except Exception as e:
        raise _BadThenError(f"{then} cannot be loaded in the worker: {type(e).__name__}: {e}") from e
    return found


def _too_much(limits: Limits) -> str:
    return f"It needs more than {limits.memory / 1e6:,.0f} MB of memory to read."


def limit_memory(size: int) -> None:
    """Let allocations beyond `size` bytes fail; Linux counts private data, others (where they can) the address
    space."""
    lower_limit("RLIMIT_DATA" if sys.platform == "linux" else "RLIMIT_AS", size)


def watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
