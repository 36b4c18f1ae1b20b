"""MusicXML, kern and ABC: the same notes, bars, ties and grace notes whatever the text looks like."""

from __future__ import annotations

import time

import pytest

from fugato.errors import FugatoError
from fugato.read import Limits, read, read_all
from fugato.score import Key, Meter, Score, Tempo

from .read_files import ABC, ABC_VOICES, KERN, musicxml, mxl, xml_note


def rows(score: Score) -> list[tuple[float, float, int]]:
    return [(float(n["onset"]), float(n["duration"]), int(n["pitch"])) for n in score.notes]


def refused(data: bytes, **options: object) -> FugatoError:
    with pytest.raises(FugatoError) as caught:
        read(data, sandbox=False, **options)  # type: ignore[arg-type]
    return caught.value


def xml(*measures: str, **options: str) -> Score:
    return read(musicxml(*measures, **options), sandbox=False)


def attributes(inside: str) -> str:
    return f"<attributes>{inside}</attributes>"


TIME_34 = attributes("<time><beats>3</beats><beat-type>4</beat-type></time>")
TIED = '<tie type="{}"/>'


def test_a_measure_of_musicxml() -> None:
    score = xml(xml_note("C") + xml_note("D", duration=2) + xml_note("E", 5, 2, alter=-1))
    assert rows(score) == [(0.0, 1.0, 60), (1.0, 0.5, 62), (1.5, 0.5, 75)]
    assert score.format == "musicxml"
    assert score.beats == "notated"
    assert score.parts[0].name == "Oboe"


def test_bars_lie_where_the_measures_start_and_a_pickup_is_kept() -> None:
    score = xml(TIME_34 + xml_note("G"), xml_note("C", duration=12), xml_note("D", duration=12))
    assert score.bars.tolist() == [0.0, 1.0, 4.0]
    assert score.meters == (Meter(0.0, 3, 4),)


def test_ties_are_joined_across_the_bar_line() -> None:
    first = xml_note("C", duration=16, more=TIED.format("start"))
    middle = xml_note("C", duration=16, more=TIED.format("stop") + TIED.format("start"))
    last = xml_note("C", duration=4, more=TIED.format("stop")) + xml_note("C", duration=12)
    assert rows(xml(first, middle, last)) == [(0.0, 9.0, 60), (9.0, 3.0, 60)]


def test_a_tie_without_its_second_note_is_a_note() -> None:
    assert rows(xml(xml_note("C", more=TIED.format("start")) + xml_note("D"))) == [(0.0, 1.0, 60), (1.0, 1.0, 62)]


def test_chords_voices_and_backup() -> None:
    measure = xml_note("C", duration=8) + xml_note("E", duration=8, before="<chord/>")
    measure += "<backup><duration>8</duration></backup><forward><duration>4</duration></forward>" + xml_note("A", 3)
    assert rows(xml(measure)) == [(0.0, 2.0, 60), (0.0, 2.0, 64), (1.0, 1.0, 57)]


def test_grace_notes_go_right_before_their_main_note() -> None:
    graces = xml_note("D", before="<grace/>") + xml_note("E", before="<grace/>")
    assert rows(xml(xml_note("C") + graces + xml_note("F"))) == [
        (0.0, 1.0, 60),
        (0.75, 0.125, 62),
        (0.875, 0.125, 64),
        (1.0, 1.0, 65),
    ]


def test_transposing_instruments_sound_where_they_sound() -> None:
    clarinet = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    score = xml(attributes("<key><fifths>2</fifths></key>" + clarinet) + xml_note("D"))
    assert rows(score) == [(0.0, 1.0, 60)]
    assert score.keys == (Key(0.0, 0, ""),)


def test_chord_symbols_are_no_notes() -> None:
    harmony = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    assert len(xml(harmony + xml_note("C"))) == 1


def test_unpitched_percussion_is_drums() -> None:
    unpitched = "<note><unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"
    score = xml(unpitched + "<duration>4</duration></note>")
    assert score.notes["drum"].tolist() == [True]
    assert score.parts[0].drum


def test_tempo_marks_are_read_with_or_without_sound() -> None:
    sound = '<direction><direction-type><words>Largo</words></direction-type><sound tempo="50"/></direction>'
    mark = "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
    mark += "<per-minute>60</per-minute></metronome></direction-type></direction>"
    assert xml(sound + xml_note("C") + mark + xml_note("C")).tempos == (Tempo(0.0, 50.0), Tempo(1.0, 90.0))


