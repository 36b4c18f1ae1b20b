"""Corpus: a labelled collection of pieces, from a folder per composer, a zip of one, an index file, or music21's own corpus.

`load_corpus` only lists: no file is parsed, and bytes are read when `Corpus.open` asks for them. Composers are spelt by
`fugato.corpus.names` where the table knows them, else as the collection has it; the collection's own label stays in
``extra["label"]``. What is not taken is named with the reason in `Corpus.skipped`, never passed over in silence.

The columns of an index file are those of `COLUMNS`; ``path`` and ``composer`` must be there, paths are relative to the file, and a
member of an archive is written ``archive.zip!folder/piece.mid``. ``label_corrected`` wins over ``composer``, a row with ``exclude``
is left out, ``group`` is the work (all three as the audit writes them).
"""

from __future__ import annotations

import csv
import hashlib
import os
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, overload

from fugato.errors import FugatoError

MAX_BYTES: Final = 64_000_000  # of one file; the readers refuse at 50 MB
MEMBER: Final = "!"  # between an archive and its member

COLUMNS: Final = (
    "id",
    "corpus",
    "path",
    "composer",
    "title",
    "domain",
    "format",
    "licence",
    "source",
    "split",
    "pair",
    "role",
    "group",
    "exclude",
    "label_corrected",
    "sha256",
)
_OPEN_LICENCES: Final = ("cc0", "public domain", "cc by ", "cc by-sa ", "cc-by-4", "cc-by-3", "cc-by-sa-")


@dataclass(frozen=True)
class Piece:
    """One file of a corpus.

    Attributes
    ----------
    id : str
        Unique within the corpus.
    path : str
        Where it lies: a path, or ``archive.zip!member``.
    composer : str
        In the house's spelling, or the collection's own label where the table does not know it.
    title : str
    sha256 : str
        Of the bytes, in hex; "" until known (`Corpus.sha256` computes it).
    domain : "score", "performance" or ""
    licence, source, corpus : str
    format : str
        The suffix without its dot, small.
    group : str or None
        The work; None where nobody has grouped.
    split : str
        The source's own.
    pair, role : str
        The link between a score and its performances, and which of them this is.
    extra : dict
        The other columns of the index, and ``label``: what the collection itself says.
    """

    id: str
    path: str
    composer: str
    title: str = ""
    sha256: str = ""
    domain: str = ""
    licence: str = ""
    source: str = ""
    corpus: str = ""
    format: str = ""
    group: str | None = None
    split: str = ""
    pair: str = ""
    role: str = ""
    extra: dict[str, str] = field(default_factory=dict, hash=False, compare=False)


