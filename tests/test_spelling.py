"""Pitches get the names that a musician would give them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fugato.score import Key, Score
from fugato.write.spelling import Name, altered_letters, estimate_key, name_of, spell

SHARPS_OF_MAJOR = {0: 0, 2: 2, 4: 4, 5: -1, 7: 1, 9: 3, 11: 5, 1: -5, 3: -3, 8: -4, 10: -2, 6: 6}


def scale(tonic: int, steps: tuple[int, ...] = (0, 2, 4, 5, 7, 9, 11, 12)) -> list[int]:
    return [tonic + s for s in (*steps, *reversed(steps))] * 4


@pytest.mark.parametrize(("tonic", "sharps"), SHARPS_OF_MAJOR.items())
def test_a_major_scale_is_spelt_by_its_signature_and_its_key_is_found(tonic: int, sharps: int) -> None:
    pitches = scale(60 + tonic)
    score = Score.from_notes(np.arange(len(pitches)), np.ones(len(pitches)), pitches)
    assert estimate_key(score).sharps in (sharps, sharps - 12)
    usual = altered_letters(sharps)
    given_key = Score.from_notes(
        np.arange(len(pitches)), np.ones(len(pitches)), pitches, keys=[Key(0.0, sharps, "major")]
    )
    assert all(n.alter == usual.get(n.letter, 0) for n in spell(given_key))


def test_the_signature_decides_between_c_sharp_and_d_flat() -> None:
    pitches = scale(61)
    for sharps, letter in ((7, "C"), (-5, "D")):
        score = Score.from_notes(
            np.arange(len(pitches)), np.ones(len(pitches)), pitches, keys=[Key(0.0, sharps, "major")]
        )
        assert spell(score)[0].letter == letter


def test_the_leading_note_of_a_minor_key_is_raised() -> None:
    pitches = scale(57, (0, 2, 3, 5, 7, 8, 11, 12))
    score = Score.from_notes(np.arange(len(pitches)), np.ones(len(pitches)), pitches, keys=[Key(0.0, 0, "minor")])
    assert {(n.letter, n.alter) for n in spell(score)} == {(c, 0) for c in "ABCDEF"} | {("G", 1)}


@given(st.integers(0, 127), st.integers(-40, 40))
def test_a_name_sounds_as_its_pitch(pitch: int, shift: int) -> None:
    fifth = (7 * pitch) % 12 + 12 * (shift // 12)
    name = name_of(pitch, fifth)
    assert name.pitch == pitch and abs(name.alter) <= 2
    assert Name("C", 0, 4).pitch == 60 and Name("B", 1, 3).pitch == 60


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 127), min_size=1, max_size=60), st.integers(-7, 7))
def test_any_notes_can_be_spelt(pitches: list[int], sharps: int) -> None:
    score = Score.from_notes(np.arange(len(pitches)), np.ones(len(pitches)), pitches, keys=[Key(0.0, sharps, "")])
    assert [n.pitch for n in spell(score)] == pitches


def test_most_names_of_printed_music_are_found() -> None:
    from music21 import converter

    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.submodule_search_locations
    corpus = Path(spec.submodule_search_locations[0]) / "corpus"
    right = total = 0
    for name in ("bach/bwv66.6.mxl", "mozart/k155/movement2.mxl", "chopin/mazurka06-2.krn"):
        piece = converter.parse(corpus / name)
        found = sorted(
            (float(n.getOffsetInHierarchy(piece)), p.midi, p.step, int(p.alter))
            for n in piece.recurse().notes
            for p in n.pitches
        )
        keys = [
            Key(float(k.getOffsetInHierarchy(piece)), k.sharps)
            for k in piece.parts[0].recurse().getElementsByClass("KeySignature")
        ]
        score = Score.from_notes([f[0] for f in found], np.ones(len(found)), [f[1] for f in found], keys=keys)
        names = spell(score)
        right += sum((n.letter, n.alter) == f[2:] for n, f in zip(names, found, strict=True))
        total += len(found)
    assert right / total > 0.98
