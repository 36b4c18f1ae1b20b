"""A collection is listed whole: labels from folders, archives and index files, and every file left out is named with a reason."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from fugato.corpus import Corpus, load_corpus, write_index
from fugato.corpus.corpus import is_open
from fugato.errors import FugatoError

# what a file holds does not matter for listing it
FILES = {
    "Haendel/Suites/suite 1.mid": b"one",
    "Handel/suite 2.MID": b"two",
    "Albe_niz/op 47/Asturias.musicxml": b"three",
    "My Uncle/song.abc": b"four",
    "My Uncle/notes.txt": b"words",
    "Bach/.hidden.mid": b"-",
    "loose.mid": b"five",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "music"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refused(source: Path | str, kind: str = "bad-data") -> str:
    with pytest.raises(FugatoError) as caught:
        load_corpus(source)
    assert caught.value.kind == kind
    return str(caught.value)


# -- folders -----------------------------------------------------------------------------------------------------------


def test_the_first_folder_is_the_label_however_deep_the_piece_lies(folder: Path) -> None:
    corpus = load_corpus(folder)
    assert corpus.composers() == {"Handel": 2, "Albeniz": 1, "My Uncle": 1}
    piece = next(p for p in corpus if p.composer == "Albeniz")
    assert (piece.title, piece.format, piece.extra["label"]) == ("Asturias", "musicxml", "Albe_niz")
    assert corpus.open(piece) == b"three"
    assert corpus.sha256(piece) == hashlib.sha256(b"three").hexdigest()


def test_what_is_left_out_is_named_with_the_reason(folder: Path) -> None:
    skipped = dict(load_corpus(folder).skipped)
    assert set(skipped) == {"loose.mid", "My Uncle/notes.txt"}
    assert "no label" in skipped["loose.mid"] and "not music" in skipped["My Uncle/notes.txt"]


def test_folders_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    assert "no folder, archive or index" in refused(tmp_path / "missing")
    assert "empty" in refused(tmp_path)
    (tmp_path / "a.mid").write_bytes(b"x")
    assert "put the files of each composer into a folder" in refused(tmp_path)
    (tmp_path / "a.mid").rename(tmp_path / "a.doc")
    assert "no file ends in .mid" in refused(tmp_path)
    assert "is a folder with a folder for each composer" in refused(tmp_path / "a.doc")


def test_a_folder_that_links_to_itself_is_walked_once(folder: Path) -> None:
    try:
        (folder / "Handel" / "again").symlink_to(folder)
    except OSError:
        pytest.skip("this system makes no links")
    assert load_corpus(folder).composers()["Handel"] == 2


def test_a_piece_that_has_gone_is_a_clear_error(folder: Path) -> None:
    corpus = load_corpus(folder)
    Path(corpus[0].path).unlink()
    with pytest.raises(FugatoError, match="cannot be read"):
        corpus.open(corpus[0])


# -- archives ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapping", ["", "collection/", "a/b/"])
def test_a_zip_is_read_like_its_folder(tmp_path: Path, wrapping: str) -> None:
    files = {wrapping + name: data for name, data in FILES.items() if name != "loose.mid"}
    corpus = load_corpus(zipped(tmp_path / "c.zip", {**files, "__MACOSX/x/._a.mid": b"-"}))
    assert corpus.composers() == {"Handel": 2, "Albeniz": 1, "My Uncle": 1}
    assert sorted(corpus.open(p) for p in corpus) == [b"four", b"one", b"three", b"two"]


def test_one_composer_with_albums_is_not_taken_for_a_wrapping(tmp_path: Path) -> None:
    files = {"Chopin/Mazurkas/1.mid": b"1", "Chopin/Waltzes/1.mid": b"2"}
    assert load_corpus(zipped(tmp_path / "c.zip", files)).composers() == {"Chopin": 2}


def test_members_that_point_outside_are_left_alone(tmp_path: Path) -> None:
    files = {"Bach/a.mid": b"1", "Sor/b.mid": b"2", "../../evil/c.mid": b"3", "/etc/d.mid": b"4"}
    corpus = load_corpus(zipped(tmp_path / "c.zip", files))
    assert corpus.composers() == {"Bach": 1, "Sor": 1}
    assert Counter(reason for _, reason in corpus.skipped) == {"its path points outside the archive": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.zip"]


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    assert "zip bomb" in refused(zipped(tmp_path / "c.zip", {"Bach/a.mid": b"\0" * 20_000_000}), "too-large")


def test_a_torn_archive_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "c.zip", {"Bach/a.mid": b"1", "Sor/b.mid": b"2"})
    path.write_bytes(path.read_bytes()[:40])
    refused(path)


# -- index files -------------------------------------------------------------------------------------------------------


def test_an_index_needs_only_path_and_composer(folder: Path) -> None:
    (folder / "list.csv").write_text(
        "path,composer\nloose.mid,Skriabin\ngone.mid,Bach\nHandel/suite 2.MID,\n", encoding="utf-8-sig"
    )
    corpus = load_corpus(folder / "list.csv")
    (piece,) = corpus
    assert (piece.composer, piece.format, piece.group, piece.sha256) == ("Scriabin", "mid", None, "")
    assert corpus.open(piece) == b"five"
    reasons = dict(corpus.skipped)
    assert "no such file" in reasons["gone.mid"] and "composer is empty" in reasons["Handel/suite 2.MID"]


def test_what_the_audit_writes_is_followed(folder: Path) -> None:
    (folder / "index.csv").write_text(
        "id,path,composer,group,exclude,label_corrected,mood\n"
        "a,loose.mid,Mozart,w1,,Beethoven,calm\n"
        "b,Handel/suite 2.MID,Handel,w2,copy of a,,\n"
        "c,Haendel/Suites/suite 1.mid,Haendel,w3,0,,\n"
    )
    corpus = load_corpus(folder)  # a folder with an index is read by it
    assert [(p.id, p.composer, p.group) for p in corpus] == [("a", "Beethoven", "w1"), ("c", "Handel", "w3")]
    assert corpus[0].extra == {"label": "Mozart", "mood": "calm"}
    assert corpus.skipped == [("Handel/suite 2.MID", "excluded by the index: copy of a")]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (b"", "lacks the column path and composer"),
        (b"file,name\na.mid,Bach\n", "it has file, name"),
        (b"path,composer\n", "no rows"),
        (b"path,composer\nnowhere.mid,Bach\n", "no such file"),
        (b"path,composer\n,Bach\n", "row 2 of the index has no path"),
        (b"id,path,composer\n1,loose.mid,Bach\n1,loose.mid,Bach\n", "stands twice"),
        (b"path,composer\nloose.mid,B\xe9la\n", "not UTF-8"),
    ],
)
def test_index_files_that_cannot_be_used_say_why(folder: Path, text: bytes, hint: str) -> None:
    (folder / "list.csv").write_bytes(text)
    assert hint in refused(folder / "list.csv")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_index_is_written_and_read_back(folder: Path, tmp_path: Path, kind: str) -> None:
    source = (
        folder if kind == "folder" else zipped(tmp_path / "c.zip", {k: v for k, v in FILES.items() if k != "loose.mid"})
    )
    corpus = load_corpus(source).with_groups(["w1", "w2", None, "w1"])
    for piece in corpus:
        corpus.sha256(piece)
    again = load_corpus(write_index(corpus, tmp_path / "out" / "list.csv"))
    assert [(p.id, p.composer, p.group) for p in again] == [(p.id, p.composer, p.group) for p in corpus]
    assert [again.open(p) for p in again] == [corpus.open(p) for p in corpus]
    assert [p.sha256 for p in again] == [corpus.sha256(p) for p in corpus]


# -- choosing ----------------------------------------------------------------------------------------------------------


def test_pieces_are_chosen_by_any_condition(folder: Path) -> None:
    (folder / "index.csv").write_text(
        "path,composer,corpus,domain,licence\n"
        "loose.mid,Bach,one,score,CC BY-SA 4.0\n"
        "Handel/suite 2.MID,Handel,one,performance,CC BY-NC-SA 4.0\n"
        "Haendel/Suites/suite 1.mid,Handel,two,score,unstated\n"
    )
    corpus = load_corpus(folder)
    assert corpus.filter(corpora=["one"]).labels == ["Bach", "Handel"]
    assert corpus.filter(exclude_corpora=["one"]).labels == ["Handel"]
    assert corpus.filter(composers=["Haendel"], domain="score").labels == ["Handel"]
    assert corpus.filter(licence_open=True).labels == ["Bach"]
    assert corpus.filter(licence_open=False, min_pieces=2).labels == ["Handel", "Handel"]
    assert corpus.filter(lambda p: "suite" in p.title).labels == ["Handel", "Handel"]
    assert corpus.licences()["two"] == {"unstated": 1}
    with pytest.raises(FugatoError, match="lists of names"):
        corpus.filter(composers="Bach")


@pytest.mark.parametrize(
    ("licence", "opened"),
    [
        ("CC0 1.0", True),
        ("Public Domain", True),
        ("CC BY 4.0", True),
        ("CC BY-SA", True),
        ("CC BY-SA 3.0", True),
        ("CC BY-NC-SA 4.0", False),
        ("CC BY-ND 4.0", False),
        ("unstated", False),
        ("", False),
        ("MIT", False),
    ],
)
def test_only_open_licences_are_open(licence: str, opened: bool) -> None:
    assert is_open(licence) is opened


def test_a_corpus_is_a_sequence_that_travels_to_workers(folder: Path) -> None:
    corpus = load_corpus(folder)
    assert load_corpus(corpus) is corpus
    assert isinstance(corpus[1:3], Corpus) and corpus[1:3].ids == corpus.ids[1:3]
    travelled = pickle.loads(pickle.dumps(corpus))  # noqa: S301
    assert travelled.ids == corpus.ids and travelled.open(travelled[0]) == corpus.open(corpus[0])


# -- real collections --------------------------------------------------------------------------------------------------


def test_music21s_corpus_is_listed_with_its_composers() -> None:
    pytest.importorskip("music21")
    corpus = load_corpus("music21")
    counts = corpus.composers()
    assert counts["Bach"] > 300 and counts["Palestrina"] > 1000 and counts["C. Schumann"] >= 1
    assert all(p.licence and not is_open(p.licence) for p in corpus)
    assert corpus.open(corpus[0])


@pytest.mark.corpora
def test_the_shared_index_is_listed_whole(corpora: Path) -> None:
    corpus = load_corpus(corpora / "index.csv")
    unlabelled = [path for path, reason in corpus.skipped if "no label" in reason]
    assert len(corpus) + len(corpus.skipped) == 22_587 and len(unlabelled) == 299
    piece = corpus[0]
    assert hashlib.sha256(corpus.open(piece)).hexdigest() == piece.sha256
    assert len(corpus.filter(licence_open=True)) > 4_000


@pytest.mark.corpora
def test_a_real_folder_keeps_its_loose_files_in_sight(corpora: Path) -> None:
    corpus = load_corpus(corpora / "classics" / "files")
    assert corpus.composers()["Bach"] == 1024
    assert sum("no label" in reason for _, reason in corpus.skipped) == 102
