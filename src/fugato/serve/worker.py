"""A process that works for the server: ``python -m fugato.serve.worker``. One call at a time, until its pipe closes.

A request is a JSON header with the name of a function in `fugato.serve.work` and its arguments. Messages are framed as in
`fugato.read.frames`: any number of events, then the result, the refusal or the fault. The server ends the process by force when the client
goes away or time is up; so nothing here has to look whether anybody still waits.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from typing import Any, BinaryIO

from fugato.errors import FugatoError
from fugato.read.frames import receive, send
from fugato.read.worker import limit_memory, watch_parent


def main() -> None:
    """Answer calls until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes the pipe
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    warnings.simplefilter("ignore")
    if hasattr(os, "nice"):
        os.nice(int(sys.argv[2]))
    limit_memory(int(sys.argv[1]))
    threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    send(replies, {"ready": True})
    while True:
        try:
            header, _ = receive(requests)
        except EOFError:
            return
        reply, blobs = _answer(header, replies)
        send(replies, {**reply, "resident": resident()}, *blobs)


def _answer(header: dict[str, Any], replies: BinaryIO) -> tuple[dict[str, Any], list[bytes]]:
    from fugato.serve import work

    def tell(event: dict[str, Any]) -> None:
        send(replies, {"event": event})

    try:
        arguments = dict(header["arguments"])
        if header["call"] in work.TELLING:
            arguments["tell"] = tell
        return {"done": True}, [work.CALLS[header["call"]](**arguments)]
    except FugatoError as error:
        return {"error": [error.kind, error.message, error.input]}, []
    except MemoryError:
        return {"error": ["too-large", "It needs more memory than the server gives to one request.", None]}, []
    except Exception as error:  # noqa: BLE001 (whatever it stumbles over, the server goes on)
        return {"fault": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}, []


def resident() -> int:
    """Bytes of memory that this process holds; 0 where the platform does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    main()
