"""How alike in style: a vector for a piece, two pieces compared, the nearest of a collection.

The vector is that of `fugato.represent.style_space`, shipped as the model "composer-style". A cosine between two vectors means
little by itself, so it is said as a share: of the pairs of works by two different composers, and of those by one, that are less alike.
Both tables were measured on works from which the space had not been learnt. Whether two pieces are the same *work* is another question,
answered by the fingerprint of `fugato.corpus.works` and not by style.

Vectors of a collection are kept in ``FUGATO_HOME/cache`` by the SHA-256 of the bytes, so that asking again reads no music.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from fugato.answer import ModelName
from fugato.composer.identify import judgeable
from fugato.corpus import Corpus, Piece, composer_info, load_corpus
from fugato.corpus.corpus import label_of
from fugato.corpus.works import Hashes, fingerprint, same_work
from fugato.errors import FugatoError
from fugato.models import home, load_model
from fugato.read import find_files, read, read_many
from fugato.read.files import bytes_of, name_of
from fugato.represent.stream import stream
from fugato.represent.style_space import StyleSpace, load_space
from fugato.score import Score

MODEL: Final = "composer-style"
THEN: Final = "fugato.composer.style:vector_bytes"
FLUSH: Final = 1_000  # new vectors after which the store is written, so that an interruption costs little
STALE_DAYS: Final = 30.0  # a store of another version that nobody has written to for so long is removed
MADE_BY: Final = ("read", "score.py", "represent/stream.py", "represent/ngrams.py", "represent/style_space.py")

Source = str | os.PathLike[str] | bytes | BinaryIO | Score
Vectors = NDArray[np.float32]
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """Two pieces compared.

    Attributes
    ----------
    inputs : tuple of two str or None
        As given.
    alike : float
        Share of the pairs of works by two different composers that are less alike, 0..1.
    alike_within : float
        The same among pairs of two works by one composer.
    cosine : float
        Of the angle between the two vectors, -1..1.
    same_work : bool
        Whether enough of the rarer fingerprint is found in the other: another edition, arrangement or performance, or a part.
    shared_grams : int
        Grams of the fingerprints that both have.
    shared : float
        Those over the grams of the piece that has fewer, 0..1.
    model : ModelName
    """

    inputs: tuple[str | None, str | None]
    alike: float
    alike_within: float
    cosine: float
    same_work: bool
    shared_grams: int
    shared: float
    model: ModelName

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "inputs": list(self.inputs),
            "task": "compare",
            "alike": round(self.alike, 4),
            "alike_within": round(self.alike_within, 4),
            "cosine": round(self.cosine, 4),
            "same_work": self.same_work,
            "shared_grams": self.shared_grams,
            "shared": round(self.shared, 4),
            "model": self.model.to_dict(),
        }


@dataclass(frozen=True)
class Neighbour:
    """A piece of a collection near the one asked about.

    Attributes
    ----------
    path : str
        A file, or ``archive.zip!member``.
    composer, title : str
        As the collection has them; "" where it says nothing.
    alike, cosine : float
        As in `Comparison`.
    same_work : bool
    """

    path: str
    composer: str
    title: str
    alike: float
    cosine: float
    same_work: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "path": self.path,
            "composer": self.composer,
            "title": self.title,
            "alike": round(self.alike, 4),
            "cosine": round(self.cosine, 4),
            "same_work": self.same_work,
        }


@dataclass(frozen=True, eq=False)
class StyleCollection:
    """A collection with the vectors of the pieces that could be read.

    Attributes
    ----------
    pieces : tuple of Piece
        With their SHA-256.
    vectors : ndarray of float32, shape=(n_pieces, n_dimensions)
        Of unit length.
    failed : tuple of FugatoError
    """

    pieces: tuple[Piece, ...]
    vectors: Vectors
    failed: tuple[FugatoError, ...]


class _Style:
    """The shipped space with its tables."""

    def __init__(self) -> None:
        model = load_model(MODEL)
        self.folder = model.folder
        self.name = ModelName(model.card.name, model.card.version)
        self.digest = model.card.files["weights"].sha256
        self.space: StyleSpace = load_space(model.path("weights"))
        tables = model.json("tables")
        self._tables = {name: np.array(tables[name]) for name in ("different", "same")}

    def share(self, cosine: float, table: str) -> float:
        """Share of a table's pairs with a smaller cosine, 0..1."""
        quantiles = self._tables[table]
        return float(np.interp(cosine, quantiles, np.linspace(0, 1, len(quantiles))))


