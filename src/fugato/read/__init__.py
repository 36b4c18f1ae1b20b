"""Files -> Score: MIDI, MusicXML, kern and ABC; files -> Recording: sound. With limits and a sandbox.

`read` takes one file, `read_all` a book of tunes, `read_many` a folder. The format is chosen by the bytes first and
the suffix second. What is damaged but can be understood is read, and `Score.warnings` says what was mended; the rest
is refused with a `FugatoError`. Small MIDI files are read in this process by plain NumPy; everything else is parsed
in a worker process with limits on time and memory. Repeats are not expanded; ties are joined; pitches sound as
written for the listener (transposing instruments are transposed); grace notes are short notes before the beat.
"""

from __future__ import annotations

from fugato.errors import FugatoError
from fugato.read.audio import read_audio
from fugato.read.decode import SUFFIXES as SOUND_SUFFIXES
from fugato.read.decode import AudioLimits
from fugato.read.files import Source, bytes_of, find_files, name_of, suffixes
from fugato.read.limits import DEFAULT_LIMITS, Limits
from fugato.read.many import Item, is_harmless, read_many
from fugato.read.parse import parse_found
from fugato.read.reader import Reader, shared
from fugato.read.sniff import SUFFIXES, sniff
from fugato.score import Score

__all__ = [
    "SOUND_SUFFIXES",
    "SUFFIXES",
    "AudioLimits",
    "Item",
    "Limits",
    "Reader",
    "Source",
    "find_files",
    "read",
    "read_all",
    "read_audio",
    "read_many",
    "suffixes",
]


def read(source: Source, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS, sandbox: bool = True) -> Score:
    """The piece in a file; of a book of tunes the first, with a warning.

    Parameters
    ----------
    source : path, bytes or binary file object
    name : str, optional
        What to call it in messages; its suffix helps where the bytes leave the format open. Default: the path.
    limits : Limits
        How much of it is looked at before it is refused.
    sandbox : bool
        False parses everything in this process: for files that one trusts, and for debugging.

    Raises
    ------
    FugatoError
        ``not-music``, ``empty``, ``too-large``, ``corrupt``, ``unsupported``, ``timeout``, or ``bad-data`` for a path
        that cannot be opened; `input` is the path or name.
    """
    return _read(source, name, limits, sandbox, every=False)[0]


def read_all(
    source: Source, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS, sandbox: bool = True
) -> list[Score]:
    """Every piece in a file: all tunes of an ABC book, else one. Parameters and errors as in `read`."""
    return _read(source, name, limits, sandbox, every=True)


def _read(source: Source, name: str | None, limits: Limits, sandbox: bool, every: bool) -> list[Score]:
    name = name or name_of(source)
    try:
        data = bytes_of(source, name, limits)
        found = sniff(data, name)
        if is_harmless(found) or not sandbox:
            return parse_found(found, limits, every=every)
        return shared().read(data, name=name or "", every=every, limits=limits)
    except FugatoError as e:
        raise FugatoError(e.kind, e.message, name) from e
