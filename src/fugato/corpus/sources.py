"""Where a corpus comes from: folders, archives, index files and music21's own corpus, each listed as Pieces without parsing music."""

from __future__ import annotations

import csv
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

from fugato.corpus.corpus import COLUMNS, MAX_BYTES, MEMBER, Corpus, Piece, label_of
from fugato.corpus.names import canonical, composer_info
from fugato.errors import FugatoError
from fugato.read import SUFFIXES

MAX_MEMBERS: Final = 300_000  # of an archive
MAX_TOTAL: Final = 8_000_000_000  # bytes that an archive's members unpack to
MAX_RATIO: Final = 250.0  # unpacked over packed bytes of a member over a megabyte; music text lies between 5 and 40

NO_LABELS: Final = "there are no labels: put the files of each composer into a folder of that name"
NO_MUSIC: Final = f"there is no music in it: no file ends in {' '.join(SUFFIXES)}"
_FALSE: Final = frozenset({"", "0", "false", "no", "n"})
_MUSIC21_LICENCE: Final = (
    "music21 corpus: free to distribute with it, some encodings not for commercial use (its license.txt)"
)
_MUSIC21_FOLK: Final = frozenset(
    {"airdsAirs", "essenFolksong", "miscFolk", "nottingham-dataset", "oneills1850", "ryansMammoth"}
)
_MUSIC21_NO_PIECES: Final = frozenset({"demos", "theoryExercises"})
_MUSIC21_NAMES: Final = {"cpebach": "C.P.E. Bach"}
_SIGLUM: Final = re.compile(
    r"\s+[A-Z]{1,2}-[A-Z][A-Za-z]*\b.*$"
)  # "Gherardello F-Pn 568": the manuscript after the name
_STATED: Final = re.compile(
    rb"<creator[^>]*type=[\"']composer[\"'][^>]*>([^<]+)<|^!!!COM\d*(?:@@?\w+)?:\s*(.+?)\s*$|^C:\s*(.+?)\s*$",
    re.MULTILINE,
)


# -- folders and archives ----------------------------------------------------------------------------------------------


