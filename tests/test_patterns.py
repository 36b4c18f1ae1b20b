"""Patterns are said in a musician's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from fugato.composer import identify
from fugato.composer.identify import TELLING_PATTERNS
from fugato.composer.patterns import ASPECTS, describe
from fugato.represent.ngrams import ALPHABETS, BLOCKS

from .music_styles import COMPOSERS, styled


@pytest.mark.parametrize(
    ("block", "cell", "text"),
    [
        ("bass/1", 16 - 7, "bass falls a fifth"),
        ("melody/1", 16, "melody repeats its note"),
        ("melody/2", (16 + 2) * 33 + 16 - 12, "melody rises a whole tone, then falls an octave"),
        ("melody/2", (16 + 2) * 33 + 16 + 3, "melody rises a whole tone, then a minor third"),
        ("melody/2", (16 - 1) * 33 + 16 - 1, "melody falls a semitone twice in a row"),
        ("melody/2", 16 * 33 + 16, "melody repeats its note twice in a row"),
        ("bass/1", 0, "bass falls a major tenth or more"),
        ("melody+bass/1", (16 + 2) * 33 + 16 - 7, "bass falls a fifth, melody rises a whole tone"),
        ("melody+bass/1", (16 + 4) * 33 + 16 + 4, "melody and bass both rise a major third"),
        ("melody+bass/1", 16 * 33 + 16, "melody and bass repeat their notes"),
        ("melody+bass/1", (16 - 2) * 33 + 16, "melody falls a whole tone over the same bass note"),
        ("melody+bass/1", 16 * 33 + 16 + 5, "bass rises a fourth under the same melody note"),
        ("degree/2", 11 * 24 + 0, "melody goes from the leading note to the tonic (in major)"),
        ("degree/2", 15 * 24 + 15, "melody stays on the third degree (in minor)"),
        ("bass_degree/1", 12 + 7, "bass on the dominant (in minor)"),
        (
            "degree+bass_degree/1",
            3 * 24 + 0,
            "lowered third degree in the melody over the tonic in the bass (in major)",
        ),
        ("chord/1", 72, "a major triad"),
        ("chord/1", 292, "a diminished seventh"),
        ("chord/1", 0, "a bare note or octave"),
        ("chord/1", 8, "the bare interval of a major third"),
        ("chord/1", 592, "a fourth, a fifth and a minor seventh above the bass"),
        ("chord/1", 3, "a minor second and a second above the bass"),
        ("chord/1", 63, "a cluster of seven different pitch classes"),
        ("classes/1", 4, None),
        ("wide_classes/1", 7, None),
        ("wide_classes/1", 11, "chromatic writing: eleven different pitch classes within sixteen attacks"),
        ("ratio/1", 6, "even motion: two equal time spans in a row"),
        ("ratio/1", 3, "rhythm 2 : 1"),
        ("ratio/2", 2 * 13 + 10, "rhythm 3 : 1 : 3"),
        ("ratio/3", (3 * 13 + 6) * 13 + 9, "rhythm 2 : 1 : 1 : 2"),
        ("ratio/1", 12, "rhythm about 1 : 6"),
        ("ratio/2", 12 * 13 + 12, None),
        ("size/1", 2, "a chord of three notes"),
        ("size/2", 3, "a single note, then a chord of four notes"),
        ("size/3", 0, "three single notes in a row"),
        ("size/2", 1 * 9 + 1, "two times two notes together in a row"),
        ("size/2", 8 * 9 + 8, "two chords of nine or more notes in a row"),
        ("sounding/1", 1, "a single note sounding"),
        ("sounding/1", 11, "eleven or more notes sounding at once"),
        ("held/1", 1, "one note is held while another begins"),
        ("hold/1", 6, "melody notes held until the next attack (legato)"),
        ("bass_hold/1", 2, "bass notes let go before the next attack"),
        ("gap/1", 0, "melody and bass on one note"),
        ("gap/1", 31, "melody and bass two octaves and a fifth apart"),
        ("width/1", 3, None),
        ("chord_4/1", 1 << 3 | 1 << 6, "a major triad spelt by four attacks in a row"),
        ("place/1", 0, "attacks on the downbeat"),
        ("place/1", 3, "attacks three sixteenth notes into the bar"),
        ("place/1", 6, "attacks three eighth notes into the bar"),
        ("place/1", 60, "attacks 15 quarter notes into the bar"),
        ("place/1", 63, None),
        ("written_top/1", 10, "melody in quarter notes"),
        ("written_top/1", 9, "melody in dotted eighth notes"),
        ("written_top/1", 16, "melody in breves"),
        ("written_top/1", 0, None),
    ],
)
def test_a_cell_is_said_in_words(block: str, cell: int, text: str | None) -> None:
    assert describe(block, cell) == text


def test_every_cell_of_a_small_block_can_be_asked_for() -> None:
    for block in BLOCKS:
        if not block.bits and block.width <= max(ALPHABETS.values()):
            texts = [describe(block.name, cell) for cell in range(block.width)]
            assert all(text is None or (text and text == text.strip() and "  " not in text) for text in texts)


def test_every_kind_that_can_be_said_has_an_aspect() -> None:
    for block in BLOCKS:
        if not block.bits and any(describe(block.name, cell) for cell in range(min(block.width, 4096))):
            assert block.name.split("/")[0] in ASPECTS, block.name


@pytest.mark.parametrize("composer", COMPOSERS)
def test_an_account_of_a_piece_is_one_pattern_of_each_aspect(small_model: Path, composer: str) -> None:
    answer = identify(styled(composer, 232), model=small_model, explain=True)
    assert answer.evidence is not None
    texts = [p["text"] for p in answer.evidence["patterns"]]
    weights = [p["weight"] for p in answer.evidence["patterns"]]
    assert 3 <= len(texts) <= TELLING_PATTERNS and weights == sorted(weights, reverse=True)
    aspect_of = {
        text: ASPECTS[block.name.split("/")[0]]
        for block in BLOCKS
        if not block.bits
        for cell in range(min(block.width, 5000))
        if (text := describe(block.name, cell))
    }
    assert len({aspect_of[text] for text in texts}) == len(texts)
