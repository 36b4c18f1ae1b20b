"""The process that decodes sound: ``python -m fugato.read.sound_worker``, for `fugato.read.audio` on its pipes.

Requests are JSON headers: open a path, read so many samples of it, close it. Replies carry what the header of the file says, samples as
float32, or an error. Standard output belongs to the messages and standard error to nobody. The process ends when its pipe closes or its
parent is gone.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import asdict
from typing import Any

from fugato.errors import FugatoError
from fugato.read.decode import AudioLimits, SoundFile
from fugato.read.frames import receive, send
from fugato.read.worker import limit_memory, watch_parent


def main() -> None:
    """Answer requests until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the pipe
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    file: SoundFile | None = None
    while True:
        try:
            request, _ = receive(requests)
        except EOFError:
            return
        reply: dict[str, Any] = {}
        blobs: list[bytes] = []
        try:
            if file and "read" not in request:
                file.close()
                file = None
            if "open" in request:
                limits = AudioLimits(**request["limits"])
                limit_memory(limits.memory)
                file = SoundFile(request["open"], limits)
                reply = {"facts": asdict(file.facts)}
            elif file and "read" in request:
                samples, end, warnings = file.read(request["read"])
                reply, blobs = {"end": end, "warnings": warnings}, [samples.tobytes()]
        except FugatoError as e:
            reply = {"error": [e.kind, e.message]}
        except MemoryError:
            reply = {"error": ["too-large", f"It needs more than {limits.memory / 1e6:,.0f} MB of memory to decode."]}
        send(replies, reply, *blobs)


if __name__ == "__main__":
    main()
