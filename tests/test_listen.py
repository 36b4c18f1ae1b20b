"""A listener says while a piece is played what `identify` says of the notes so far."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fugato
from fugato.composer import identify, listen
from fugato.composer.listen import Listener
from fugato.errors import FugatoError
from fugato.score import Score

from .music_files import midi_of
from .music_styles import performed, styled


def seconds_of(score: Score) -> list[tuple[int, float, float]]:
    """(pitch, onset, duration) in seconds."""
    return [(int(n["pitch"]), float(n["onset_seconds"]), float(n["duration_seconds"])) for n in score.notes]


def same(a: Any, b: Any, within: float = 1e-9) -> bool:
    return dict(a) == pytest.approx(dict(b), abs=within)


def test_after_all_notes_it_says_what_identify_says(small_model: Path) -> None:
    for composer in ("Bach", "Chopin", "Joplin"):
        piece = performed(styled(composer, 210))
        listener = Listener(small_model)
        listener.feed(seconds_of(piece))
        expected = identify(piece, model=small_model)
        assert same(listener.ranking, expected.ranking), composer
        assert listener.known == expected.known
        answer = listener.answer(explain=True, top=2)
        assert answer.ranking == expected.ranking[:2] and answer.evidence is not None
        assert len(listener) == len(listener.score) == answer.music["notes"] == len(piece)


def test_it_says_of_the_notes_so_far_what_identify_says_of_them(small_model: Path) -> None:
    piece = performed(styled("Chopin", 211))
    listener = Listener(small_model)
    for n, (pitch, onset, duration) in enumerate(seconds_of(piece), 1):
        listener.note(pitch, onset, duration)
        if n in (40, 80, 150):
            so_far = Score.from_notes(*(piece.notes[c][:n] for c in ("onset", "duration", "pitch")), beats="default")
            assert same(listener.ranking, identify(so_far, model=small_model).ranking)


def test_a_file_and_its_notes_played_into_a_listener_get_the_same_answer(small_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "played.mid"
    path.write_bytes(midi_of(performed(styled("Joplin", 212)), ticks=9600))
    read = fugato.read(path)
    assert read.beats == "default"
    listener = Listener(small_model)
    listener.feed(seconds_of(read))
    assert same(listener.ranking, identify(path, model=small_model).ranking, 1e-6)


def test_a_score_comes_in_quarter_notes(small_model: Path) -> None:
    piece = styled("Bach", 213)
    listener = Listener(small_model, unit="quarters")
    listener.feed((int(n["pitch"]), float(n["onset"]), float(n["duration"])) for n in piece.notes)
    assert same(listener.ranking, identify(piece, model=small_model).ranking)


def test_the_last_notes_of_a_long_score_keep_their_place_in_the_bar(
    small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fugato.composer.listen.LIVE_NOTES", 203)
    notes = styled("Bach", 213).notes
    listener = Listener(small_model, unit="quarters")
    listener.feed((int(n["pitch"]), float(n["onset"]), float(n["duration"])) for n in notes)
    last = notes[-203:]
    begin = float(last["onset"].min())
    assert begin % 4, "they begin within a bar"
    expected = Score.from_notes(
        last["onset"] - begin + begin % 4, last["duration"], last["pitch"].astype(int), beats="notated"
    )
    assert same(listener.ranking, identify(expected, model=small_model).ranking)


def test_it_is_silent_before_twelve_events(small_model: Path) -> None:
    listener = Listener(small_model)
    assert listener.ranking == () and not listener.known and repr(listener) == "<Listener 0 notes>"
    for i in range(11):
        for third in (60, 64):  # two notes that are one event
            listener.note(third + i % 3, i * 0.5, 0.4)
        assert listener.ranking == () and not listener.known
    with pytest.raises(FugatoError) as caught:
        listener.answer()
    assert caught.value.kind == "too-short"
    listener.note(67, 5.5, 0.4)
    assert len(listener.ranking) == 3 and sum(p for _, p in listener.ranking) == pytest.approx(1)
    assert listener.ranking[0].name in repr(listener)
    with pytest.raises(FugatoError) as caught:
        Listener(small_model).answer()
    assert caught.value.kind == "empty"


def test_a_keyboard_sends_ons_and_offs_in_the_order_of_time(small_model: Path) -> None:
    piece = performed(styled("Chopin", 214))
    whole = Listener(small_model)
    whole.feed(seconds_of(piece))
    keyboard = Listener(small_model)
    down: list[tuple[float, bool, int]] = []
    for pitch, onset, duration in seconds_of(piece):
        down += [(onset, True, pitch), (onset + duration, False, pitch)]
    for when, on, pitch in sorted(down):
        if on:
            keyboard.note_on(pitch, when, velocity=1 + pitch % 127)
        elif pitch % 2:
            keyboard.note_off(pitch, when)
        else:
            keyboard.note_on(pitch, when, 0)  # as many keyboards say it
    assert len(keyboard) == len(whole)
    # The same key struck again before it was let go ends the first stroke: a few lengths may differ.
    assert keyboard.ranking[0].name == whole.ranking[0].name and same(keyboard.ranking, whole.ranking, 0.05)


def test_a_note_that_still_sounds_ends_with_the_last_that_was_heard(small_model: Path) -> None:
    listener = Listener(small_model)
    listener.note_on(60, 1.0)
    listener.note(64, 1.5, 1.5)
    assert listener.score.notes["duration_seconds"].tolist() == [2.0, 1.5]
    listener.note_off(60, 2.25)
    listener.note_off(60, 9.0)  # it is up already
    listener.note_off(99, 9.0)  # it was never down
    assert listener.score.notes["duration_seconds"].tolist() == [1.25, 1.5]
    listener.note_on(64, 2.5)
    listener.note_on(64, 3.5)  # struck again
    assert listener.score.notes["duration_seconds"].tolist() == pytest.approx([1.25, 1.5, 1.0, 0.0])
    assert listener.score.notes["onset_seconds"].tolist() == pytest.approx([0.0, 0.5, 1.5, 2.5]), "from the first on"


def test_the_order_and_the_clock_do_not_matter(small_model: Path) -> None:
    notes = seconds_of(performed(styled("Bach", 215)))
    first, second = Listener(small_model), Listener(small_model)
    first.feed(notes)
    late = [(pitch, onset + 1.7e9, duration) for pitch, onset, duration in notes]  # seconds since 1970
    second.feed(late[i] for i in np.random.default_rng(0).permutation(len(late)))
    assert same(first.ranking, second.ranking, 1e-3), "such a clock counts in steps of a quarter of a microsecond"
    assert len(second.score.bars) < 100


def test_candidates_and_a_new_piece(small_model: Path) -> None:
    piece = performed(styled("Bach", 216))
    listener = Listener(small_model, candidates=["Chopin", "Joplin"])
    listener.feed(seconds_of(piece))
    expected = identify(piece, model=small_model, candidates=["Chopin", "Joplin"])
    assert same(listener.ranking, expected.ranking) and len(listener.ranking) == 2 and listener.known
    assert same(listener.answer().ranking, expected.ranking)
    listener.clear()
    assert listener.ranking == () and len(listener) == 0
    listener.feed(seconds_of(piece))
    assert same(listener.ranking, expected.ranking)


def test_a_long_piece_is_heard_by_its_last_notes_and_answered_by_all(
    small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "LIVE_NOTES", 300)
    opening, ending = (seconds_of(performed(styled(c, 217, bars=40))) for c in ("Joplin", "Bach"))
    shift = opening[-1][1] + 1
    notes = opening + [(p, on + shift, d) for p, on, d in ending]
    listener, last = Listener(small_model), Listener(small_model)
    listener.feed(notes)
    last.feed(notes[-300:])
    assert same(listener.ranking, last.ranking, 1e-6)
    assert same(listener.answer().ranking, identify(listener.score, model=small_model).ranking)
    assert not same(listener.answer().ranking, listener.ranking, 0.01)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ((128, 0.0, 1.0), "0 to 127"),
        ((60.5, 0.0, 1.0), "0 to 127"),
        ((True, 0.0, 1.0), "0 to 127"),
        ((60, math.nan, 1.0), "no time"),
        ((60, 0.0, -1.0), "0 or more"),
        ((60, 0.0, math.inf), "0 or more"),
    ],
)
def test_a_note_that_cannot_be_is_refused(small_model: Path, note: Any, words: str) -> None:
    listener = Listener(small_model)
    with pytest.raises(FugatoError, match=words) as caught:
        listener.note(*note)
    assert caught.value.kind == "bad-option" and len(listener) == 0


def test_a_listener_does_not_grow_without_end(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(small_model)
    listener.note(60, 0.0, 1.0)
    with pytest.raises(FugatoError, match="from another one") as caught:
        listener.note(60, 1e6, 1.0)
    assert caught.value.kind == "too-large"
    monkeypatch.setattr(listen, "MOST_NOTES", 2)
    listener.note(62, 1.0, 1.0)
    with pytest.raises(FugatoError, match="2 notes") as caught:
        listener.note(64, 2.0, 1.0)
    assert caught.value.kind == "too-large" and len(listener) == 2


def test_wrong_options_are_refused(small_model: Path) -> None:
    for options in ({"unit": "bars"}, {"candidates": ["Nobody", "Bach"]}, {"model": "no-such-model"}):
        with pytest.raises(FugatoError):
            Listener(**{"model": small_model, **options})


def test_an_update_costs_the_same_after_an_hour(small_model: Path) -> None:
    rng = np.random.default_rng(0)
    listener = Listener(small_model)
    onset = np.cumsum(rng.exponential(0.2, 5 * listen.LIVE_NOTES))
    pitch = rng.integers(40, 90, len(onset))
    costs = []
    for n in range(len(onset)):
        listener.note(int(pitch[n]), float(onset[n]), 0.3)
        if n % listen.LIVE_NOTES > listen.LIVE_NOTES - 20:
            began = time.process_time()
            assert listener.ranking
            costs.append(time.process_time() - began)
    per_stage = np.array(costs).reshape(5, -1)
    assert np.median(per_stage[-1]) < 3 * np.median(per_stage[0]) + 0.005