@lru_cache(maxsize=1)
def _style() -> _Style:
    return _Style()


def embed(source: Source) -> Vectors:
    """The style of a piece as a vector that key, tempo and encoding do not change.

    Parameters
    ----------
    source : path, bytes, binary file object or Score

    Returns
    -------
    ndarray of float32, shape=(n_dimensions,)
        Of unit length: the inner product of two is the cosine of their angle.

    Raises
    ------
    FugatoError
        ``empty``, ``drums-only``, ``too-short`` and what else `fugato.read` raises.

    Examples
    --------
    >>> import fugato
    >>> fugato.embed("nocturne.mid").shape  # doctest: +SKIP
    (256,)
    """
    name, score, _ = _opened(source)
    return _style().space.embed(judgeable(score, name))


def compare(a: Source, b: Source) -> Comparison:
    """How alike two pieces are in style, and whether they are the same work.

    Parameters
    ----------
    a, b : path, bytes, binary file object or Score

    Returns
    -------
    Comparison

    Raises
    ------
    FugatoError
        As `embed`.

    Examples
    --------
    >>> import fugato
    >>> fugato.compare("edition.mid", "performance.mid").same_work  # doctest: +SKIP
    True
    """
    style = _style()
    names, vectors, grams = [], [], []
    for source in (a, b):
        name, score, _ = _opened(source)
        events = judgeable(score, name)
        names.append(name)
        vectors.append(style.space.embed(events))
        grams.append(fingerprint(events))
    cosine = float(np.clip(vectors[0] @ vectors[1], -1, 1))
    count, smaller = _in_common(*grams)
    return Comparison(
        inputs=(names[0], names[1]),
        alike=style.share(cosine, "different"),
        alike_within=style.share(cosine, "same"),
        cosine=cosine,
        same_work=_is_one_work(count, smaller),
        shared_grams=count,
        shared=count / max(smaller, 1),
        model=style.name,
    )


def neighbours(
    source: Source,
    data: str | os.PathLike[str] | Corpus | StyleCollection,
    n: int = 10,
    *,
    jobs: int = 2,
    progress: Progress | None = None,
) -> list[Neighbour]:
    """The pieces of a collection nearest in style, the nearest first.

    Parameters
    ----------
    source : path, bytes, binary file object or Score
        Files of the collection that are byte for byte the same are left out.
    data : path, Corpus or StyleCollection
        Any folder of music, or what `fugato.load_corpus` takes.
    n : int
        How many, at most.
    jobs : int
        Reading processes.
    progress : callable, optional
        Told (pieces done, pieces in all) now and then.

    Raises
    ------
    FugatoError
        As `embed`; ``bad-data`` where the collection holds nothing that can be read; ``bad-option`` for n under 1.

    Examples
    --------
    >>> import fugato
    >>> [near.title for near in fugato.neighbours("nocturne.mid", "my-folder/", 3)]  # doctest: +SKIP
    """
    if n < 1:
        raise FugatoError("bad-option", f"{n} neighbours; there must be at least 1.")
    style = _style()
    name, score, sha256 = _opened(source)
    events = judgeable(score, name)
    vector = style.space.embed(events)
    grams = fingerprint(events)
    collection = data if isinstance(data, StyleCollection) else embed_collection(data, jobs=jobs, progress=progress)
    cosines = np.clip(collection.vectors @ vector, -1, 1)
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if collection.pieces[i].sha256 != sha256 or not sha256]
    corpus = Corpus(collection.pieces)
    return [
        Neighbour(
            path=piece.path,
            composer=piece.composer,
            title=piece.title,
            alike=style.share(float(cosines[i]), "different"),
            cosine=float(cosines[i]),
            same_work=_is_one_work(*_in_common(grams, _fingerprint_of(corpus, piece))),
        )
        for i, piece in ((i, collection.pieces[i]) for i in order[:n])
    ]


