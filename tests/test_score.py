"""A Score cut to some of its bars: what stood before holds, what comes after is gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fugato.score import Key, Meter, Score, Tempo


@pytest.fixture
def piece() -> Score:
    """Eight bars of four quarters, with changes at bars 2, 4 and 6."""
    score = Score.from_notes(np.arange(32.0), np.ones(32), 60 + np.arange(32) % 12)
    return replace(
        score,
        tempos=(Tempo(0.0, 60.0), Tempo(8.0, 90.0), Tempo(24.0, 120.0)),
        meters=(Meter(0.0, 4, 4), Meter(16.0, 2, 2)),
        keys=(Key(0.0, 0, "major"), Key(16.0, 2, "major")),
    )


def test_an_excerpt_has_its_own_changes_and_none_that_come_later(piece: Score) -> None:
    assert len(piece.bars) == 8
    cut = piece.excerpt(2, 3)
    assert cut.notes["onset"].tolist() == list(range(8))
    assert cut.tempos == (Tempo(0.0, 90.0),)
    assert cut.meters == (Meter(0.0, 4, 4),) and cut.keys == (Key(0.0, 0, "major"),)
    cut = piece.excerpt(3, 5)
    assert cut.meters == (Meter(0.0, 4, 4), Meter(4.0, 2, 2)) and cut.keys[-1] == Key(4.0, 2, "major")
    assert cut.tempos == (Tempo(0.0, 90.0),), "the change at the first bar after it belongs to that bar"


def test_the_whole_is_an_excerpt_too(piece: Score) -> None:
    whole = piece.excerpt(0, 7)
    assert whole.tempos == piece.tempos and whole.meters == piece.meters and whole.keys == piece.keys


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (3, 2), (0, 8)])
def test_bars_that_there_are_not_are_refused(first: int, last: int, piece: Score) -> None:
    with pytest.raises(IndexError):
        piece.excerpt(first, last)
