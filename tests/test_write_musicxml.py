"""What is written as MusicXML is valid, fills its measures, and gives back the same notes in three readers."""

from __future__ import annotations

import base64
import importlib.util
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fugato
from fugato.errors import FugatoError
from fugato.score import Key, Meter, Part, Score, Tempo
from fugato.write.layout import layout
from fugato.write.musicxml import musicxml_bytes

CORPUS = (
    "bach/bwv66.6.mxl",  # a pickup
    "joplin/maple_leaf_rag.mxl",  # two hands in one part
    "chopin/mazurka06-2.krn",  # triplets, grace notes, repeats in the middle of bars
    "schoenberg/opus19/movement2.mxl",  # tuplets over rests, double flats
    "essenFolksong/han1.abc",
)
METERS = [(4, 4), (3, 4), (2, 4), (6, 8), (12, 8), (9, 8), (5, 4), (7, 8), (2, 2), (3, 8)]


def corpus_file(name: str) -> Path:
    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "corpus" / name


def rows(score: Score, *columns: str) -> list[tuple[float, ...]]:
    """Notes as sorted rows, times rounded."""
    wanted = columns or ("onset", "pitch", "duration", "velocity", "drum")
    return sorted(zip(*[np.round(score.notes[c].astype(float), 3).tolist() for c in wanted], strict=True))


def again(score: Score) -> Score:
    return fugato.read(musicxml_bytes(score), name="piece.musicxml")


@st.composite
def pieces(draw: st.DrawFn) -> Score:
    """A piano part of up to three voices: rests, chords, ties over bar lines, triplets, quintuplets, any meter, perhaps a pickup."""
    meter = draw(st.sampled_from(METERS))
    full = 4 * meter[0] / meter[1]
    onset: list[float] = []
    duration: list[float] = []
    pitch: list[int] = []
    for voice in range(draw(st.integers(1, 3))):
        now = 0.0
        for _ in range(draw(st.integers(1, 8))):
            unit = draw(st.sampled_from([1.0, 0.5, 0.25, 1 / 3, 1 / 6, 1 / 5, 2 / 3]))
            for _ in range(draw(st.integers(1, 6))):
                length = unit * draw(st.sampled_from([1, 1, 1, 2, 3, 7]))
                kind = draw(st.sampled_from(["note", "note", "chord", "rest"]))
                low = draw(st.integers(36 + 20 * voice, 48 + 20 * voice))  # no two notes of one pitch overlap
                for step in {"note": (0,), "chord": (0, 4, 7), "rest": ()}[kind]:
                    onset.append(now)
                    duration.append(length)
                    pitch.append(low + step)
                now += length
            now = float(np.ceil(now))  # tuplets begin on beats
    if not onset:
        onset, duration, pitch = [0.0], [1.0], [60]
    bars = None
    if draw(st.booleans()):
        end = max(o + d for o, d in zip(onset, duration, strict=True))
        bars = np.append(0.0, np.arange(draw(st.sampled_from([0.5, 1.0])), end, full))
    return Score.from_notes(
        onset,
        duration,
        pitch,
        velocity=draw(st.sampled_from([80, 64])),
        parts=[Part("", draw(st.sampled_from([0, 6, 24, 41, 73])))],
        meters=[Meter(0.0, *meter)],
        tempos=[Tempo(0.0, draw(st.floats(30, 240)))],
        keys=[Key(0.0, draw(st.integers(-7, 7)), draw(st.sampled_from(["major", "minor", ""])))],
        bars=bars,
        beats="notated",
    )


def check_measures(data: bytes) -> None:
    """Every voice of every measure, hidden rests included, is as long as the measure in the first part."""
    root = ElementTree.fromstring(data)
    lengths: dict[str, set[int]] = {}
    for part in root.findall("part"):
        for measure in part.findall("measure"):
            voices: dict[str, int] = {}
            cursor = 0
            for element in measure:
                duration = int(element.findtext("duration") or 0)
                if element.tag == "backup":
                    cursor -= duration
                    assert cursor == 0, "each voice starts where the measure does"
                elif element.tag == "note" and element.find("chord") is None:
                    assert duration > 0
                    cursor += duration
                    voice = element.findtext("voice") or ""
                    voices[voice] = voices.get(voice, 0) + duration
            lengths.setdefault(measure.get("number", ""), set()).update(voices.values())
    assert all(len(found) == 1 for found in lengths.values())


@cache
def schema() -> Any:
    """The XSD of MusicXML 4.0, without the attributes for links and languages, whose schemas lie elsewhere."""
    etree = pytest.importorskip("lxml.etree")
    spec = importlib.util.find_spec("musicxml")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package musicxml, which holds the schema, is not installed")
    path = Path(spec.submodule_search_locations[0]) / "generate_classes" / "musicxml_4_0.xsd"
    text = re.sub(r'<xs:import [^>]*/>|<xs:attribute ref="(?:xlink|xml):[^>]*/>', "", path.read_text(encoding="utf-8"))
    return etree.XMLSchema(etree.fromstring(text.encode()))