def embed_many(
    sources: Iterable[str | os.PathLike[str]], *, jobs: int | None = None
) -> Iterator[tuple[str, str, Vectors | FugatoError]]:
    """Vectors of many files, in order, read in worker processes (one a core by default) as `fugato.identify` does.

    Yields
    ------
    name : str
        As given.
    sha256 : str
        Of the bytes, "" where they could not be read.
    vector : ndarray of float32, shape=(n_dimensions,), or the FugatoError that refused the file
        Of a book of tunes, the first tune's.
    """
    if jobs is None:
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for item in read_many(sources, jobs=jobs, then=THEN, options={"model": str(_style().folder)}):
        result = np.frombuffer(item.result, np.float32) if isinstance(item.result, bytes) else item.result
        assert not isinstance(result, Score)  # vector_bytes gives bytes
        yield os.fspath(item.source), item.sha256, result  # type: ignore[arg-type]


def vector_bytes(score: Score, *, name: str, sha256: str, model: str) -> bytes:
    """One vector, for `fugato.read.read_many` to call in a worker process."""
    del sha256
    space = load_space(os.path.join(model, "weights.safetensors"))
    return space.embed(judgeable(score, name)).tobytes()


def embed_collection(
    data: str | os.PathLike[str] | Corpus, *, jobs: int = 2, store: bool = True, progress: Progress | None = None
) -> StyleCollection:
    """Vectors of a whole collection, those that are known already from ``FUGATO_HOME/cache``.

    Parameters
    ----------
    data : path or Corpus
        Any folder of music, labelled or not, or what `fugato.load_corpus` takes.
    jobs : int
        Reading processes.
    store : bool
        Look into the cache, and keep what is new there.
    progress : callable, optional
        Told (pieces done, pieces in all) now and then.

    Raises
    ------
    FugatoError
        ``bad-data`` where there is nothing that can be read.
    """
    corpus = list_collection(data)
    style = _style()
    kept = _Store(style) if store else None
    hashes: list[str] = []
    failed: dict[int, FugatoError] = {}
    known: dict[str, Vectors | FugatoError] = {}

    def unread() -> Iterator[io.BytesIO]:
        for place, piece in enumerate(corpus):
            if progress is not None:
                progress(place, len(corpus))
            try:
                content = corpus.open(piece)
            except FugatoError as error:
                failed[place] = error
                hashes.append("")
                continue
            sha256 = hashlib.sha256(content).hexdigest()
            hashes.append(sha256)
            if sha256 in known:
                continue
            if kept is not None and (stored := kept.get(sha256)) is not None:
                known[sha256] = stored
                continue
            known[sha256] = FugatoError("bad-data", "It was not read.", piece.path)  # until its answer comes
            yield _Named(content, piece.path)

    for item in read_many(unread(), jobs=jobs, then=THEN, options={"model": str(style.folder)}):
        if isinstance(item.result, bytes):
            known[item.sha256] = vector = np.frombuffer(item.result, np.float32)
            if kept is not None:
                kept.put(item.sha256, vector)
        elif isinstance(item.result, FugatoError):
            known[item.sha256] = item.result
    if kept is not None:
        kept.flush()
    if progress is not None:
        progress(len(corpus), len(corpus))
    pieces, vectors, errors = [], [], []
    for place, (piece, sha256) in enumerate(zip(corpus, hashes, strict=True)):
        result = failed.get(place) or known[sha256]
        if isinstance(result, FugatoError):
            errors.append(FugatoError(result.kind, result.message, piece.path))
        else:
            pieces.append(replace(piece, sha256=sha256))
            vectors.append(result)
    if not pieces:
        first = f" The first: {errors[0]}" if errors else ""
        raise FugatoError("bad-data", f"None of its {len(corpus)} files could be used.{first}", corpus.name)
    return StyleCollection(tuple(pieces), np.stack(vectors), tuple(errors))


# -- inputs ------------------------------------------------------------------------------------------------------------


