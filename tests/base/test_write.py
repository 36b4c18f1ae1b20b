"""Pieces are written as MIDI, notation, sound and pictures with the base dependencies alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fugato
from fugato.score import Score

SCORE = Score.from_notes(np.arange(16) / 2, np.full(16, 0.5), 60 + np.arange(16) % 12)


def test_everything_but_engraving_needs_no_extra(tmp_path: Path) -> None:
    for name in ("a.mid", "a.musicxml", "a.mxl"):
        found = fugato.read(fugato.write(SCORE, tmp_path / name))
        assert found.notes["pitch"].tolist() == SCORE.notes["pitch"].tolist()
        assert np.allclose(found.notes["onset"], SCORE.notes["onset"])
    assert fugato.write(SCORE, tmp_path / "a.wav").stat().st_size > 100_000
    assert fugato.write(SCORE, tmp_path / "b.wav", soundfont="built-in").stat().st_size > 100_000
    assert fugato.plot(SCORE, tmp_path / "a.png").exists()