def check_schema(data: bytes) -> None:
    etree = pytest.importorskip("lxml.etree")
    found = schema()
    assert found.validate(etree.fromstring(data)), found.error_log


@settings(max_examples=30, deadline=None)
@given(pieces())
def test_any_piece_is_valid_and_reads_back_the_same(score: Score) -> None:
    data = musicxml_bytes(score)
    check_measures(data)
    check_schema(data)
    found = fugato.read(data, name="piece.musicxml", sandbox=False)
    assert rows(found) == rows(score)
    assert found.meters == score.meters and [k[1] for k in found.keys] == [k[1] for k in score.keys]
    assert np.allclose(np.sort(found.notes["onset_seconds"]), np.sort(score.notes["onset_seconds"]), atol=1e-3)
    assert np.allclose(found.bars, score.bars[: len(found.bars)], atol=1e-6)


@pytest.mark.parametrize("name", CORPUS)
def test_a_piece_of_the_corpus_reads_back_the_same(name: str) -> None:
    score = fugato.read(corpus_file(name))
    data = musicxml_bytes(score)
    check_measures(data)
    check_schema(data)
    found = fugato.read(data, name="piece.musicxml")
    got, wanted = rows(found, "onset", "pitch", "duration", "part"), rows(score, "onset", "pitch", "duration", "part")
    assert len(got) == len(wanted) and np.abs(np.array(got) - np.array(wanted)).max() < 2e-3
    assert len(found.bars) == len(score.bars) and np.allclose(found.bars, score.bars, atol=2e-3)
    assert found.title == score.title and [p.program for p in found.parts] == [p.program for p in score.parts]


def music21_notes(data: bytes) -> Score:
    from music21 import converter

    from fugato.read.limits import DEFAULT_LIMITS
    from fugato.read.streams import score_of_streams

    return score_of_streams([converter.parseData(data.decode(), format="musicxml")], "musicxml", DEFAULT_LIMITS)


def verovio_notes(data: bytes) -> Score:
    verovio = pytest.importorskip("verovio")
    toolkit = verovio.toolkit()
    assert toolkit.loadData(data.decode())
    return fugato.read(base64.b64decode(toolkit.renderToMIDI()))


@pytest.mark.parametrize("name", CORPUS[:3])
def test_other_programs_read_the_same_notes(name: str) -> None:
    score = fugato.read(corpus_file(name))
    data = musicxml_bytes(score)
    wanted = np.array(rows(score, "onset", "pitch"))
    for found in (music21_notes(data), verovio_notes(data)):
        got = np.array(rows(found, "onset", "pitch"))
        assert got.shape == wanted.shape and np.abs(got - wanted).max() < 0.02
    lengths = np.array(rows(music21_notes(data), "onset", "pitch", "duration"))
    assert np.abs(lengths - np.array(rows(score, "onset", "pitch", "duration"))).max() < 2e-3


@settings(max_examples=10, deadline=None)
@given(pieces())
def test_other_programs_read_the_same_notes_of_any_piece(score: Score) -> None:
    data = musicxml_bytes(score)
    wanted = np.array(rows(score, "onset", "pitch"))
    for found in (music21_notes(data), verovio_notes(data)):
        got = np.array(rows(found, "onset", "pitch"))
        assert got.shape == wanted.shape and np.abs(got - wanted).max() < 0.02


def notes_of(score: Score) -> list[ElementTree.Element]:
    return ElementTree.fromstring(musicxml_bytes(score)).findall("part/measure/note")


def test_a_note_over_the_bar_line_is_tied_and_an_offbeat_quarter_is_not_cut() -> None:
    score = Score.from_notes([0, 0.5, 1.5, 3.0], [0.5, 1.0, 0.5, 3.0], [60, 62, 64, 65], parts=[Part("", 73)])
    signs = [
        (n.findtext("type"), [t.get("type") for t in n.findall("tie")])
        for n in notes_of(score)
        if n.find("pitch") is not None
    ]
    assert signs == [
        ("eighth", []), ("quarter", []), ("eighth", []), ("quarter", ["start"]), ("half", ["stop"]),
    ]  # fmt: skip


def test_quarter_triplets_stay_whole_and_are_bracketed() -> None:
    notes = notes_of(
        Score.from_notes([0, 2 / 3, 4 / 3, 2], [2 / 3, 2 / 3, 2 / 3, 2], [60, 62, 64, 65], beats="notated")
    )
    shown = [n for n in notes if n.find("pitch") is not None]
    assert [n.findtext("type") for n in shown] == ["quarter", "quarter", "quarter", "half"]
    assert [n.findtext("time-modification/actual-notes") for n in shown] == ["3", "3", "3", None]
    assert [t.get("type") for n in shown for t in n.findall("notations/tuplet")] == ["start", "stop"]


