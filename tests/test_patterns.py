"""Patterns are said in a musician's words."""

from __future__ import annotations

import pytest

from fugato.composer.patterns import describe
from fugato.represent.ngrams import ALPHABETS, BLOCKS


@pytest.mark.parametrize(
    ("block", "cell", "text"),
    [
        ("bass/1", 16 - 7, "bass falls a fifth"),
        ("melody/1", 16, "melody repeats its note"),
        ("melody/2", (16 + 2) * 33 + 16 - 12, "melody rises a whole tone, then falls an octave"),
        ("melody+bass/1", (16 + 1) * 33 + 16 - 1, "melody rises a semitone while bass falls a semitone"),
        ("degree/2", 11 * 24 + 0, "melody from the leading note to the tonic (major)"),
        ("bass_degree/1", 12 + 7, "bass on the fifth (minor)"),
        ("chord/1", 0b10010001, "a major triad"),
        ("chord/1", 0b1001001001, "a diminished seventh"),
        ("chord/1", 0b111, "pitch classes 0, 1, 2 above the bass"),
        ("ratio/1", 6, "a step as long as the one before"),
        ("size/1", 2, "three notes struck together"),
        ("gap/1", 12, "outer notes 12 semitones apart"),
        ("width/1", 3, None),
    ],
)
def test_a_cell_is_said_in_words(block: str, cell: int, text: str | None) -> None:
    assert describe(block, cell) == text


def test_every_cell_of_a_small_block_can_be_asked_for() -> None:
    for block in BLOCKS:
        if not block.bits and block.width <= max(ALPHABETS.values()):
            for cell in range(block.width):
                text = describe(block.name, cell)
                assert text is None or text
