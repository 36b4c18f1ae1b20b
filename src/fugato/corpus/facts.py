"""What the audit knows of a file: the fingerprint of its music, and how the file was made.

`facts` runs in the reading process, so that nothing but these few numbers comes back from an untrusted file. `read_facts` asks for
a whole corpus and keeps the answers in ``FUGATO_HOME/cache`` by the SHA-256 of the bytes: a second audit, or a training run over
the same files, parses nothing. The store is plain NumPy arrays without pickle, and is named by a digest of the code that made it,
so that a better reader never meets an old fingerprint.

The artefacts (resolution, grid, tracks, tempos, velocities) are facts about the file's maker. They are here to be measured as a
danger (`fugato.study.probe`), and no shipped representation contains them.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fugato.corpus.corpus import Corpus, Piece
from fugato.corpus.works import Hashes, distinct, fingerprint
from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.represent.stream import stream
from fugato.score import Score, on_grid_share

log = logging.getLogger(__name__)

THEN: Final = "fugato.corpus.facts:facts"
TEXT: Final = 200  # letters kept of what the file says about itself
FLUSH: Final = 2_000  # new files after which the store is written, so that an interruption costs little
STALE_DAYS: Final = 30.0  # a store of other code that nobody has written to for so long is removed
MADE_BY: Final = ("read", "score.py", "represent/stream.py", "corpus/works.py", "corpus/facts.py")

Progress = Callable[[int, int], None]


class Artefacts(NamedTuple):
    """How a file was made; numbers that say nothing about the music.

    `ticks_per_quarter` is 0 where the format has none; `on_grid` is the share of onsets on a notated grid; `parts` counts the
    channels of tracks that have notes; velocities are of 1..127, their `mode` the share of notes that have the commonest one.
    """

    ticks_per_quarter: float
    on_grid: float
    parts: float
    tempos: float
    velocity_mean: float
    velocity_deviation: float
    velocity_values: float
    velocity_low: float
    velocity_high: float
    velocity_mode: float


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of one readable file.

    Attributes
    ----------
    grams : ndarray of uint32, shape=(n_grams,)
        The fingerprint of `fugato.corpus.works`; of a book of tunes, that of all tunes.
    artefacts : Artefacts
    notes : int
    seconds : float
    text : str
        Title, composer and names of parts as the file has them, in small letters, cut at `TEXT`.
    """

    grams: Hashes
    artefacts: Artefacts
    notes: int
    seconds: float
    text: str = ""

    def to_bytes(self) -> bytes:
        """A JSON header and the raw fingerprint."""
        head = json.dumps([self.artefacts, self.notes, self.seconds, self.text]).encode()
        return struct.pack("<I", len(head)) + head + self.grams.astype("<u4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Facts:
        """The inverse of `to_bytes`."""
        (size,) = struct.unpack_from("<I", data)
        artefacts, notes, seconds, text = json.loads(data[4 : 4 + size])
        grams = np.frombuffer(data, "<u4", offset=4 + size).astype(np.uint32)
        return cls(grams, Artefacts(*artefacts), int(notes), float(seconds), str(text))


class Known(NamedTuple):
    """A piece's bytes by their SHA-256 ("" where they cannot be had), and what became of reading them."""

    sha256: str
    facts: Facts | FugatoError


def facts_of(score: Score) -> Facts:
    """Fingerprint and artefacts of one Score."""
    notes = score.notes
    velocity = notes["velocity"].astype(np.float64)
    counts = np.bincount(notes["velocity"], minlength=128) if len(notes) else np.ones(1, np.int64)
    if not len(notes):
        velocity = np.zeros(1)
    artefacts = Artefacts(
        ticks_per_quarter=float(score.ticks_per_quarter or 0),
        on_grid=on_grid_share(notes["onset"]),
        parts=float(len(score.parts)),
        tempos=float(len(score.tempos)),
        velocity_mean=float(velocity.mean()),
        velocity_deviation=float(velocity.std()),
        velocity_values=float(np.count_nonzero(counts)),
        velocity_low=float(velocity.min()),
        velocity_high=float(velocity.max()),
        velocity_mode=float(counts.max() / max(len(notes), 1)),
    )
    said = " | ".join(dict.fromkeys(t for t in (score.title, score.composer, *(p.name for p in score.parts)) if t))
    text = "".join(c if c.isprintable() else " " for c in said).lower()[:TEXT]
    return Facts(fingerprint(stream(score)), artefacts, len(notes), score.seconds, text)


def facts(score: Score, *, name: str, sha256: str) -> bytes:
    """`facts_of` as bytes, for the worker of `fugato.read.read_many`."""
    del name, sha256
    return facts_of(score).to_bytes()


def read_facts(corpus: Corpus, *, jobs: int = 2, store: bool = True, progress: Progress | None = None) -> list[Known]:
    """Facts of every piece, in order.

    Parameters
    ----------
    corpus : Corpus
    jobs : int
        Reading processes.
    store : bool
        Take what is known already from ``FUGATO_HOME/cache``, and keep what is new there.
    progress : callable, optional
        Told (pieces done, pieces in all) now and then.

    Returns
    -------
    list of Known, length n
        The SHA-256 is always that of the bytes as they are now, whatever an index says. Identical bytes are read once.
    """
    kept = _Store(_folder()) if store else None
    hashes: list[str] = []
    failed: dict[int, FugatoError] = {}
    known: dict[str, Facts | FugatoError] = {}

    def unread() -> Iterator[io.BytesIO]:
        for place, piece in enumerate(corpus):
            try:
                data = corpus.open(piece)
            except FugatoError as error:
                failed[place] = error
                hashes.append("")
                continue
            sha256 = hashlib.sha256(data).hexdigest()
            hashes.append(sha256)
            if progress is not None and place % 50 == 0:
                progress(place, len(corpus))
            if sha256 in known or sha256 in asked:
                continue
            if kept is not None and (stored := kept.get(sha256)) is not None:
                known[sha256] = stored
                continue
            asked.add(sha256)
            yield _named(data, piece)

    asked: set[str] = set()
    try:
        for item in read_many(unread(), jobs=jobs, then=THEN):
            answers = item.tunes or (item.result,)
            found = [Facts.from_bytes(a) for a in answers if isinstance(a, bytes)]
            if found:
                known[item.sha256] = _together(found)
                if kept is not None:
                    kept.put(item.sha256, _together(found))
            elif isinstance(item.result, FugatoError):
                known[item.sha256] = item.result
    finally:
        if kept is not None:
            kept.flush()
    if progress is not None:
        progress(len(corpus), len(corpus))
    return [Known(h, failed[i] if i in failed else known[h]) for i, h in enumerate(hashes)]


def _together(found: list[Facts]) -> Facts:
    """One file of several tunes: all their grams, the artefacts of the first."""
    if len(found) == 1:
        return found[0]
    grams = np.sort(np.concatenate([f.grams for f in found]))
    grams = grams[distinct(grams)]
    first = found[0]
    return Facts(grams, first.artefacts, sum(f.notes for f in found), sum(f.seconds for f in found), first.text)


class _Named(io.BytesIO):
    """Bytes in memory that keep the name of their file, whose suffix helps where the bytes leave the format open."""

    name: str = ""


def _named(data: bytes, piece: Piece) -> io.BytesIO:
    source = _Named(data)
    source.name = piece.path
    return source


# -- the store ---------------------------------------------------------------------------------------------------------


def home() -> Path:
    """``FUGATO_HOME``, or the platform's folder for user data. Not created here."""
    if set_by_user := os.environ.get("FUGATO_HOME"):
        return Path(set_by_user).expanduser()
    from platformdirs import user_data_path

    return user_data_path("fugato", appauthor=False)


def _folder() -> Path:
    return home() / "cache" / f"works-{_made_by()}"


@remember
def _made_by() -> str:
    """Digest of the sources whose change can change a fact, 12 hex digits."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for name in MADE_BY:
        path = package / name
        for source in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes() if source.is_file() else b"")
    return digest.hexdigest()[:12]


class _Store:
    """Facts by SHA-256 in up to 256 files of arrays, one for the first two hex digits; refusals are not kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, dict[str, Facts]] = {}
        self._new: dict[str, dict[str, Facts]] = {}
        self._waiting = 0

    def get(self, sha256: str) -> Facts | None:
        bucket = sha256[:2]
        if bucket not in self._loaded:
            self._loaded[bucket] = _load(self.folder / f"{bucket}.npz")
        return self._loaded[bucket].get(sha256)

    def put(self, sha256: str, facts: Facts) -> None:
        self._new.setdefault(sha256[:2], {})[sha256] = facts
        self._waiting += 1
        if self._waiting >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what is new; a folder that cannot be written costs the store, not the run."""
        new, self._new, self._waiting = self._new, {}, 0
        if not new:
            return
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True)
                _remove_stale(self.folder)
            for bucket, entries in new.items():
                path = self.folder / f"{bucket}.npz"
                merged = {**_load(path), **entries}  # another process may have written meanwhile
                _save(path, merged)
                self._loaded[bucket] = merged
        except OSError as error:
            log.warning("the fingerprints cannot be kept in %s (%s)", self.folder, error.strerror or error)


def _load(path: Path) -> dict[str, Facts]:
    """Entries of one file; none where there is none, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            ends = np.cumsum(arrays["lengths"])
            grams = np.split(arrays["grams"], ends[:-1])
            rows = zip(
                arrays["sha256"].tolist(),
                grams,
                arrays["numbers"].tolist(),
                arrays["text"].tolist(),
                strict=True,
            )
            return {
                sha: Facts(g, Artefacts(*numbers[:-2]), int(numbers[-2]), numbers[-1], text)
                for sha, g, numbers, text in rows
            }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        log.debug("the store %s is damaged and will be written anew", path, exc_info=True)
        return {}


def _save(path: Path, entries: dict[str, Facts]) -> None:
    values = list(entries.values())
    arrays: dict[str, NDArray[Any]] = {
        "sha256": np.array(list(entries)),
        "lengths": np.array([len(f.grams) for f in values], np.int64),
        "grams": np.concatenate([f.grams for f in values]).astype(np.uint32),
        "numbers": np.array([[*f.artefacts, f.notes, f.seconds] for f in values], np.float64),
        "text": np.array([f.text for f in values]),
    }
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type,unused-ignore]
    os.replace(temporary, path)


def _remove_stale(ours: Path) -> None:
    """Remove stores that other versions of the code left behind long ago."""
    for folder in ours.parent.glob("works-*"):
        if folder != ours and time.time() - folder.stat().st_mtime > STALE_DAYS * 86_400:
            for file in folder.glob("*.npz"):
                file.unlink(missing_ok=True)
            try:
                folder.rmdir()
            except OSError:
                log.debug("%s is not empty", folder)