def test_signs_are_written_where_a_reader_needs_them() -> None:
    pitches = [
        71,
        70,
        69,
        70,
        70,
        71,
        72,
        65,
    ]  # in F major: B natural, B flat again; in the next bar B natural once more
    score = Score.from_notes(np.arange(8), np.ones(8), pitches, keys=[Key(0.0, -1, "major")], parts=[Part("", 73)])
    signs = [n.findtext("accidental") for n in notes_of(score)]
    assert signs == ["natural", "flat", None, None, None, "natural", None, None]


def test_keyboards_have_two_staves_and_other_instruments_their_clef() -> None:
    def clefs(program: int, pitches: list[int]) -> list[tuple[str | None, str | None, str | None]]:
        score = Score.from_notes(np.arange(len(pitches)), np.ones(len(pitches)), pitches, parts=[Part("", program)])
        root = ElementTree.fromstring(musicxml_bytes(score))
        return [tuple(c.findtext(t) for t in ("sign", "line", "clef-octave-change")) for c in root.iter("clef")]  # type: ignore[misc]

    treble, bass = ("G", "2", None), ("F", "4", None)
    assert clefs(0, [40, 72]) == [treble, bass] and clefs(0, [72, 74]) == [treble]
    assert clefs(40, [60, 90]) == [treble] and clefs(42, [40, 50]) == [bass]
    assert clefs(41, [60]) == [("C", "3", None)] and clefs(24, [50]) == [("G", "2", "-1")]
    score = Score.from_notes([0, 0, 0, 0], [1, 1, 1, 1], [40, 47, 72, 76], parts=[Part("", 0)])
    assert [n.findtext("staff") for n in notes_of(score) if n.find("pitch") is not None] == ["1", "1", "2", "2"]


def test_eight_overlapping_notes_need_no_more_than_four_voices() -> None:
    onset, length = np.arange(8) / 4, 3.0 - np.arange(8) / 4 + 0.25 * (np.arange(8) % 3)
    score = Score.from_notes(onset, length, 60 + 2 * np.arange(8), parts=[Part("", 73)])
    data = musicxml_bytes(score)
    check_measures(data)
    assert {int(n.findtext("voice") or 0) for n in ElementTree.fromstring(data).iter("note")} <= {1, 2, 3, 4}
    assert rows(again(score)) == rows(score)


def test_voices_do_not_cross_and_keep_their_tune() -> None:
    upper, lower = [72, 74, 76, 77], [65, 64, 62, 60]
    score = Score.from_notes(
        [0, 1, 2, 3, 0, 1.5, 2, 3], [1, 1, 1, 1, 1.5, 0.5, 1, 1], [*upper, *lower], parts=[Part("", 73)]
    )
    found = [(v.number, [n.pitch for c in v.events if c for n in c.notes]) for v in layout(score).voices[0][0][0]]
    assert found[0][1][:2] == [72, 74] and found[1][1][:2] == [65, 64]


def test_percussion_and_many_parts_are_kept() -> None:
    score = Score.from_notes(
        [0, 1, 2, 0, 1],
        [1, 1, 1, 2, 2],
        [36, 38, 42, 60, 48],
        part=[1, 1, 1, 0, 2],
        drum=[True, True, True, False, False],
        parts=[Part("Flute", 73), Part("Kit", 0, True), Part("Cello", 42)],
    )
    data = musicxml_bytes(score)
    check_schema(data)
    found = again(score)
    assert rows(found) == rows(score) and found.parts == score.parts


def test_a_quintuplet_played_in_and_a_note_played_short_are_written_as_meant() -> None:
    score = Score.from_notes([0.0, 1.013, 2.0], [0.93, 0.97, 1.9], [60, 62, 64], format="midi", beats="notated")
    assert rows(again(score), "onset", "duration") == [(0, 1), (1, 1), (2, 2)]
    fifths = np.arange(6) / 5
    score = Score.from_notes(fifths, np.full(6, 0.19), np.arange(60, 66), format="midi", beats="notated")
    assert np.allclose(rows(again(score), "onset")[:5], fifths[:5, None], atol=1e-3), "a quintuplet is one"


def test_a_performance_without_beats_and_an_empty_score_are_refused(tmp_path: Path) -> None:
    free = Score.from_notes([0.013, 0.377, 1.291], [0.1, 0.2, 0.3], [60, 61, 62], beats="default")
    for score, kind in ((free, "unsupported"), (Score.from_notes([], [], []), "empty")):
        with pytest.raises(FugatoError) as caught:
            fugato.write(score, tmp_path / "out.musicxml")
        assert caught.value.kind == kind and not (tmp_path / "out.musicxml").exists()


