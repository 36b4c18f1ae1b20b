"""Who wrote this: the answer keeps the contract, depends on the music alone, and says which bars spoke for it."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fugato
from fugato.answer import Answer
from fugato.composer import identify, identify_many
from fugato.composer.ngram_linear import NgramLinear
from fugato.corpus import composer_info
from fugato.errors import FugatoError
from fugato.models import load_model, save_model
from fugato.read import read
from fugato.represent import stream
from fugato.score import Score

from .music_files import midi_of
from .music_styles import COMPOSERS, manners_of, merged, musicxml_of, performed, styled

HELD_OUT = [(composer, seed) for composer in COMPOSERS for seed in range(200, 206)]  # works no model here has seen
FIELDS = [
    "input",
    "sha256",
    "task",
    "name",
    "probability",
    "known",
    "ranking",
    "model",
    "music",
    "period",
    "repertoire",
    "work",
    "evidence",
    "warnings",
    "elapsed",
]


def table(answer: Answer) -> dict[str, float]:
    return {guess.name: guess.probability for guess in answer.ranking}


def same(a: Answer, b: Answer) -> bool:
    """The same name, and every probability within a millionth."""
    return a.name == b.name and table(a) == pytest.approx(table(b), abs=1e-6)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "piece.mid"
    path.write_bytes(midi_of(styled("Chopin", 200)))
    return path


# -- the answer --------------------------------------------------------------------------------------------------------


def test_an_answer_keeps_the_contract(small_model: Path, file: Path) -> None:
    answer = identify(file, model=small_model)
    shown = answer.to_dict()
    assert list(shown) == FIELDS and json.loads(json.dumps(shown)) == shown
    assert shown["input"] == str(file) and shown["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert shown["task"] == "composer" and shown["model"] == {"name": "small", "version": "1.0.0"}
    names = [g["name"] for g in shown["ranking"]]
    probabilities = [g.probability for g in answer.ranking]
    assert sorted(names) == sorted(COMPOSERS) and probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1) and min(probabilities) > 0
    assert (shown["name"], answer.probability) == (names[0], probabilities[0]) and isinstance(answer.known, bool)
    score = styled("Chopin", 200)
    assert shown["music"] == {"notes": len(score), "bars": 16, "seconds": pytest.approx(score.seconds, abs=0.1)}
    assert shown["work"] is None and shown["evidence"] is None and answer.elapsed > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.known = True  # type: ignore[misc]
    assert "<table>" in answer._repr_html_()


def test_period_and_repertoire_add_up_over_the_composers(small_model: Path, file: Path) -> None:
    answer = identify(file, model=small_model)
    for field, guess in (("period", answer.period), ("repertoire", answer.repertoire)):
        total: dict[str, float] = {}
        for name, probability in table(answer).items():
            value = getattr(composer_info(name), field)
            total[value] = total.get(value, 0) + probability
        assert guess is not None and total[guess.name] == max(total.values())
        assert guess.probability == pytest.approx(total[guess.name])


def test_path_bytes_file_object_and_score_get_the_same_answer(small_model: Path, file: Path) -> None:
    expected = identify(file, model=small_model)
    data = file.read_bytes()
    with file.open("rb") as handle:
        answers = {
            "text": identify(str(file), model=small_model),
            "handle": identify(handle, model=small_model),
            "bytes": identify(data, model=small_model),
            "memory": identify(io.BytesIO(data), model=small_model),
            "score": identify(read(file), model=small_model),
        }
    for how, answer in answers.items():
        assert same(answer, expected), how
    assert answers["handle"].input == answers["text"].input == str(file)
    assert answers["bytes"].input is None and answers["bytes"].sha256 == expected.sha256
    assert answers["score"].input is None and answers["score"].sha256 is None
    assert fugato.identify is identify


def test_works_it_has_not_seen_are_mostly_named_rightly(small_model: Path) -> None:
    right = [identify(styled(*piece), model=small_model).name == piece[0] for piece in HELD_OUT]
    assert np.mean(right) > 0.7, "chance is a third"


def test_top_cuts_the_ranking_and_nothing_else(small_model: Path, file: Path) -> None:
    whole, cut = identify(file, model=small_model), identify(file, model=small_model, top=1)
    assert cut.ranking == whole.ranking[:1] and cut.period == whole.period


def test_what_is_near_no_composer_is_called_unknown(small_model: Path, tmp_path: Path) -> None:
    model = load_model(small_model)
    card = replace(model.card, calibration={**model.card.calibration, "known_threshold": 1.0})
    parts = {"weights": model.arrays("weights")}
    save_model(tmp_path / "strict", card, parts)
    answer = identify(styled("Bach", 201), model=tmp_path / "strict")
    assert not answer.known and answer.name == identify(styled("Bach", 201), model=small_model).name
    assert "none of these" in answer._repr_html_()


# -- candidates --------------------------------------------------------------------------------------------------------


def test_candidates_restrict_the_ranking_and_share_the_probability(small_model: Path, file: Path) -> None:
    whole = table(identify(file, model=small_model))
    answer = identify(file, model=small_model, candidates=["Scott Joplin", "Bach, Johann Sebastian"])
    asked = table(answer)
    assert set(asked) == {"Joplin", "Bach"} and sum(asked.values()) == pytest.approx(1) and answer.known
    assert asked["Bach"] / asked["Joplin"] == pytest.approx(whole["Bach"] / whole["Joplin"], rel=1e-6)


@pytest.mark.parametrize(
    ("candidates", "words"),
    [(["Bach", "Mozart"], "does not know 'Mozart'"), (["Bach"], "at least two"), ([], "at least two"),
     (["Bach", "J. S. Bach"], "at least two")],
)  # fmt: skip
def test_bad_candidates_are_refused(small_model: Path, file: Path, candidates: list[str], words: str) -> None:
    for ask in (identify, identify_many):
        with pytest.raises(FugatoError, match=words) as caught:
            ask(file if ask is identify else [file], model=small_model, candidates=candidates)  # type: ignore[operator]
        assert caught.value.kind == "bad-option"


# -- what cannot be answered -------------------------------------------------------------------------------------------

DRUMS = Score.from_notes(range(40), [1] * 40, [38] * 40, drum=True)
UNANSWERABLE: list[tuple[str, Any]] = [
    ("too-short", midi_of(Score.from_notes(range(11), [1] * 11, [60 + i for i in range(11)]))),
    ("too-short", Score.from_notes(range(5), [1] * 5, [60] * 5)),
    ("drums-only", DRUMS),
    ("empty", Score.from_notes([], [], [])),
    ("empty", midi_of(Score.from_notes([], [], []))),
    ("empty", b""),
    ("not-music", b"Dear Sir, I enclose a nocturne."),
    ("not-music", b"\x89PNG\r\n\x1a\n" + bytes(200)),
]


@pytest.mark.parametrize(("kind", "source"), UNANSWERABLE)
def test_what_is_no_piece_is_refused_by_its_kind(small_model: Path, kind: str, source: Any) -> None:
    with pytest.raises(FugatoError) as caught:
        identify(source, model=small_model)
    assert caught.value.kind == kind and len(caught.value.message) > 15


def test_twelve_events_are_enough_and_a_short_piece_is_warned_of(small_model: Path) -> None:
    tune = Score.from_notes(range(12), [1] * 12, [60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 72, 60])
    assert any("the piece is short (12 notes)" in w for w in identify(tune, model=small_model).warnings)
    assert not identify(styled("Bach", 200, bars=40), model=small_model).warnings


def test_models_that_cannot_answer_are_refused(small_model: Path, file: Path, tmp_path: Path) -> None:
    model = load_model(small_model)
    for number, (changes, words) in enumerate(
        (
            ({"task": "genre"}, "answers the question 'genre'"),
            ({"recipe": "magic"}, "does not name composers by a model of the recipe 'magic'"),
            ({"representation": {"name": "ngram-linear", "settings": {"version": 0}}}, "version 0 of the n-grams"),
        )
    ):
        save_model(tmp_path / str(number), replace(model.card, **changes), {"weights": model.arrays("weights")})
        with pytest.raises(FugatoError, match=words) as caught:
            identify(file, model=tmp_path / str(number))
        assert caught.value.kind == "bad-model"
    with pytest.raises(FugatoError) as caught:
        identify(file, model=tmp_path / "nowhere")
    assert caught.value.kind == "no-model"


# -- many ----------------------------------------------------------------------------------------------------------------

ABC_TUNE = "X:{n}\nT:Tune {n}\nM:4/4\nL:1/8\nK:{key}\n" + "|".join(["CDEF GABc", "cBAG FEDC", "CEGc eceG"] * 3) + "|]\n"


def test_many_files_get_one_line_each_in_order_with_errors_in_their_place(small_model: Path, tmp_path: Path) -> None:
    paths = []
    for i, (composer, seed) in enumerate(HELD_OUT[:7]):
        path = tmp_path / f"{i}.mid"
        path.write_bytes(b"Dear Sir" if i == 2 else midi_of(styled(composer, seed)))
        paths.append(path)
    (tmp_path / "piece.musicxml").write_bytes(musicxml_of(styled("Joplin", 200)))
    paths += [tmp_path / "piece.musicxml", tmp_path / "nowhere.mid"]
    lines = list(identify_many(paths, model=small_model, jobs=2, explain=True))
    assert [line["input"] for line in lines] == [str(p) for p in paths]
    assert {i: line["error"]["kind"] for i, line in enumerate(lines) if "error" in line} == {
        2: "not-music",
        8: "bad-data",
    }
    for path, line in zip(paths, lines, strict=True):
        if "error" not in line:
            alone = identify(path, model=small_model, explain=True).to_dict()
            assert {**line, "elapsed": 0} == {**alone, "elapsed": 0}


def test_a_book_of_tunes_answers_for_each_of_them(small_model: Path, tmp_path: Path) -> None:
    book = tmp_path / "book.abc"
    book.write_text("\n".join(ABC_TUNE.format(n=n, key=key) for n, key in ((1, "C"), (2, "G"), (3, "D"))))
    (line,) = identify_many([book], model=small_model, jobs=1)
    assert len(line["parts"]) == 3 and line["name"] == line["parts"][0]["name"]
    assert all(part["task"] == "composer" and len(part["ranking"]) == 3 for part in line["parts"])
    first = identify(book, model=small_model)
    assert first.name == line["name"] and first.probability == pytest.approx(line["probability"], abs=1e-4)
    short = tmp_path / "mixed.abc"
    short.write_text(ABC_TUNE.format(n=1, key="C") + "\nX:2\nT:Too short\nM:4/4\nL:1/4\nK:C\nCDEF|]\n")
    (line,) = identify_many([short], model=small_model, jobs=1)
    assert "name" in line and line["parts"][1]["error"]["kind"] == "too-short"


def test_no_files_are_no_answers(small_model: Path) -> None:
    assert list(identify_many([], model=small_model)) == []


# -- the same music gets the same answer ---------------------------------------------------------------------------------


def revelocitied(score: Score) -> Score:
    notes = score.notes.copy()
    notes["velocity"] = 64
    return replace(score, notes=notes)


DISGUISES: dict[str, Callable[[Score], Any]] = {
    **{f"transposed by {n}": lambda s, n=n: s.transpose(n) for n in range(-5, 7) if n},
    **{f"tempo x {f}": lambda s, f=f: s.change_tempo(f) for f in (0.5, 0.8, 1.25, 2.0)},
    **{f"{t} ticks": lambda s, t=t: midi_of(s, ticks=t) for t in (48, 384, 960)},
    "slow MIDI": lambda s: midi_of(s, qpm=40),
    "fast MIDI": lambda s: midi_of(s, qpm=200),
    "velocities flattened": revelocitied,
    "velocities at random": lambda s: midi_of(s, velocities=(3, 127, 60, 88)),
    "four tracks": lambda s: midi_of(s, tracks=4),
    "tracks merged": lambda s: merged(read(midi_of(s, tracks=4))),
    "MusicXML": musicxml_of,
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_the_same_music_gets_the_same_answer(small_model: Path, disguise: str) -> None:
    for composer, seed in HELD_OUT[::3]:
        score = styled(composer, seed)
        assert same(identify(DISGUISES[disguise](score), model=small_model), identify(score, model=small_model))


def test_a_performance_is_mostly_named_as_its_score(small_model: Path) -> None:
    alike = [
        identify(performed(styled(*piece)), model=small_model).name == identify(styled(*piece), model=small_model).name
        for piece in HELD_OUT
    ]
    assert np.mean(alike) >= 0.7


# -- which bars spoke for it ---------------------------------------------------------------------------------------------


def test_weights_of_the_bars_add_up_to_the_score(small_model: Path) -> None:
    classifier = NgramLinear(load_model(small_model))
    for composer, seed in HELD_OUT[::4]:
        score = styled(composer, seed)
        events = stream(score)
        logits, _, distance = classifier.judged(events)
        own = logits - classifier._bias + classifier._at_origin / distance  # less what any piece gets
        for i, label in enumerate(classifier.labels):
            bars = classifier.bar_weights(events, label, len(score.bars))
            assert bars.shape == (len(score.bars),)
            assert bars.sum() == pytest.approx(own[i] - own.mean(), abs=1e-5)


def test_evidence_names_bars_for_the_first_and_the_second_composer(small_model: Path) -> None:
    for composer, seed in HELD_OUT[::4]:
        score = styled(composer, seed)
        answer = identify(score, model=small_model, explain=True)
        assert answer.evidence is not None
        bars = answer.evidence["bars"]
        assert {b["for"] for b in bars} <= {g.name for g in answer.ranking[:2]} and bars[0]["for"] == answer.name
        assert all(1 <= b["bar"] <= len(score.bars) and b["weight"] > 0 for b in bars)
        for name in {b["for"] for b in bars}:
            weights = [b["weight"] for b in bars if b["for"] == name]
            assert weights == sorted(weights, reverse=True) and len(weights) <= 8
        assert answer.ranking == identify(score, model=small_model).ranking, "asking why changes nothing"


def test_the_bars_in_a_composer_s_own_manner_speak_for_him(small_model: Path) -> None:
    classifier = NgramLinear(load_model(small_model))
    own, others = [], []
    for composer, seed in HELD_OUT:
        score = styled(composer, seed)
        weights = classifier.bar_weights(stream(score), composer, 16)
        is_own = np.array(manners_of(composer, seed)) == list(COMPOSERS).index(composer)
        own += weights[is_own].tolist()
        others += weights[~is_own].tolist()
    assert np.mean(own) > np.mean(others) + np.std(others) / 2


def without_bars(score: Score, bars: set[int]) -> Score:
    """The piece with some bars (from 0) silent."""
    n = score.notes[~np.isin(score.bar_of(score.notes["onset"]), list(bars))]
    return Score.from_notes(n["onset"], n["duration"], n["pitch"], beats="notated")


def test_a_piece_without_its_telling_bars_is_less_certain_than_without_any_others(small_model: Path) -> None:
    rng = np.random.default_rng(0)
    lost, lost_at_random = [], []
    for composer, seed in HELD_OUT:
        score = styled(composer, seed)
        answer = identify(score, model=small_model, explain=True)
        assert answer.evidence is not None
        telling = {b["bar"] - 1 for b in answer.evidence["bars"] if b["for"] == answer.name}

        def drop(bars: set[int], score: Score = score, answer: Answer = answer) -> float:
            return answer.probability - table(identify(without_bars(score, bars), model=small_model))[answer.name]

        lost.append(drop(telling))
        some = [set(rng.choice(16, len(telling), replace=False).tolist()) for _ in range(3)]
        lost_at_random.append(np.mean([drop(bars) for bars in some]))
    assert np.mean(lost) > np.mean(lost_at_random) + 0.1
