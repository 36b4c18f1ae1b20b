"""What a server may cost, and who may ask it."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fugato.errors import FugatoError

LEAST_TOKEN: Final = 12  # characters of a token that nobody guesses
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Settings:
    """How a server is set up.

    Attributes
    ----------
    host : str
        The address that is listened on. All but this machine's own need a token.
    port : int
        0 takes a free one.
    token : str or None
        Where it is given, every route asks for it.
    names : tuple of str
        Further names under which the server may be addressed (the Host header), for a proxy or a name of its own.
    folder : Path or None
        Where uploads and results lie while they are needed; ``serve`` in FUGATO_HOME where left out.
    compose_model : str
        The model that composes where a request names none.
    workers : int
        Processes that answer about notes.
    writers : int
        Pieces that are composed at once.
    files, request_bytes : int
        Of one request.
    map_files : int
        Of a request for a style map.
    requests : int
        That are answered or wait at once; more are told to come again (429).
    waiting_jobs, kept_jobs : int
        Pieces that wait to be composed, and finished ones that are kept.
    answer_seconds, sound_seconds, job_seconds : float
        Of processor time that one file, one recording or one job may take; four times as long by the clock.
    patience : float
        Seconds after which a job that nobody has asked about is stopped.
    worker_bytes : int
        Memory that a worker may hold, where the platform can say so.
    worn_bytes : int
        Resident memory beyond which a worker is replaced by a fresh one after its answer.
    listeners : int
        Live connections at once.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    names: tuple[str, ...] = ()
    folder: Path | None = None
    compose_model: str = "compose"
    workers: int = 2
    writers: int = 2
    files: int = 64
    map_files: int = 400
    request_bytes: int = 256_000_000
    requests: int = 64
    waiting_jobs: int = 6
    kept_jobs: int = 32
    answer_seconds: float = 60.0
    sound_seconds: float = 180.0
    job_seconds: float = 300.0
    patience: float = 60.0
    worker_bytes: int = 2_000_000_000
    worn_bytes: int = 220_000_000
    listeners: int = 8

    def __post_init__(self) -> None:
        if self.token is not None and (len(self.token) < LEAST_TOKEN or not self.token.isascii()):
            raise FugatoError("bad-option", f"A token has at least {LEAST_TOKEN} characters, all of them ASCII.")
        if not self.is_loopback and self.token is None:
            raise FugatoError(
                "bad-option",
                f"{self.host} can be reached from other machines: give a --token that they have to show, or leave --host out.",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def allows(self, host: str) -> bool:
        """Whether a request may be addressed to this name or address (the Host header without its port).

        A page of somebody else's that points its own name at this machine (DNS rebinding) has that name in the header. Names are
        therefore refused unless they are known; addresses cannot be rebound.
        """
        host = host.lower().rstrip(".")
        if host in LOOPBACK_NAMES or host in (name.lower() for name in self.names):
            return True
        if self.is_loopback:
            return False
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host in (self.host.lower(), socket.gethostname().lower())
        return True

    def place(self) -> Path:
        """The server's own folder."""
        from fugato.models.names import home

        return self.folder if self.folder is not None else home() / "serve"


def processors() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
