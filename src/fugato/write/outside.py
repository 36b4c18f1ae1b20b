"""Jobs in a process of their own: started for one piece, ended by force when it takes too long, and allowed to crash."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from typing import Any, Final

from ..errors import FugatoError
from ..read.frames import receive, send

PATIENCE: Final = 3.0
OUT_OF_TIME: Final = (
    -getattr(signal, "SIGXCPU", 0) or None
)  # how a process ends that has used up its processor time; not on Windows
log = logging.getLogger(__name__)


def run(job: str, data: bytes, *, seconds: float, what: str, **options: Any) -> list[bytes]:
    """Let `fugato.write.worker` do a job.

    Parameters
    ----------
    job : str
        One of its `JOBS`.
    data : bytes
        What it is done with.
    seconds : float
        Of processor time that it may take; by the clock `PATIENCE` times as long, since other work may have the processor.
    what : str
        What does it, for the message when it fails: "Verovio", "The synthesiser".
    options
        Keyword arguments of the job.

    Returns
    -------
    list of bytes

    Raises
    ------
    FugatoError
        What the job refuses with; ``timeout``; ``unsupported`` where the process crashed.
    """
    request = io.BytesIO()
    send(request, {"job": job, "options": options, "seconds": seconds}, data)
    path = [os.path.abspath(p) if p else os.getcwd() for p in sys.path]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fugato.write.worker"],
            input=request.getvalue(),
            stdout=subprocess.PIPE,
            stderr=None if log.isEnabledFor(logging.DEBUG) else subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"},
            timeout=PATIENCE * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise FugatoError("timeout", f"{what} took longer than {PATIENCE * seconds:g} seconds.") from e
    if done.returncode == OUT_OF_TIME:
        raise FugatoError("timeout", f"{what} took more than {seconds:g} seconds of processor time.")
    try:
        header, blobs = receive(io.BytesIO(done.stdout))
    except EOFError as e:
        log.debug("%s ended with status %s", job, done.returncode)
        raise FugatoError("unsupported", f"{what} broke down over it.") from e
    if "error" in header:
        kind, message = header["error"]
        raise FugatoError(kind, message)
    return blobs
