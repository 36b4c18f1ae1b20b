"""Length-framed messages between a process and its worker: eight bytes of length, then a JSON header and raw blobs.

No pickle: a worker that a hostile file has taken over can send wrong numbers, but no code.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Protocol

MAX_FRAME = 1 << 32  # bytes; more is no message of ours


class _In(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


class _Out(Protocol):
    def write(self, data: Any, /) -> int | None: ...
    def flush(self) -> None: ...


def send(stream: _Out, header: dict[str, Any], *blobs: bytes) -> None:
    """Write one message."""
    text = json.dumps({**header, "sizes": [len(b) for b in blobs]}).encode()
    total = 4 + len(text) + sum(map(len, blobs))
    _write(stream, struct.pack("<QI", total, len(text)) + text)
    for blob in blobs:
        _write(stream, blob)
    stream.flush()


def receive(stream: _In) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message; ``EOFError`` where the other side is gone."""
    (total,) = struct.unpack("<Q", _read(stream, 8))
    if total > MAX_FRAME:
        raise EOFError("no message")
    body = _read(stream, total)
    (size,) = struct.unpack_from("<I", body)
    header: dict[str, Any] = json.loads(body[4 : 4 + size])
    blobs, pos = [], 4 + size
    for length in header.pop("sizes"):
        blobs.append(body[pos : pos + length])
        pos += length
    return header, blobs


def _write(stream: _Out, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = stream.write(view[: 1 << 20])
        view = view[written or 0 :]


def _read(stream: _In, size: int) -> bytes:
    pieces, left = [], size
    while left:
        piece = stream.read(min(left, 1 << 20))
        if not piece:
            raise EOFError("the other side is gone")
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
