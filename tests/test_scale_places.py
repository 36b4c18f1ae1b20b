"""Inputs at an address: members of an archive, and files of a local server that speaks S3; asked of identify, genre and featurise."""

from __future__ import annotations

import json
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fugato.errors import FugatoError
from fugato.scale.places import fetch, fetched, find, is_remote, list_pieces

from .music_styles import write_collection
from .read_files import midi, scale
from .sound_files import encoded, tone

pytest.importorskip("fsspec", reason="needs the extra scale")
SUFFIXES = (".mid", ".krn")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pieces each of three invented composers, a file of another kind and one that is no music."""
    folder = write_collection(tmp_path_factory.mktemp("music"), range(2))
    (folder / "notes.txt").write_text("not music")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.mid").write_bytes(midi(scale()))
    (sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")[0] / "broken.mid").write_bytes(b"MThd")
    return folder


@pytest.fixture(scope="module")
def archive(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zip") / "music.zip"
    with zipfile.ZipFile(path, "w") as out:
        for file in sorted(music.rglob("*")):
            if file.is_file():
                out.write(file, file.relative_to(music).as_posix())
    return path


@pytest.fixture(scope="module")
def bucket(music: Path, archive: Path) -> Iterator[str]:
    """The same files in a bucket, served on this machine; gives the address of the bucket."""
    pytest.importorskip("s3fs", reason="needs s3fs")
    server_module = pytest.importorskip("moto.server", reason="needs moto and flask")
    import fsspec

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ACCESS_KEY_ID", "any"), ("SECRET_ACCESS_KEY", "any"), ("DEFAULT_REGION", "us-east-1")):
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        files = fsspec.filesystem("s3")
        files.mkdir("library")
        for file in sorted(music.rglob("*")):
            if file.is_file():
                files.pipe_file(f"library/music/{file.relative_to(music).as_posix()}", file.read_bytes())
        files.pipe_file("library/music.zip", archive.read_bytes())
        yield "s3://library"
        fsspec.get_filesystem_class("s3").clear_instance_cache()
    server.stop()


def below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.mid") if not p.parent.name.startswith("."))


def test_addresses_are_told_from_paths() -> None:
    for address in ("s3://bucket/x.mid", "zip://::music.zip", "https://host/x.mid", "zip://a.mid::s3://b/c.zip"):
        assert is_remote(address)
    for path in ("x.mid", "/music/x.mid", "C:\\music\\x.mid", "a:/b", "music/10:30.mid"):
        assert not is_remote(path)


def test_an_archive_is_walked_and_its_members_are_read(music: Path, archive: Path) -> None:
    found = find(f"zip://::{archive}", SUFFIXES)
    assert found == [f"zip://{name}::{archive}" for name in below(music)]
    assert fetch(found[-1], 10**6) == (music / below(music)[-1]).read_bytes()
    with pytest.raises(FugatoError, match=r"More than 3 bytes") as caught:
        fetch(found[0], 3)
    assert caught.value.kind == "too-large"


def test_a_bucket_and_an_archive_in_it_are_walked(music: Path, bucket: str) -> None:
    found = find(f"{bucket}/music", SUFFIXES)
    assert found == [f"{bucket}/music/{name}" for name in below(music)]
    inside = find(f"zip://::{bucket}/music.zip", SUFFIXES)
    assert inside == [f"zip://{name}::{bucket}/music.zip" for name in below(music)]
    for address in (found[-1], inside[-1]):
        assert fetch(address, 10**6) == (music / below(music)[-1]).read_bytes()
        with fetched(address, 10**6) as path:
            assert Path(path).read_bytes() == fetch(address, 10**6) and path.endswith(".mid")
        assert not Path(path).exists()


def test_a_labelled_collection_in_an_archive_is_that_of_the_folder(music: Path, archive: Path) -> None:
    from fugato.corpus import load_corpus

    here, there = load_corpus(music), list_pieces(f"zip://::{archive}")
    assert here.ids == there.ids and here.labels == there.labels
    assert all(piece.path.startswith("zip://") for piece in there)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("zip://::{}/nowhere.zip", "bad-data"),
        ("zip://nobody::{}/music.zip", "bad-data"),
        ("zip://::{}/broken.mid", "bad-data"),
        ("nonsense://x", "bad-option"),
    ],
)
def test_what_is_not_there_is_said(address: str, kind: str, archive: Path) -> None:
    (archive.parent / "broken.mid").write_bytes(b"MThd")
    with pytest.raises(FugatoError) as caught:
        find(address.format(archive.parent), SUFFIXES)
    assert caught.value.kind == kind


def test_a_member_that_has_gone_is_one_failure(archive: Path) -> None:
    with pytest.raises(FugatoError, match="no such file"):
        fetch(f"zip://gone.mid::{archive}", 10**6)


def test_identify_answers_for_addresses_as_for_files(
    music: Path, archive: Path, bucket: str, small_model: Path, tmp_path: Path
) -> None:
    from fugato.cli.app import app

    def asked(place: str, out: str) -> list[dict[str, object]]:
        path = tmp_path / out
        arguments = ["identify", place, "--model", str(small_model), "--jobs", "1", "--out", str(path)]
        assert CliRunner().invoke(app, arguments).exit_code == 1  # one is broken
        return [
            {k: v for k, v in json.loads(line).items() if k not in ("input", "elapsed")}
            for line in path.read_text().splitlines()
        ]

    here = asked(str(music), "here.jsonl")
    assert len(here) == len(below(music)) and sum("error" in answer for answer in here) == 1
    assert asked(f"zip://::{archive}", "zip.jsonl") == here
    assert asked(f"{bucket}/music/", "bucket.jsonl") == here


def test_featurise_writes_the_same_rows_from_an_archive(music: Path, archive: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra scale")
    from pyarrow import parquet

    from fugato.cli.app import app

    tables = []
    for number, place in enumerate((str(music), f"zip://::{archive}")):
        out = tmp_path / f"{number}.parquet"
        result = CliRunner().invoke(app, ["featurise", place, "--size", "20", "--jobs", "1", "--out", str(out)])
        assert result.exit_code == 0, result.stderr
        tables.append(parquet.read_table(out))
    assert tables[0].equals(tables[1]) and tables[0].num_rows > 10


def test_genre_answers_for_a_recording_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    import fsspec

    from fugato import genre
    from fugato.scale import answers

    data = encoded(tone(seconds=4.0))
    fsspec.filesystem("s3").pipe_file("library/sound/tone.wav", data)
    (answer,) = answers("genre", [f"{bucket}/sound/tone.wav"], model="genre", jobs=1)
    here = genre(data).to_dict()
    assert answer["input"] == f"{bucket}/sound/tone.wav"
    assert answer["ranking"] == here["ranking"] and answer["timeline"] == here["timeline"]