class _Named(io.BytesIO):
    """Bytes in memory that keep the name of their file, whose suffix helps where the bytes leave the format open."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def _opened(source: Source) -> tuple[str | None, Score, str]:
    """Name, Score and SHA-256 of a source; "" for a Score."""
    if isinstance(source, Score):
        return None, source, ""
    name = name_of(source)
    content = bytes_of(source, name)
    return name, read(content, name=name), hashlib.sha256(content).hexdigest()


def list_collection(data: str | os.PathLike[str] | Corpus) -> Corpus:
    """The pieces of a collection; a folder needs no labels, and what lies in a composer's folder has that label.

    Raises
    ------
    FugatoError
        ``bad-data`` where there is no music.
    """
    if isinstance(data, Corpus) or not os.path.isdir(data) or os.path.isfile(os.path.join(data, "index.csv")):
        return load_corpus(data)
    top = Path(data)
    own = composer_info(top.resolve().name)  # of the folder of one composer
    pieces = []
    for path in find_files(top):
        parts = path.relative_to(top).parts
        composer = label_of(parts[0]) if len(parts) > 1 else own.name if own is not None else ""
        pieces.append(Piece(id="/".join(parts), path=str(path), composer=composer, title=path.stem))
    if not pieces:
        raise FugatoError("bad-data", "There is no music in it.", str(top))
    return Corpus(pieces, str(top))


# -- the same work -----------------------------------------------------------------------------------------------------


def _in_common(one: Hashes, other: Hashes) -> tuple[int, int]:
    """Grams that two fingerprints share, and the size of the smaller."""
    return len(np.intersect1d(one, other, assume_unique=True)), min(len(one), len(other))


def _is_one_work(count: int, smaller: int) -> bool:
    return bool(same_work(np.array([count]), np.array([smaller]))[0])


def _fingerprint_of(corpus: Corpus, piece: Piece) -> Hashes:
    """Read again: only the few nearest are asked. A file that has gone since shares nothing."""
    try:
        return fingerprint(stream(read(corpus.open(piece), name=piece.path)))
    except FugatoError as error:
        _log.debug("%s cannot be read again (%s)", piece.path, error)
        return np.zeros(0, np.uint32)


# -- the store ---------------------------------------------------------------------------------------------------------


class _Store:
    """Vectors by SHA-256 in one file of rows, named by a digest of the code and the weights that made them."""

    def __init__(self, style: _Style) -> None:
        self._row = np.dtype([("sha256", "u1", 32), ("vector", "<f4", style.space.n_dimensions)])
        digest = hashlib.sha256(f"{_made_by()}{style.digest}".encode()).hexdigest()[:12]
        self.path = home() / "cache" / f"style-{digest}.npy"
        self._known = self._load()
        self._new: dict[str, Vectors] = {}

    def get(self, sha256: str) -> Vectors | None:
        """The vector of these bytes, if it is known."""
        return self._known.get(sha256)

    def put(self, sha256: str, vector: Vectors) -> None:
        """Keep a vector; the file is written now and then."""
        self._new[sha256] = vector
        if len(self._new) >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what is new; a folder that cannot be written costs the store, not the run."""
        if not self._new:
            return
        self._known = {**self._load(), **self._known, **self._new}  # another process may have written meanwhile
        self._new = {}
        rows = np.zeros(len(self._known), self._row)
        rows["sha256"] = np.frombuffer(bytes.fromhex("".join(self._known)), np.uint8).reshape(-1, 32)
        rows["vector"] = np.stack(list(self._known.values()))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(f".{self.path.stem}-{os.getpid()}.npy")
            np.save(temporary, rows, allow_pickle=False)
            os.replace(temporary, self.path)
            self._remove_stale()
        except OSError as error:
            _log.warning("the style vectors cannot be kept in %s (%s)", self.path, error.strerror or error)

    def _load(self) -> dict[str, Vectors]:
        """What the file holds; nothing where there is none, or it is damaged."""
        try:
            rows = np.load(self.path, allow_pickle=False)
            if rows.dtype != self._row or rows.ndim != 1:
                return {}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, EOFError):
            _log.debug("the store %s is damaged and will be written anew", self.path, exc_info=True)
            return {}
        names = rows["sha256"].tobytes().hex()
        return dict(zip((names[i : i + 64] for i in range(0, len(names), 64)), rows["vector"], strict=True))

    def _remove_stale(self) -> None:
        for path in self.path.parent.glob("style-*.npy"):
            if path != self.path and time.time() - path.stat().st_mtime > STALE_DAYS * 86_400:
                path.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _made_by() -> str:
    """Digest of the sources whose change can change a vector."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in MADE_BY:
        path = package / name
        for source in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes() if source.is_file() else b"")
    return digest.hexdigest()
