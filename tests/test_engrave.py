"""Engraved pages, where Verovio is installed, and what is said where it is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pytest

import fugato
from fugato.errors import FugatoError
from fugato.score import Score
from fugato.write import outside

from .music_files import piece


def heads(path: Path) -> int:
    """Noteheads on a page."""
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    return sum(element.get("class") == "notehead" for element in root.iter())


def test_every_note_is_on_a_page_and_the_pages_are_the_same_twice(tmp_path: Path) -> None:
    pytest.importorskip("verovio", reason="engraving needs the extra scores")
    score = piece(3, 40)
    out = fugato.write(score, tmp_path / "a.svg")
    pages = sorted(tmp_path.glob("a*.svg"))
    assert out == tmp_path / "a.svg" and out in pages
    assert sum(map(heads, pages)) >= len(score)
    first = out.read_bytes()
    assert fugato.write(score, out).read_bytes() == first


def test_a_long_piece_has_several_pages(tmp_path: Path) -> None:
    pytest.importorskip("verovio", reason="engraving needs the extra scores")
    fugato.write(piece(3, 600), tmp_path / "b.svg")
    assert (tmp_path / "b-2.svg").is_file() and heads(tmp_path / "b-2.svg") > 0


def test_without_verovio_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "verovio" else real(name, *a))
    with pytest.raises(FugatoError) as caught:
        fugato.write(piece(3, 8), tmp_path / "a.svg")
    assert caught.value.kind == "bad-option" and "fugato[scores]" in caught.value.message


def test_a_performance_and_a_bad_place_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("verovio", reason="engraving needs the extra scores")
    free = Score.from_notes([0.013, 0.377], [0.1, 0.2], [60, 61], beats="default")
    for score, out, kind in ((free, "a.svg", "unsupported"), (piece(3, 8), "nowhere/a.svg", "bad-output")):
        with pytest.raises(FugatoError) as caught:
            fugato.write(score, tmp_path / out)
        assert caught.value.kind == kind


def test_a_job_that_hangs_or_crashes_is_an_error_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FugatoError) as caught:
        outside.run("engrave", b"", seconds=0.001, what="Verovio", options={})
    assert caught.value.kind == "timeout"
    with pytest.raises(FugatoError) as caught:
        outside.run("no such job", b"", seconds=60, what="Verovio")
    assert caught.value.kind == "unsupported" and "Verovio" in caught.value.message
