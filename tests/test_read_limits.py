"""Harmful files are answered in under five seconds and 500 MB, by kind; none reaches the network or another file."""

from __future__ import annotations

import io
import os
import sys
import time
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fugato.errors import FugatoError
from fugato.read import Limits, Reader, find_files, read, suffixes

from .read_files import END, chunk, header, meta, midi, musicxml, note, scale, vlq, xml_note


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader(Limits(seconds=5, memory=500_000_000)) as made:
        yield made


@cache
def bomb() -> bytes:
    """A third of a megabyte that unpacks to 300."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
        archive.open("score.xml", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(bytes(1_000_000))
    return out.getvalue()


def laughs() -> bytes:
    lines = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return f'<!DOCTYPE score-partwise [<!ENTITY l0 "ha">{lines}]><score-partwise>&l9;</score-partwise>'.encode()


def black_midi() -> bytes:
    """Nine megabytes of notes."""
    one = b"\x00\x90\x3c\x40\x00\x40\x40\x00\x43\x40" + b"\x01\x80\x3c\x00\x00\x40\x00\x00\x43\x00"
    return midi(one * (9_000_000 // len(one)))


EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE score-partwise [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<score-partwise><part-list/><work><work-title>&x;</work-title></work></score-partwise>"
)
HUGE_DELTAS = header(1, 1) + chunk(note(60, 1) + note(62, 0x0FFFFFFF) * 20 + END)


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (bytes, {"empty"}),
        (lambda: b"Just some text, renamed.\n" * 50, {"not-music"}),
        (lambda: midi(scale(), division=0), {"corrupt"}),
        (lambda: midi(meta(0x51, bytes(3)) + scale()), {"read"}),
        (lambda: midi(scale() * 9)[:-40], {"read"}),
        (lambda: midi(scale(), declared=65_535), {"read"}),
        (lambda: HUGE_DELTAS, {"too-large"}),
        (bomb, {"too-large"}),
        (laughs, {"corrupt"}),
        (lambda: EXTERNAL, {"corrupt"}),
        (black_midi, {"too-large"}),
        (lambda: header(1) + b"XXXX\0\0\0\0" * 1_000_000, {"corrupt"}),
        (lambda: header(1) + chunk(b"\xff" * 5_000_000), {"corrupt", "empty"}),
        (lambda: header(1) + chunk(b"\x00\xf4" * 2_000_000), {"corrupt", "empty"}),
        (lambda: header(1) + b"MTrk\x7f\xff\xff\xff" * 500_000, {"too-large"}),
        (lambda: b"<score-partwise>" + b"<a>" * 1_000_000, {"corrupt"}),
        (lambda: b"<score-partwise>" + b"<a/>" * 6_000_000, {"too-large"}),
        (lambda: b"**kern\n" + b"*^\n" * 5_000, {"corrupt", "empty", "timeout", "too-large"}),
    ],
)
def test_a_harmful_file_is_answered_at_once(make: object, kinds: set[str], reader: Reader) -> None:
    data = make()  # type: ignore[operator]
    start = time.perf_counter()
    try:
        reader.run(data)
        answer = "read"
    except FugatoError as e:
        answer = e.kind
    assert answer in kinds
    assert time.perf_counter() - start < 21  # five seconds of work, on a busy machine four times as long by the clock


def test_an_official_doctype_is_read_without_the_network() -> None:
    assert b"http://www.musicxml.org" in musicxml(xml_note("C"))
    assert len(read(musicxml(xml_note("C")), sandbox=False)) == 1


def test_a_zip_that_lies_about_its_size_is_stopped() -> None:
    data = bytearray(bomb())
    for mark, offset in ((b"PK\x01\x02", 24),):
        where = data.find(mark)
        data[where + offset : where + offset + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(FugatoError) as caught:
        read(bytes(data), sandbox=False)
    assert caught.value.kind in {"too-large", "corrupt"}


def test_a_zip_of_too_many_files_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(101):
            archive.writestr(f"{i}.xml", "<score-partwise/>")
    with pytest.raises(FugatoError, match="101 files"):
        read(out.getvalue(), sandbox=False)


# -- sources -----------------------------------------------------------------------------------------------------------


def test_a_path_a_file_object_and_bytes_are_the_same_music(tmp_path: Path) -> None:
    path = tmp_path / "scale.mid"
    path.write_bytes(midi(scale()))
    with path.open("rb") as file:
        scores = [read(path), read(str(path)), read(file), read(path.read_bytes())]
    assert all(np.array_equal(s.notes, scores[0].notes) for s in scores)


@pytest.mark.parametrize("name", ["", "missing.mid", "\0.mid"])
def test_what_cannot_be_opened_is_bad_data(name: str, tmp_path: Path) -> None:
    path = os.path.join(tmp_path, name)
    with pytest.raises(FugatoError) as caught:
        read(path)
    assert caught.value.kind == "bad-data"
    assert caught.value.input == path


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_bad_data(tmp_path: Path) -> None:
    path = tmp_path / "locked.mid"
    path.write_bytes(midi(scale()))
    path.chmod(0)
    with pytest.raises(FugatoError, match="cannot be opened"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mid")
    with pytest.raises(FugatoError, match="ordinary file"):
        read(tmp_path / "pipe.mid")


def test_a_text_file_object_is_refused() -> None:
    with pytest.raises(FugatoError, match="'rb'"):
        read(io.StringIO("X:1"))  # type: ignore[arg-type]


def test_a_folder_is_walked_in_order_to_its_last_file(tmp_path: Path) -> None:
    for name in ("b.mid", "a/z.KRN", "a/y.txt", "c/d/e.Mxl", ".hidden/x.mid", "a/._z.mid"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    if hasattr(os, "symlink"):
        (tmp_path / "c" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [p.relative_to(tmp_path).as_posix() for p in find_files(tmp_path)] == ["a/z.KRN", "b.mid", "c/d/e.Mxl"]
    assert ".mid" in suffixes()
    with pytest.raises(FugatoError, match="no such folder"):
        list(find_files(tmp_path / "nowhere"))


def test_lengths_of_all_sizes_are_written_as_the_specification_says() -> None:
    assert [vlq(n) for n in (0, 0x7F, 0x80, 0x0FFFFFFF)] == [b"\0", b"\x7f", b"\x81\0", b"\xff\xff\xff\x7f"]