def test_parts_stay_together_where_one_has_a_short_measure() -> None:
    listed = '<score-part id="P1"><part-name>A</part-name></score-part>'
    listed += '<score-part id="P2"><part-name>B</part-name></score-part>'
    second = '<part id="P2"><measure number="1"><attributes><divisions>1</divisions></attributes>'
    second += "</measure><measure number='2'>" + xml_note("E", duration=4) + "</measure></part>"
    score = xml(xml_note("C", duration=16), xml_note("D", duration=16), part_list=listed, more=second)
    assert rows(score) == [(0.0, 4.0, 60), (4.0, 4.0, 62), (4.0, 4.0, 64)]
    assert score.notes["part"].tolist() == [0, 0, 1]


def test_rounded_tuplets_do_not_move_the_bar_lines() -> None:
    triplets = "".join(xml_note("C", duration=33) for _ in range(12))  # 12 of 33 are 396 of 400
    hundred = attributes("<divisions>100</divisions>")
    assert xml(hundred + triplets.replace("33", "33"), xml_note("D", duration=400)).bars.tolist() == [0.0, 3.96]
    close = "".join(xml_note("C", duration=d) for d in (33, 33, 33, 100, 100, 100))
    assert xml(hundred + close, xml_note("D", duration=400)).bars.tolist() == [0.0, 4.0]


def test_title_and_composer_of_musicxml() -> None:
    head = "<work><work-title>Suite</work-title></work><movement-title>Air</movement-title>"
    head += '<identification><creator type="composer">J. S. Bach</creator></identification>'
    score = xml(xml_note("C"), head=head)
    assert (score.title, score.composer) == ("Suite, Air", "J. S. Bach")


def test_measures_of_parts_are_parts_of_measures() -> None:
    partwise = musicxml(xml_note("C", duration=16), xml_note("D", duration=16)).decode()
    body = partwise[partwise.index("<measure") : partwise.rindex("</part>")]
    timewise = body.replace('<measure number="1">', '<measure number="1"><part id="P1">')
    timewise = timewise.replace('<measure number="2">', '<measure number="2"><part id="P1">')
    timewise = timewise.replace("</measure>", "</part></measure>")
    document = '<score-timewise><part-list><score-part id="P1"/></part-list>' + timewise + "</score-timewise>"
    assert rows(read(document.encode(), sandbox=False)) == rows(read(partwise.encode(), sandbox=False))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_musicxml_in_any_encoding(encoding: str) -> None:
    head = "<work><work-title>Für Elise</work-title></work>"
    text = (
        musicxml(xml_note("E", 5), head=head)
        .decode()
        .replace("UTF-8", encoding.upper().replace("LATIN-1", "ISO-8859-1"))
    )
    assert read(text.encode(encoding), sandbox=False).title == "Für Elise"


@pytest.mark.parametrize("container", [True, False])
def test_compressed_musicxml(container: bool) -> None:
    assert rows(read(mxl(musicxml(xml_note("C")), container=container), sandbox=False)) == [(0.0, 1.0, 60)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (musicxml("<note><rest/><duration>16</duration></note>"), "empty"),
        (musicxml(xml_note("C"))[:-30], "corrupt"),
        (b"<html><body>404</body></html>", "not-music"),
        (b"<opus><title>Complete works</title></opus>", "unsupported"),
        (mxl(b"hello", name="readme.txt", container=False), "not-music"),
        (mxl(musicxml(xml_note("C")))[:200], "corrupt"),
    ],
)
def test_musicxml_that_is_none(data: bytes, kind: str) -> None:
    assert refused(data).kind == kind


# -- kern --------------------------------------------------------------------------------------------------------------


def test_kern_with_pickup_tie_and_grace_note() -> None:
    score = read(KERN.encode(), sandbox=False)
    assert (score.format, score.beats) == ("kern", "notated")
    assert (score.title, score.composer) == ("A short chorale", "Bach, Johann Sebastian")
    assert score.bars.tolist() == [0.0, 1.0, 5.0]
    assert score.meters == (Meter(0.0, 4, 4),)
    assert score.tempos == (Tempo(0.0, 96.0),)
    assert [k.sharps for k in score.keys] == [1]
    found = rows(score)
    assert (3.0, 3.0, 69) in found  # a minim tied to a crotchet
    assert (5.875, 0.125, 67) in found  # the grace note before the last minim
    assert (6.0, 3.0, 71) in found
    assert len(found) == 10


def test_kern_voices_part_and_meet_again() -> None:
    text = "**kern\n*M2/4\n=1\n*^\n4c\t2E\n4d\t.\n=2\t=2\n*v\t*v\n2c;\n==\n*-\n"
    assert rows(read(text.encode(), sandbox=False)) == [(0.0, 2.0, 52), (0.0, 1.0, 60), (1.0, 1.0, 62), (2.0, 2.0, 60)]


