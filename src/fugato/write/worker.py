"""The process in which other people's C++ runs: ``python -m fugato.write.worker``. One job, then it ends.

Verovio brings the whole process down on some scores, symusic's synthesiser on damaged soundfonts. Here that costs one file. The request
is a JSON header with the name of the job and a blob; the reply is blobs or an error, framed as in `fugato.read.frames`.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable
from typing import Any, Final

from fugato.errors import FugatoError
from fugato.read.frames import receive, send
from fugato.read.lowered import lower_limit

TAIL: Final = 1.5  # seconds for the last note to ring
FADE: Final = 0.3  # of which it fades out for so long
PEAK: Final = 0.95


def engrave(data: bytes, *, options: dict[str, Any]) -> list[bytes]:
    """Pages of a MusicXML document as SVG, by Verovio."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(options)
    if not toolkit.loadData(data.decode()):
        raise FugatoError("unsupported", "Verovio cannot engrave it.")
    return [toolkit.renderToSVG(page).encode() for page in range(1, toolkit.getPageCount() + 1)]


def perform(data: bytes, *, sizes: list[int]) -> list[bytes]:
    """MusicXML documents, one after another in `data`, as the MIDI files that Verovio makes of them; empty where it makes none."""
    import base64

    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    made, start = [], 0
    for size in sizes:
        known = toolkit.loadData(data[start : start + size].decode())
        made.append(base64.b64decode(toolkit.renderToMIDI()) if known else b"")
        start += size
    return made


def play(data: bytes, *, soundfont: str, rate: int) -> list[bytes]:
    """Samples of a MIDI file, 16-bit and stereo, by symusic's synthesiser."""
    import numpy as np
    import symusic
    from symusic.core import Synthesizer

    piece: Any = symusic.Score.from_midi(data)
    last = piece.tempos[-1].qpm if len(piece.tempos) else 120.0
    ticks = round(TAIL * last / 60 * piece.ticks_per_quarter)
    end = piece.end() + ticks
    piece.tracks[0].notes.append(symusic.Note(end, 1, 60, 1))  # the synthesiser stops dead at the last note-off
    try:
        samples = np.array(Synthesizer(soundfont, rate, 0).render(piece, True), np.float32)  # (2, n_samples)
    except TypeError as e:  # symusic 0.6.0 cannot hand its samples over
        raise FugatoError(
            "unsupported", f"The installed symusic {symusic.__version__} has no working synthesiser."
        ) from e
    except RuntimeError as e:
        reason = str(e).split(":")[0].strip(" !")
        raise FugatoError("bad-option", f"The soundfont cannot be used ({reason}).") from e
    samples = samples[:, : max(samples.shape[1] - round(0.05 * rate), 0)]  # without the note that holds the end open
    peak = float(np.abs(samples).max(initial=0.0))
    if not np.isfinite(peak) or peak < 1e-4:
        raise FugatoError("bad-option", "The soundfont has no sound for its instruments.")
    fade = min(round(FADE * rate), samples.shape[1])
    samples[:, samples.shape[1] - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    samples *= 32767 * PEAK / peak
    return [np.rint(samples.T).astype("<i2").tobytes()]


JOBS: Final[dict[str, Callable[..., list[bytes]]]] = {"engrave": engrave, "perform": perform, "play": play}


def main() -> None:
    """Do one job; standard output belongs to the reply, so whatever a library prints goes nowhere."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    warnings.simplefilter("ignore")
    header, (data,) = receive(requests)
    # C++ that never comes back would outlive a parent that was killed, and holds the lock that a thread would need to look for it.
    lower_limit("RLIMIT_CPU", math.ceil(time.process_time() + header["seconds"]))
    try:
        send(replies, {}, *JOBS[header["job"]](data, **header["options"]))
    except FugatoError as e:
        send(replies, {"error": [e.kind, e.message]})


if __name__ == "__main__":
    main()
