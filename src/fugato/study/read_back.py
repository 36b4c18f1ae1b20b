"""Whether what Fugato writes is read back with the same notes: MIDI by its own reader, MusicXML by music21 and by Verovio.

Verovio runs in a process of its own, since it brings the whole process down on some scores.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Final

import numpy as np

from fugato.errors import FugatoError
from fugato.read import read
from fugato.read.limits import DEFAULT_LIMITS
from fugato.score import Score
from fugato.write.midi import midi_bytes
from fugato.write.musicxml import musicxml_bytes
from fugato.write.outside import run

CLOSE: Final = 0.02  # quarter notes: rounded durations of the sources
SECONDS: Final = 60.0  # for Verovio, for all documents of a call


def same(found: Score, wanted: Score) -> bool:
    """Whether two Scores have the same onsets and pitches."""
    a, b = (
        np.array(sorted(zip(np.round(s.notes["onset"], 2), s.notes["pitch"], strict=True))) for s in (found, wanted)
    )
    return a.shape == b.shape and (not a.size or bool(np.abs(a - b).max() < CLOSE))


def by_music21(data: bytes) -> Score:
    """A MusicXML document as music21 reads it."""
    from music21 import converter

    from fugato.read.streams import score_of_streams

    return score_of_streams([converter.parseData(data.decode(), format="musicxml")], "musicxml", DEFAULT_LIMITS)


def by_verovio(documents: Sequence[bytes]) -> list[Score | None]:
    """MusicXML documents as Verovio reads them, by the MIDI that it makes of each; None where it breaks down.

    Raises
    ------
    FugatoError
        ``bad-option`` where Verovio is not installed.
    """
    if importlib.util.find_spec("verovio") is None:
        raise FugatoError(
            "bad-option", "This needs the package verovio: install it with  pip install 'fugato[scores]'."
        )
    try:
        made = _performed(documents)
    except FugatoError:  # one of them ended the process: which?
        made = []
        for document in documents:
            try:
                made += _performed([document])
            except FugatoError:
                made.append(b"")
    return [read(midi) if midi else None for midi in made]


def _performed(documents: Sequence[bytes]) -> list[bytes]:
    sizes = [len(document) for document in documents]
    return run("perform", b"".join(documents), seconds=SECONDS, what="Verovio", sizes=sizes)


def read_back(scores: Sequence[Score]) -> list[dict[str, bool]]:
    """For each piece whether ``midi``, ``music21`` and, where it is installed, ``verovio`` give the same notes."""
    documents = [musicxml_bytes(score) if len(score) else b"" for score in scores]
    found = []
    engraved: list[Score | None] | None = None
    if importlib.util.find_spec("verovio") is not None:
        told = iter(by_verovio([document for document in documents if document]))
        engraved = [next(told) if document else None for document in documents]
    for i, (score, document) in enumerate(zip(scores, documents, strict=True)):
        row = dict.fromkeys(("midi", "music21"), False)
        if document:
            row = {"midi": same(read(midi_bytes(score)), score), "music21": _read_by_music21(document, score)}
        if engraved is not None:
            again = engraved[i]
            row["verovio"] = again is not None and same(again, score)
        found.append(row)
    return found


def _read_by_music21(document: bytes, score: Score) -> bool:
    try:
        return same(by_music21(document), score)
    except Exception:  # noqa: BLE001 - whatever it stumbles over, it does not read the piece
        return False