def test_compressed_and_plain_are_the_same_and_made_the_same_twice(tmp_path: Path) -> None:
    score = fugato.read(corpus_file(CORPUS[0]))
    for name in ("a.mxl", "b.mxl", "a.musicxml", "a.xml"):
        fugato.write(score, tmp_path / name)
    assert (tmp_path / "a.mxl").read_bytes() == (tmp_path / "b.mxl").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.mxl") as archive:
        assert archive.namelist()[0] == "mimetype"
        assert archive.read("score.musicxml") == (tmp_path / "a.musicxml").read_bytes()
    assert rows(fugato.read(tmp_path / "a.mxl")) == rows(fugato.read(tmp_path / "a.xml")) == rows(score)


def test_names_with_odd_characters_do_not_break_the_file() -> None:
    score = Score.from_notes([0], [1], [60], parts=[Part('<&">\x00 flûte', 73)], title="A & B \x1b", composer="<C>")
    data = musicxml_bytes(score)
    check_schema(data)
    found = again(score)
    assert found.composer == "<C>" and "A & B" in found.title and "flûte" in found.parts[0].name


def test_a_silent_bar_longer_than_the_meter_keeps_its_length_in_every_reader() -> None:
    score = Score.from_notes(
        [0, 4, 12, 4, 12],
        [4, 8, 4, 1, 1],
        [72, 74, 76, 48, 50],
        part=[0, 0, 0, 1, 1],
        parts=[Part("", 73), Part("", 42)],
        bars=np.array([0.0, 4.0, 12.0]),
    )
    silent = Score.from_notes(
        [0, 12, 4], [4, 4, 8], [72, 76, 48], part=[0, 0, 1], parts=[Part("", 73), Part("", 42)], bars=score.bars
    )
    for piece in (score, silent):
        data = musicxml_bytes(piece)
        check_measures(data)
        for found in (again(piece), music21_notes(data), verovio_notes(data)):
            assert rows(found, "onset", "pitch") == rows(piece, "onset", "pitch")


def test_bars_of_rest_at_the_end_are_kept() -> None:
    score = Score.from_notes([0], [2], [60], bars=np.array([0.0, 4.0, 8.0]), parts=[Part("", 73)])
    assert again(score).bars.tolist() == [0.0, 4.0, 8.0]


def test_crowded_music_is_read_by_other_programs_too() -> None:
    rng = np.random.default_rng(4)
    onset = np.sort(rng.integers(0, 96, 60)) / 4
    pitch = 50 + np.arange(60) * 7 % 31  # a pitch comes back after 31 notes
    score = Score.from_notes(
        onset, rng.choice([0.25, 1.0, 2.25, 3.0], 60), pitch, parts=[Part("", 73)], beats="notated"
    )
    data = musicxml_bytes(score)
    check_measures(data)
    for found in (again(score), music21_notes(data), verovio_notes(data)):
        assert rows(found, "onset", "pitch") == rows(score, "onset", "pitch")


@pytest.mark.parametrize(("numerator", "denominator"), [(2, 1), (3, 2), (3, 1)])
def test_a_whole_rest_beside_a_staff_that_rests_throughout_keeps_its_length(numerator: int, denominator: int) -> None:
    bar = 4.0 * numerator / denominator
    score = Score.from_notes(
        [0.0, 0.0, bar, 2 * bar + 4, 3 * bar, 3 * bar],
        [bar, bar, bar - 4, bar - 4, bar, bar],
        [72, 36, 74, 76, 72, 36],
        meters=[Meter(0.0, numerator, denominator)],
        parts=[Part("", 0)],
        beats="notated",
    )
    data = musicxml_bytes(score)
    check_measures(data)
    for found in (again(score), music21_notes(data), verovio_notes(data)):
        assert rows(found, "onset", "pitch") == rows(score, "onset", "pitch")


def test_a_chord_of_music21_of_which_one_note_is_tied_ties_no_other() -> None:
    from music21 import chord, stream, tie

    from fugato.read.limits import DEFAULT_LIMITS
    from fugato.read.streams import score_of_streams

    first, second = chord.Chord(["C4", "E4"], quarterLength=1), chord.Chord(["C4", "E4"], quarterLength=1)
    first.notes[0].tie, second.notes[0].tie = tie.Tie("start"), tie.Tie("stop")
    part = stream.Part([stream.Measure([first, second])])
    found = score_of_streams([stream.Score([part])], "abc", DEFAULT_LIMITS)
    assert rows(found, "onset", "pitch", "duration") == [(0, 60, 2), (0, 64, 1), (1, 64, 1)]
