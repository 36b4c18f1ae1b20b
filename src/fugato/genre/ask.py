"""What genre is this: a recording, or a piece that is rendered first; one Answer each, many files one after another."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.answer import Answer, Guess, ModelName, Segment
from fugato.errors import FugatoError
from fugato.genre.heard import STRETCH, Heard
from fugato.genre.hearing import FLOOR, Hearer, hearer
from fugato.models import softmax
from fugato.models.encoder_head import EncoderHead
from fugato.read import SUFFIXES as MUSIC
from fugato.read import read, read_audio
from fugato.read.files import name_of
from fugato.recording import Recording
from fugato.represent.logmel import log_mel, pieces
from fugato.score import Score
from fugato.write.synth import RATE, synthesise

SHORT: Final = 10.0  # seconds under which people are told that the recording is short
STRANGE_SHARE: Final = 0.5  # of the time; more that is unlike all training music makes the whole unknown
DIGITS: Final = 2  # of the seconds in a timeline
BLOCK: Final = 1 << 20  # bytes read at a time for the checksum

Source = str | os.PathLike[str] | bytes | BinaryIO | Score | Recording


class _Passage(NamedTuple):
    """A passage, in seconds of the recording, and what was made of it."""

    start: float
    seconds: float
    heard: Heard


def genre(source: Source, *, model: str | os.PathLike[str] = "genre", top: int | None = None) -> Answer:
    """Name the genre of a recording.

    Parameters
    ----------
    source : path, bytes, binary file object, Recording or Score
        Whatever libsndfile reads. A piece (MIDI, MusicXML, kern, ABC by its suffix, or a Score) is rendered first; a warning says so.
    model : str or path
        A shipped or local model, or a model folder.
    top : int, optional
        Keep only so many names of each ranking; all of them otherwise.

    Returns
    -------
    Answer
        Its `timeline` has a ranking for every 3 s in which something sounds. `known` is false where the recording is unlike all that was
        learnt, or no genre is likely enough.

    Raises
    ------
    FugatoError
        ``not-audio``, ``too-short`` (under 3 s), ``silent``, ``corrupt`` and what else `fugato.read.read_audio` and
        `fugato.Recording.blocks` raise; ``no-model``, ``bad-model``.

    Examples
    --------
    >>> import fugato
    >>> fugato.genre("song.flac").name  # doctest: +SKIP
    'jazz'
    """
    asked = hearer(os.fspath(model))
    started = time.perf_counter()
    if isinstance(source, Recording):
        return _answer(source, source.name, None, asked, top, started)
    if isinstance(source, Score) or _is_piece(source):
        return _rendered(source, asked, top, started)  # type: ignore[arg-type]
    return _answer(read_audio(source), name_of(source), _sha256(source), asked, top, started)


def genre_many(
    sources: Iterable[str | os.PathLike[str]],
    *,
    model: str | os.PathLike[str] = "genre",
    top: int | None = None,
    jobs: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The contract's JSON object for each file, answers and errors alike, in the order of the input.

    Files are decoded in worker processes, `jobs` at a time (one a core by default); memory does not grow with their number.

    Raises
    ------
    FugatoError
        For a wrong model, before anything is read.
    """
    hearer(os.fspath(model))
    workers = jobs or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)

    def one(source: str | os.PathLike[str]) -> dict[str, Any]:
        try:
            return genre(source, model=model, top=top).to_dict()
        except FugatoError as error:
            return {**error.to_dict(), "input": os.fspath(source)}

    return _in_order(one, sources, workers)