class Corpus(Sequence[Piece]):
    """Pieces in a fixed order, with what was skipped.

    Parameters
    ----------
    pieces : iterable of Piece
    name : str
        For messages.
    skipped : iterable of (path, reason)
    """

    def __init__(self, pieces: Iterable[Piece], name: str = "", skipped: Iterable[tuple[str, str]] = ()) -> None:
        self.pieces: tuple[Piece, ...] = tuple(pieces)
        self.name = name
        self.skipped: list[tuple[str, str]] = list(skipped)
        self._archives: dict[str, zipfile.ZipFile] = {}
        self._hashes: dict[str, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.pieces)

    @overload
    def __getitem__(self, index: int) -> Piece: ...
    @overload
    def __getitem__(self, index: slice) -> Corpus: ...
    def __getitem__(self, index: int | slice) -> Piece | Corpus:
        return self._with(self.pieces[index]) if isinstance(index, slice) else self.pieces[index]

    def __iter__(self) -> Iterator[Piece]:
        return iter(self.pieces)

    def __repr__(self) -> str:
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"<Corpus {self.name!r}: {len(self)} pieces by {len(self.composers())} composers{skipped}>"

    def __getstate__(self) -> dict[str, Any]:
        return {"pieces": self.pieces, "name": self.name, "skipped": self.skipped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _with(self, pieces: Iterable[Piece]) -> Corpus:
        return Corpus(pieces, self.name, self.skipped)

    @property
    def ids(self) -> list[str]:
        """Of the pieces, in order."""
        return [p.id for p in self.pieces]

    @property
    def labels(self) -> list[str]:
        """The composer of each piece, in order."""
        return [p.composer for p in self.pieces]

    @property
    def groups(self) -> list[str | None]:
        """The work of each piece, in order."""
        return [p.group for p in self.pieces]

    def composers(self) -> dict[str, int]:
        """Number of pieces by composer, most first."""
        return dict(sorted(Counter(self.labels).items(), key=lambda item: (-item[1], item[0])))

    def licences(self) -> dict[str, dict[str, int]]:
        """Number of pieces by corpus and licence: what a model's card has to name."""
        out: dict[str, dict[str, int]] = {}
        for (corpus, licence), count in sorted(Counter((p.corpus, p.licence) for p in self.pieces).items()):
            out.setdefault(corpus, {})[licence] = count
        return out

    def filter(
        self,
        keep: Callable[[Piece], bool] | None = None,
        *,
        corpora: Collection[str] | None = None,
        exclude_corpora: Collection[str] = (),
        composers: Collection[str] | None = None,
        domain: str | None = None,
        formats: Collection[str] | None = None,
        licence_open: bool | None = None,
        min_pieces: int = 1,
    ) -> Corpus:
        """The pieces that meet every condition given, in the same order.

        Parameters
        ----------
        keep : callable, optional
            Any further condition on a Piece.
        corpora, exclude_corpora : collections of str
            Names in the ``corpus`` column to take, or to leave out.
        composers : collection of str, optional
            In any spelling that `fugato.corpus.names` understands.
        domain : "score" or "performance", optional
        formats : collection of str, optional
            Suffixes without dot.
        licence_open : bool, optional
            True: only CC0, public domain, CC BY and CC BY-SA; False: only the others.
        min_pieces : int
            Composers with fewer pieces after all else are left out.
        """
        if isinstance(corpora, str) or isinstance(composers, str) or isinstance(exclude_corpora, str):
            raise FugatoError("bad-option", "corpora and composers are lists of names, not one name")
        wanted = {label_of(c) for c in composers} if composers is not None else None
        kept = [
            p
            for p in self.pieces
            if (corpora is None or p.corpus in corpora)
            and p.corpus not in exclude_corpora
            and (wanted is None or p.composer in wanted)
            and (domain is None or p.domain == domain)
            and (formats is None or p.format in formats)
            and (licence_open is None or is_open(p.licence) == licence_open)
            and (keep is None or keep(p))
        ]
        if min_pieces > 1:
            count = Counter(p.composer for p in kept)
            kept = [p for p in kept if count[p.composer] >= min_pieces]
        return self._with(kept)

    def with_groups(self, groups: Sequence[str | None]) -> Corpus:
        """The same pieces with their works, one a piece in order."""
        return self._with(replace(p, group=g) for p, g in zip(self.pieces, groups, strict=True))

    def open(self, piece: Piece) -> bytes:
        """All bytes of a piece; FugatoError("bad-data") where it has gone, ("too-large") over `MAX_BYTES`."""
        archive, mark, member = split_ref(piece.path)
        try:
            if not mark:
                with open(piece.path, "rb") as file:
                    data = file.read(MAX_BYTES + 1)
            else:
                with self._lock:  # one handle for all threads
                    if archive not in self._archives:
                        self._archives[archive] = zipfile.ZipFile(archive)
                    with self._archives[archive].open(member) as file:
                        data = file.read(MAX_BYTES + 1)
        except (
            OSError,
            KeyError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            ValueError,
        ) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise FugatoError("bad-data", f"it cannot be read: {reason}", piece.path) from error
        if len(data) > MAX_BYTES:
            raise FugatoError("too-large", f"it has more than {MAX_BYTES // 10**6} MB", piece.path)
        return data

    def sha256(self, piece: Piece) -> str:
        """In hex; from the index where it is there, else computed once from the bytes."""
        known = piece.sha256 or self._hashes.get(piece.path)
        if known is None:
            known = self._hashes[piece.path] = hashlib.sha256(self.open(piece)).hexdigest()
        return known


def label_of(label: str) -> str:
    """The table's spelling of a composer it knows; anything else as it stands."""
    from fugato.corpus.names import composer_info

    known = composer_info(label)
    return known.name if known is not None else label.strip()


def is_open(licence: str) -> bool:
    """Whether a licence lets a generative model be trained and shared: CC0, public domain, CC BY, CC BY-SA."""
    text = licence.strip().lower() + " "
    return text.startswith(_OPEN_LICENCES) and not any(bar in text for bar in ("-nc", "-nd"))


def split_ref(path: str) -> tuple[str, str, str]:
    """A piece's path as (archive, "!", member); the last two empty where it is a plain file."""
    at = path.lower().find(".zip" + MEMBER)
    return (path[: at + 4], MEMBER, path[at + 5 :]) if at >= 0 else (path, "", "")


def load_corpus(source: str | os.PathLike[str] | Corpus) -> Corpus:
    """List a labelled collection.

    Parameters
    ----------
    source : str, path or Corpus
        * a folder with a folder for each composer: its first level is the label, whatever lies below belongs to it. A folder that
          holds an ``index.csv`` is read by that;
        * a zip of such a folder, read without unpacking; one folder wrapped around the composers' folders is looked through;
        * an index file (.csv);
        * "music21": the corpus that comes with music21;
        * a Corpus, which comes back as it is.

    Raises
    ------
    FugatoError
        ``bad-data``: nothing there, no labels, no music, missing columns; ``too-large``: an archive that would burst.
    """
    from fugato.corpus import sources

    if isinstance(source, Corpus):
        return source
    if source == "music21":
        return sources.from_music21()
    path = Path(source)
    if path.is_dir():
        index = path / "index.csv"
        return sources.from_index(index) if index.is_file() else sources.from_folder(path)
    if not path.is_file():
        raise FugatoError("bad-data", "there is no folder, archive or index file of that name", os.fspath(source))
    if path.suffix.lower() == ".csv":
        return sources.from_index(path)
    if zipfile.is_zipfile(path):
        return sources.from_zip(path)
    raise FugatoError(
        "bad-data",
        "a collection is a folder with a folder for each composer, a zip of one, or an index.csv with the columns path and composer",
        os.fspath(source),
    )


def write_index(corpus: Corpus, path: str | os.PathLike[str], *, exclude: Mapping[str, str] | None = None) -> Path:
    """Write an index file that `load_corpus` reads back; paths are relative to it where they can be.

    ``composer`` is the collection's own label and ``label_corrected`` the corpus's, where they differ by more than spelling.
    `exclude` gives, by id, the reason why a piece is to be left out from now on.
    """
    target = Path(path)
    extras = sorted({key for piece in corpus for key in piece.extra} - {"label", *COLUMNS})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*COLUMNS, *extras])
            for piece in corpus:
                label = piece.extra.get("label", piece.composer)
                row = {
                    **piece.extra,
                    **{name: getattr(piece, name, "") for name in COLUMNS},
                    "path": _relative(piece.path, target.parent),
                    "composer": label,
                    "group": piece.group or "",
                    "exclude": (exclude or {}).get(piece.id, ""),
                    "label_corrected": piece.composer if label_of(label) != piece.composer else "",
                    "sha256": piece.sha256 or corpus._hashes.get(piece.path, ""),
                }
                writer.writerow([row.get(name, "") for name in (*COLUMNS, *extras)])
    except OSError as error:
        raise FugatoError("bad-output", f"the index cannot be written there ({error.strerror})", str(target)) from error
    return target


def _relative(path: str, folder: Path) -> str:
    archive, mark, member = split_ref(path)
    try:
        near = Path(os.path.relpath(archive, folder)).as_posix()
    except ValueError:  # another drive on Windows
        near = Path(archive).as_posix()
    return f"{near}{mark}{member}"