@pytest.mark.parametrize(
    ("token", "length", "pitch"),
    [
        ("4.c", 1.5, 60),
        ("0CC", 8.0, 36),
        ("12f##", 1 / 3, 67),
        ("8B--", 0.5, 57),
        ("3%2ee", 8 / 3, 76),
        ("(16..ggL", 0.4375, 79),
    ],
)
def test_kern_tokens_say_length_and_pitch(token: str, length: float, pitch: int) -> None:
    (only,) = rows(read(f"**kern\n{token}\n*-\n".encode(), sandbox=False))
    assert only == (0.0, pytest.approx(length), pitch)


def test_kern_with_a_missing_column_is_corrupt() -> None:
    assert refused(b"**kern\t**kern\n4c\t4e\n4d\n*-\t*-\n").kind == "corrupt"


def test_kern_without_notes_is_empty() -> None:
    assert refused(b"**kern\n*M4/4\n1r\n*-\n").kind == "empty"


def test_humdrum_without_kern_is_unsupported() -> None:
    assert refused(b"**recip\n4\n*-\n", name="rhythm.krn").kind == "unsupported"


# -- ABC ---------------------------------------------------------------------------------------------------------------


def test_a_tune_of_abc() -> None:
    score = read(ABC.encode(), sandbox=False)
    assert (score.format, score.title, score.composer) == ("abc", "The first", "Trad.")
    assert rows(score)[:3] == [(0.0, 1.0, 62), (1.0, 2.0, 67), (3.0, 1.0, 69)]
    assert score.bars.tolist() == [0.0, 1.0, 4.0, 7.0]
    assert score.tempos == (Tempo(0.0, 90.0),)
    assert score.keys == (Key(0.0, 1, "major"),)


def test_the_voices_of_a_tune_sound_together() -> None:
    score = read(ABC_VOICES.encode(), sandbox=False)
    assert [p.name for p in score.parts] == ["Soprano", "Bass"]
    bass = score.notes[score.notes["part"] == 1]
    assert bass["onset"].tolist() == [0.0, 2.0, 4.0]
    assert bass["pitch"].tolist() == [60, 55, 60]
    assert score.end == 8.0


def test_a_book_of_tunes_gives_every_tune_and_read_the_first() -> None:
    book = "M:3/4\nL:1/4\n\n" + ABC + "\n" + ABC.replace("The first", "The second").replace("X:1", "X:2")
    tunes = read_all(book.encode(), sandbox=False)
    assert [t.title for t in tunes] == ["The first", "The second"]
    first = read(book.encode(), sandbox=False)
    assert first.title == "The first"
    assert "book of 2" in first.warnings[0]


def test_a_tune_without_notes_is_left_out_of_its_book() -> None:
    book = ABC + "\nX:2\nT:Nothing\nK:C\nz4|\n"
    assert len(read_all(book.encode(), sandbox=False)) == 1


@pytest.mark.parametrize("line", ["M:99999999999/4", "C D99999999999 E F", "[M:1/100000]C D E F", "C/100000 D E F"])
def test_numbers_for_which_music21_would_take_gigabytes_are_refused(line: str) -> None:
    tune = "X:1\nT:Opus 123456, no. 1\nM:4/4\nL:1/4\nK:C\n" + line + "\nC D E F|G A B c|"
    began = time.process_time()
    error = refused(tune.encode())
    assert error.kind == "too-large" and "is no music's" in error.message
    assert time.process_time() - began < 2


def test_abc_chord_symbols_are_no_notes() -> None:
    assert len(read(b'X:1\nL:1/4\nK:C\n"Am" A "C" c |]\n', sandbox=False)) == 2


def test_text_in_windows_latin_is_read() -> None:
    assert read(ABC.replace("The first", "Fête").encode("cp1252"), sandbox=False).title == "Fête"


def test_the_bytes_count_before_the_suffix() -> None:
    assert read(ABC.encode(), name="tune.mid", sandbox=False).format == "abc"
    assert read(KERN.encode(), name="tune.xml", sandbox=False).format == "kern"


def test_the_limit_on_notes_holds_for_notation() -> None:
    data = musicxml(xml_note("C") * 20)
    assert refused(data, limits=Limits(notes=10)).kind == "too-large"
    assert refused(data, limits=Limits(xml_tags=10)).kind == "too-large"
    assert refused(data, limits=Limits(text_bytes=10, midi_bytes=10_000)).kind == "too-large"