def _in_order(one: Any, sources: Iterable[Any], workers: int) -> Iterator[dict[str, Any]]:
    """Results in the order of the input, a few at a time under way."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Any] = []
        for source in sources:
            waiting.append(pool.submit(one, source))
            if len(waiting) > 2 * workers:
                yield waiting.pop(0).result()
        for result in waiting:
            yield result.result()


def _is_piece(source: Any) -> bool:
    """Whether a path is named like a piece of music in notes."""
    return isinstance(source, (str, os.PathLike)) and Path(source).suffix.lower() in MUSIC


def _rendered(
    source: str | os.PathLike[str] | Score, asked: Hearer | EncoderHead, top: int | None, started: float
) -> Answer:
    if isinstance(source, Score):
        score, name, sha256 = source, None, None
    else:
        score, name, sha256 = read(source), os.fspath(source), _sha256(source)
    sound = Recording.from_samples(synthesise(score), RATE, name=name)
    said = (
        "It was rendered from its notes by a synthesiser: the timbre is not that of a recording, and speaks for itself.",
        *score.warnings,
    )
    return _answer(sound, name, sha256, asked, top, started, said)


def _answer(
    recording: Recording,
    name: str | None,
    sha256: str | None,
    asked: Hearer | EncoderHead,
    top: int | None,
    started: float,
    said: Sequence[str] = (),
) -> Answer:
    card = asked.model.card
    temperature = float(card.calibration.get("temperature", 1.0))
    if isinstance(asked, EncoderHead):
        heard, probabilities = _by_encoder(recording, asked, temperature)
    else:
        heard, probabilities = _by_passages(recording, asked, temperature)
    seconds = np.array([passage.seconds for passage in heard])
    share = seconds / seconds.sum()
    strange = float(share @ np.array([passage.heard.strange for passage in heard]))
    threshold = float(card.calibration.get("known_threshold", 0.0))
    warnings = [*said, *recording.warnings]
    if recording.seconds < SHORT:
        warnings.append(f"It lasts {recording.seconds:.0f} s; the model has learnt from half minutes.")
    if strange > STRANGE_SHARE:
        warnings.append(
            "It is unlike all the music that the model has learnt from: speech, noise or a test signal perhaps."
        )
    return Answer(
        input=name,
        sha256=sha256,
        task="genre",
        ranking=_ranking(asked.labels, probabilities)[:top],
        known=bool(probabilities.max() >= threshold and strange <= STRANGE_SHARE),
        model=ModelName(card.name, card.version),
        music={
            "seconds": round(recording.seconds, DIGITS),
            "rate": recording.rate,
            "channels": recording.channels,
            "heard_seconds": round(float(seconds.sum()), DIGITS),
        },
        timeline=tuple(_timeline(heard, asked.labels, temperature, top)),
        warnings=tuple(warnings),
        elapsed=time.perf_counter() - started,
    )


def _by_passages(recording: Recording, asked: Hearer, temperature: float) -> tuple[list[_Passage], NDArray[np.float64]]:
    """What was made of each passage, and of the whole: the geometric mean of their probabilities, longer ones counting more."""
    heard = [
        _Passage(piece.start, piece.seconds, asked.hear(log_mel(piece.samples)))
        for piece in pieces(recording)
        if not piece.silent
    ]
    seconds = np.array([passage.seconds for passage in heard])
    logs = [np.log(np.maximum(softmax(passage.heard.logits, temperature), FLOOR)) for passage in heard]
    return heard, softmax(np.average(logs, axis=0, weights=seconds))


def _by_encoder(
    recording: Recording, asked: EncoderHead, temperature: float
) -> tuple[list[_Passage], NDArray[np.float64]]:
    """The same by the user's own encoder: windows of its length, and the whole by its mean states."""
    windows = list(asked.windows(recording))
    heard = []
    for window, logits in windows:
        seconds = window.end - window.start
        stretches = np.tile(logits, (max(round(seconds / STRETCH), 1), 1))
        heard.append(_Passage(window.start, seconds, Heard(logits, False, stretches)))
    return heard, softmax(asked.whole([window for window, _ in windows]), temperature)


def _timeline(
    heard: Sequence[_Passage], labels: Sequence[str], temperature: float, top: int | None
) -> Iterator[Segment]:
    """The stretches of each passage in turn; silence between passages has none."""
    for passage in heard:
        count = len(passage.heard.stretches)
        edges = np.round(passage.start + np.linspace(0, passage.seconds, count + 1), DIGITS).tolist()
        for logits, begin, end in zip(passage.heard.stretches, edges, edges[1:], strict=False):
            yield Segment(begin, end, _ranking(labels, softmax(logits, temperature))[:top])


def _ranking(labels: Sequence[str], probabilities: NDArray[Any]) -> tuple[Guess, ...]:
    order = np.argsort(-probabilities, kind="stable")
    return tuple(Guess(labels[i], float(probabilities[i])) for i in order)


def _sha256(source: Any) -> str | None:
    """Of the bytes of a file; a file object is left where it was."""
    digest = hashlib.sha256()
    if isinstance(source, bytes):
        digest.update(source)
    elif isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    else:
        return None
    return digest.hexdigest()