def walked(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder from the root down: its path ("" for the root), names of folders in it, and paths of files in it, hidden ones too.

    Paths are relative to the root, with slashes. Hidden folders are passed over, and those met again by links.
    """
    seen: set[str] = set()
    for path, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(path)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(d for d in below if not d.startswith("."))
        folder = Path(path).relative_to(root).as_posix()
        folder = "" if folder == "." else folder
        yield folder, below, [f"{folder}/{f}" if folder else f for f in sorted(files)]


def from_folder(root: Path) -> Corpus:
    """A folder for each composer; hidden files are passed over, links to folders are followed once."""
    names: list[str] = []
    empty: list[tuple[str, str]] = []
    for folder, below, files in walked(root):
        if not below and not files and folder:
            empty.append((folder, "an empty folder"))
        names += [name for name in files if not PurePosixPath(name).name.startswith(".")]
    pieces, skipped = _labelled(sorted(names), lambda name: str(root / name))
    return _checked(pieces, skipped + sorted(empty), root)


def from_zip(path: Path) -> Corpus:
    """A zip of such a folder. Members are read where they are, so that their paths can do no harm; bursting ones are refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise FugatoError("bad-data", f"the archive cannot be opened: {error}", str(path)) from error
    if len(members) > MAX_MEMBERS:
        raise FugatoError("too-large", f"the archive holds {len(members)} files, more than {MAX_MEMBERS}", str(path))
    total = sum(m.file_size for m in members)
    if total > MAX_TOTAL:
        raise FugatoError(
            "too-large",
            f"the archive would unpack to {total / 1e9:.1f} GB, more than {MAX_TOTAL / 1e9:.0f} GB",
            str(path),
        )
    names: list[str] = []
    skipped: list[tuple[str, str]] = []
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if member.is_dir() or "__MACOSX" in parts or any(p.startswith(".") and p != ".." for p in parts):
            continue
        if ".." in parts or name.startswith("/") or "\\" in name or ":" in parts[0]:
            skipped.append((name, "its path points outside the archive"))
        elif member.flag_bits & 1:
            skipped.append((name, "it is encrypted"))
        elif stat.S_ISLNK(member.external_attr >> 16):
            skipped.append((name, "it is a link"))
        elif member.file_size > MAX_BYTES:
            skipped.append((name, f"it unpacks to more than {MAX_BYTES // 10**6} MB"))
        elif member.file_size > 10**6 and member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise FugatoError(
                "too-large",
                f"{name} would unpack to {member.file_size / max(member.compress_size, 1):.0f} times its size, "
                f"more than {MAX_RATIO:.0f}; this looks like a zip bomb",
                str(path),
            )
        else:
            names.append(name)
    wrapping = _wrapping(names)
    pieces, unlabelled = _labelled(sorted(set(names)), lambda name: f"{path}{MEMBER}{name}", wrapping)
    return _checked(pieces, skipped + unlabelled, path)


def from_names(names: list[str], ref: Callable[[str], str], source: str) -> Corpus:
    """Such a folder in any other place, known by the names of its files alone; `ref` says where each lies."""
    pieces, skipped = _labelled(sorted(names), ref, _wrapping(names))
    return _checked(pieces, skipped, PurePosixPath(source), source)


def _wrapping(names: list[str]) -> int:
    """How many folders are wrapped around the composers' folders of an archive: usually none or one.

    A single top folder that is itself a composer's name, or holds music directly, is a label and not a wrapping.
    """
    depth = 0
    music = [PurePosixPath(n).parts for n in names if _is_music(n)]
    while (
        music and len({p[depth] for p in music if len(p) > depth + 1}) == 1 and all(len(p) > depth + 2 for p in music)
    ):
        if composer_info(music[0][depth]) is not None:
            break
        depth += 1
    return depth


def _labelled(
    names: Iterable[str], ref: Callable[[str], str], wrapping: int = 0
) -> tuple[list[Piece], list[tuple[str, str]]]:
    """Pieces of the relative paths below a collection's top, the first folder (after `wrapping` ones) being the label."""
    pieces, skipped = [], []
    for name in names:
        parts = PurePosixPath(name).parts[wrapping:]
        if not _is_music(name):
            skipped.append((name, f"not music: {PurePosixPath(name).suffix or 'no suffix'}"))
        elif len(parts) < 2:
            skipped.append((name, "no label: it lies beside the composers' folders, not in one"))
        else:
            pieces.append(_piece(name, ref(name), parts[0]))
    return pieces, skipped


def _piece(name: str, path: str, label: str, **facts: str) -> Piece:
    """A piece known by its path alone."""
    file = PurePosixPath(name)
    return Piece(
        id=name,
        path=path,
        composer=label_of(label),
        title=facts.pop("title", file.stem),
        format=file.suffix.lower().removeprefix("."),
        extra={"label": label},
        **facts,
    )


def _is_music(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _checked(
    pieces: list[Piece], skipped: list[tuple[str, str]], source: PurePath, called: str | None = None
) -> Corpus:
    if not pieces:
        loose = sum(reason.startswith("no label") for _, reason in skipped)
        message = f"{loose} pieces lie in it, but {NO_LABELS}" if loose else NO_MUSIC if skipped else "it is empty"
        raise FugatoError("bad-data", message, called or str(source))
    return Corpus(pieces, source.stem, skipped)


# -- index files -------------------------------------------------------------------------------------------------------


def from_index(path: Path) -> Corpus:
    """The rows of an index file; rows without label or file, and excluded ones, are skipped with the reason."""
    pieces: list[Piece] = []
    skipped: list[tuple[str, str]] = []
    seen: set[str] = set()
    for row in _rows(path):
        name = row["path"]
        label = row.get("label_corrected") or row["composer"]
        exclude = row.get("exclude", "")
        ref = os.path.normpath(path.parent / name) if MEMBER not in name else str(path.parent / name)
        if exclude.lower() not in _FALSE:
            skipped.append((name, "excluded by the index" + (f": {exclude}" if len(exclude) > 4 else "")))
        elif not label:
            skipped.append((name, "no label: the composer is empty"))
        elif not os.path.isfile(ref.partition(".zip" + MEMBER)[0] + (".zip" if ".zip" + MEMBER in ref else "")):
            skipped.append((name, "there is no such file beside the index"))
        else:
            id_ = row.get("id") or name
            if id_ in seen:
                raise FugatoError("bad-data", f"the id {id_!r} stands twice in it; every row needs its own", str(path))
            seen.add(id_)
            pieces.append(
                Piece(
                    id=id_,
                    path=ref,
                    composer=label_of(label),
                    title=row.get("title") or PurePosixPath(name).stem,
                    sha256=row.get("sha256", "").lower(),
                    domain=row.get("domain", ""),
                    licence=row.get("licence", ""),
                    source=row.get("source", ""),
                    corpus=row.get("corpus", ""),
                    format=row.get("format") or PurePosixPath(name).suffix.lower().removeprefix("."),
                    group=row.get("group") or None,
                    split=row.get("split", ""),
                    pair=row.get("pair", ""),
                    role=row.get("role", ""),
                    extra={"label": row["composer"], **{k: v for k, v in row.items() if v and k not in COLUMNS}},
                )
            )
    if not pieces:
        reasons = f"; the first row was skipped: {skipped[0][1]}" if skipped else ", no rows"
        raise FugatoError("bad-data", f"the index names no piece that can be used{reasons}", str(path))
    return Corpus(pieces, path.parent.name if path.name == "index.csv" else path.stem, skipped)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows with stripped values; the edge where a wrong file is refused."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=False)
            columns = [c.strip() for c in reader.fieldnames or []]
            missing = [c for c in ("path", "composer") if c not in columns]
            if missing:
                there = f"it has {', '.join(columns)}" if columns else "it is empty"
                raise FugatoError("bad-data", f"the index lacks the column {' and '.join(missing)}; {there}", str(path))
            for number, row in enumerate(reader, 2):
                cells = {(k or "").strip(): (v or "").strip() for k, v in row.items() if isinstance(v, str | None)}
                if not any(cells.values()):
                    continue
                if not cells.get("path"):
                    raise FugatoError("bad-data", f"row {number} of the index has no path", str(path))
                yield cells
    except OSError as error:
        raise FugatoError("bad-data", f"the index cannot be read ({error.strerror})", str(path)) from error
    except UnicodeDecodeError as error:
        raise FugatoError("bad-data", "the index is not UTF-8 text; save it as CSV in UTF-8", str(path)) from error
    except csv.Error as error:
        raise FugatoError("bad-data", f"the index is no CSV table: {error}", str(path)) from error


# -- music21 -----------------------------------------------------------------------------------------------------------


def from_music21() -> Corpus:
    """The corpus that comes with music21: the composer from the folder, in mixed folders from the file's own record."""
    try:
        from music21 import common
        from music21.corpus import corpora
    except ImportError as error:
        raise FugatoError(
            "bad-data", f"music21 cannot be loaded ({error}); install it to use its corpus", "music21"
        ) from error
    root = Path(common.getCorpusFilePath())
    pieces: list[Piece] = []
    skipped: list[tuple[str, str]] = []
    for path in sorted(Path(p) for p in corpora.CoreCorpus().getPaths()):
        name = path.relative_to(root).as_posix()
        folder = name.split("/")[0]
        if not _is_music(name):
            skipped.append((name, f"not music: {path.suffix}"))
        elif folder in _MUSIC21_NO_PIECES:
            skipped.append((name, "an exercise or demonstration, not a piece"))
        else:
            label = _music21_label(folder, path)
            pieces.append(
                _piece(
                    name, str(path), label, corpus="music21", source="music21", domain="score", licence=_MUSIC21_LICENCE
                )
            )
    if not pieces:
        raise FugatoError(
            "bad-data", "this installation of music21 has no corpus; install music21 from PyPI", "music21"
        )
    return Corpus(pieces, "music21", skipped)


def _music21_label(folder: str, path: Path) -> str:
    if (named := composer_info(_MUSIC21_NAMES.get(folder, folder))) is not None:
        return named.name
    stated = stated_composer(path)
    if folder in _MUSIC21_FOLK:  # "by F.H.B.", "Irish": tunes, unless somebody known signs
        known = composer_info(stated)
        return known.name if known is not None else "Traditional"
    return canonical(_SIGLUM.sub("", stated)) or "Anonymous"


def stated_composer(path: Path) -> str:
    """What a MusicXML, kern or ABC file itself says about its composer; "" where it says nothing or cannot be read."""
    try:
        if path.suffix.lower() == ".mxl":
            with zipfile.ZipFile(path) as archive:
                inner = next(
                    n for n in archive.namelist() if not n.startswith("META-INF") and n.endswith((".xml", ".musicxml"))
                )
                with archive.open(inner) as file:
                    head = file.read(20_000)
        else:
            with open(path, "rb") as file:
                head = file.read(20_000)
    except (OSError, zipfile.BadZipFile, StopIteration):
        return ""
    found = _STATED.search(head.replace(b"\r", b""))
    return next((g for g in found.groups() if g), b"").decode("utf-8", "replace").strip() if found else ""
