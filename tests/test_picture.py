"""A picture is written where it was asked for, whatever the piece, and a wrong place is refused in plain words."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import fugato
from fugato.answer import Answer, Guess, ModelName
from fugato.errors import FugatoError
from fugato.score import Score
from fugato.write.picture import ACCENT, NOTE, SECOND, SECOND_WASH, WASH, plot_answer, plot_score

ANSWER = Answer(
    input="no/such/nocturne $1 and $2.mid",
    sha256=None,
    task="composer",
    ranking=(Guess("Chopin", 0.914), Guess("Field", 0.08), Guess("Alkan", 0.006)),
    known=True,
    model=ModelName("composer", "1.0.0"),
    period=Guess("Romantic", 0.9),
    evidence={"bars": [{"bar": 1, "for": "Chopin", "weight": 0.2}, {"bar": 999, "for": "Chopin", "weight": 0.1}]},
    warnings=("A track was cut short.",) * 20,
)
SCORE = Score.from_notes(np.arange(32) / 2, np.full(32, 0.5), 60 + np.arange(32) % 12, title="A scale $x_1$")


def text_of(path: Path) -> str:
    """What an SVG says: Matplotlib leaves each text as a comment beside its outlines."""
    return path.read_text(encoding="utf-8")


def size_of(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def test_an_answer_is_drawn_as_png(tmp_path: Path) -> None:
    out = plot_answer(ANSWER, SCORE, tmp_path / "out.png")
    width, height = size_of(out)
    assert width >= 1500 and width > height


def test_an_answer_is_drawn_as_svg_with_its_names(tmp_path: Path) -> None:
    out = plot_answer(ANSWER, SCORE, tmp_path / "out.svg")
    ElementTree.fromstring(text_of(out))
    for words in ("Chopin", "Field", "91 %", "Romantic", "nocturne $1 and $2.mid", "spoke most for Chopin"):
        assert words in text_of(out)


def marked(*bars: tuple[int, str, float]) -> Answer:
    return replace(ANSWER, evidence={"bars": [{"bar": b, "for": name, "weight": w} for b, name, w in bars]})


def test_bars_are_marked_in_the_colour_of_the_name_that_they_spoke_for(tmp_path: Path) -> None:
    def drawn(answer: Answer) -> str:
        return text_of(plot_answer(answer, SCORE, tmp_path / "out.svg"))

    both = drawn(marked((1, "Chopin", 0.2), (2, "Field", 0.1)))
    assert "spoke most for Chopin" in both and "spoke most for Field" in both
    assert all(f"fill: {colour}" in both for colour in (WASH, SECOND_WASH, SECOND, NOTE))
    first = drawn(marked((1, "Chopin", 0.2)))
    assert "for Field" not in first and f"fill: {WASH}" in first and SECOND not in first
    assert "spoke most" not in drawn(replace(ANSWER, evidence=None)) and "spoke most" not in drawn(marked())
    assert "for Alkan" not in drawn(marked((1, "Alkan", 0.2))), "only the first two"


def test_few_bars_of_a_short_piece_are_marked_and_no_light_ones(tmp_path: Path) -> None:
    every = marked(*((b, "Chopin", 0.3 - b / 100) for b in range(1, 9)))
    text = text_of(plot_answer(every, SCORE, tmp_path / "out.svg"))
    assert len(SCORE.bars) == 4 and text.count(f"fill: {WASH}") == 1
    light = text_of(plot_answer(marked((1, "Chopin", 0.2), (2, "Field", 0.001)), SCORE, tmp_path / "out.svg"))
    assert "for Field" not in light and SECOND_WASH not in light


def test_none_of_these_is_said_in_the_picture(tmp_path: Path) -> None:
    text = text_of(plot_answer(replace(ANSWER, known=False), SCORE, tmp_path / "out.svg"))
    assert "None of these" in text and "nearest: Chopin" in text


def test_the_same_picture_is_the_same_file(tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        first = plot_answer(ANSWER, SCORE, tmp_path / f"1.{kind}").read_bytes()
        assert first == plot_answer(ANSWER, SCORE, tmp_path / f"2.{kind}").read_bytes()


ODD_SCORES = {
    "no notes": Score.from_notes([], [], []),
    "one note": Score.from_notes([0.0], [0.25], [0]),
    "the widest range": Score.from_notes([0, 1], [1, 1], [0, 127]),
    "only percussion": Score.from_notes([0, 1], [1, 1], [36, 38], drum=True),
    "a free performance": Score.from_notes([0.013, 0.377, 1.291], [0.1, 0.2, 0.3], [60, 61, 62], beats="default"),
    "many bars": Score.from_notes(np.arange(20_000), np.ones(20_000), 40 + np.arange(20_000) % 50),
    "a pickup": Score.from_notes([0.0, 1.0], [1.0, 4.0], [60, 64], bars=np.array([0.0, 1.0])),
}


@pytest.mark.parametrize("score", ODD_SCORES.values(), ids=ODD_SCORES)
def test_any_piece_can_be_drawn(score: Score, tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        assert plot_answer(ANSWER, score, tmp_path / f"answer.{kind}").stat().st_size > 1000
        assert plot_score(score, tmp_path / f"score.{kind}").stat().st_size > 1000


def test_a_long_piece_does_not_make_a_huge_svg(tmp_path: Path) -> None:
    assert plot_score(ODD_SCORES["many bars"], tmp_path / "out.svg").stat().st_size < 1_000_000


def test_plot_takes_both_kinds_of_thing(tmp_path: Path) -> None:
    assert fugato.plot(SCORE, tmp_path / "score.png").exists()
    assert fugato.plot(ANSWER, str(tmp_path / "answer.png"), score=SCORE).exists()
    assert fugato.plot(ANSWER, tmp_path / "ranking.svg").exists(), "without the piece, the ranking alone"
    with pytest.raises(FugatoError) as caught:
        fugato.plot("nocturne.mid", tmp_path / "out.png")  # type: ignore[arg-type]
    assert caught.value.kind == "bad-option"


@pytest.mark.parametrize("name", ["out.jpg", "out", "folder.png", "nowhere/out.png"])
def test_a_place_that_cannot_be_written_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(FugatoError) as caught:
        plot_score(SCORE, tmp_path / name)
    assert caught.value.kind == "bad-output" and name.split("/")[-1] in str(caught.value)


def test_drawing_changes_no_setting_of_matplotlib(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot_score(SCORE, tmp_path / "out.png")
    assert dict(matplotlib.rcParams) == before


@dataclass
class Made:
    score: Score
    new: np.ndarray


def test_given_and_new_notes_have_different_colours(tmp_path: Path) -> None:
    new = SCORE.notes["onset"] >= 8
    text = text_of(fugato.plot(Made(SCORE, new), tmp_path / "both.svg"))
    assert f"fill: {ACCENT}" in text and f"fill: {NOTE}" in text
    assert "<!-- given -->" in text and "<!-- new -->" in text
    all_new = text_of(plot_score(SCORE, tmp_path / "new.svg", new=np.ones(len(SCORE), bool)))
    assert f"fill: {NOTE}" not in all_new and "<!-- given -->" not in all_new
    with_drums = Score.from_notes([0, 1, 2], [1, 1, 1], [60, 36, 62], drum=[False, True, False])
    assert plot_score(with_drums, tmp_path / "drums.png", new=np.array([True, False, False])).exists()
    with pytest.raises(FugatoError) as caught:
        plot_score(SCORE, tmp_path / "out.png", new=np.ones(3, bool))
    assert caught.value.kind == "bad-option"
