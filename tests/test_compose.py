"""Composing: every output decodes and ends, the same seed gives the same piece, and what the user gave stays as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fugato
from fugato.compose import Composition, NewBar, load_generator, stream, variations
from fugato.compose import compose as write
from fugato.compose.guards import CopyGuard
from fugato.compose.keys import key_name, parse_key, signature_of
from fugato.compose.request import joined
from fugato.compose.sampler import Likelihood, Sampler
from fugato.compose.transformer import Transformer
from fugato.errors import FugatoError
from fugato.represent import tokens as t
from fugato.score import Key, Meter, Part, Score, Tempo
from fugato.study.music_metrics import ending

from .music_files import midi_of
from .music_styles import performed, styled


@pytest.fixture(scope="module")
def system(small_composer: Path) -> Transformer:
    found = load_generator(small_composer)
    assert isinstance(found, Transformer)
    return found


def notes_of(score: Score) -> list[tuple[float, float, int, int]]:
    return [(float(n["onset"]), float(n["duration"]), int(n["pitch"]), int(n["part"])) for n in score.notes]


def test_from_nothing(system: Transformer) -> None:
    piece = write("Chopin", bars=6, random_seed=3, model=system)
    assert isinstance(piece, Composition) and len(piece.score.bars) == 6
    assert piece.report["new_bars"] == [1, 6] and piece.report["notes"] == len(piece.score) == int(piece.new.sum())
    assert piece.options["random_seed"] == 3 and piece.options["style"] == "Chopin" and piece.name == "chopin-3"
    assert "random seed 3" in piece._repr_html_() and piece.to_dict()["options"]["bars"] == 6


def test_the_same_seed_gives_the_same_piece_and_another_one_another(system: Transformer) -> None:
    one, two, other = (write("Bach", bars=4, random_seed=s, model=system) for s in (1, 1, 2))
    assert notes_of(one.score) == notes_of(two.score) != notes_of(other.score)


def test_the_random_seed_is_told_where_none_was_given(system: Transformer) -> None:
    piece = write(bars=2, model=system)
    again = write(bars=2, random_seed=piece.options["random_seed"], model=system)
    assert notes_of(piece.score) == notes_of(again.score)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_every_output_decodes_and_obeys_the_grammar(system: Transformer, temperature: float) -> None:
    for seed in range(4):
        piece = write(None, bars=5, random_seed=seed, temperature=temperature, top_p=1.0, guidance=1.0, model=system)
        score = piece.score
        back = t.decode(t.encode(score))
        assert notes_of(back) == notes_of(score)
        assert score.notes["pitch"].min() >= 21 and score.notes["pitch"].max() <= 108
        assert score.notes["duration"].min() >= 1 / t.TICKS
        for part in range(len(score.parts)):  # a pitch never starts while it still sounds in its part
            own = score.notes[score.notes["part"] == part]
            for pitch in np.unique(own["pitch"]):
                same = own[own["pitch"] == pitch]
                assert (same["onset"][1:] >= (same["onset"] + same["duration"])[:-1] - 1e-9).all()
        empty = np.setdiff1d(np.arange(5), score.bar_of(score.notes["onset"]))
        assert 0 not in empty and 4 not in empty and (np.diff(empty) > 1).all()


def test_a_piece_ends_on_a_cadence_with_the_last_bar_full(system: Transformer) -> None:
    for seed, key in enumerate(("C", "F# minor", "B-", "a")):
        piece = write(bars=3, random_seed=seed, key=key, model=system)
        score, value = piece.score, parse_key(key)
        end = score.bars[-1] + score.meters[-1].bar_length
        final = score.notes[score.notes["onset"] == score.notes["onset"].max()]
        assert np.allclose(final["onset"] + final["duration"], end)
        assert set(final["pitch"] % 12) <= {(value - 1 + s) % 12 for s in ((0, 3, 7) if value > 12 else (0, 4, 7))}
        assert ending(score).is_cadence
        assert piece.report["ending"] in {"drawn", "by rule"}
        assert piece.options["key"] == key_name(value)


def test_a_seed_is_kept_and_gone_on_from(system: Transformer, tmp_path: Path) -> None:
    seed = styled("Joplin", 5, bars=4)
    file = tmp_path / "my.mid"
    file.write_bytes(midi_of(seed, qpm=90))
    piece = write("Joplin", file, bars=3, random_seed=1, model=system)
    kept = piece.score.excerpt(0, 3)
    assert notes_of(kept) == notes_of(fugato.read(file))
    assert len(piece.score.bars) == 7 and piece.report["new_bars"] == [5, 7]
    assert len(piece.continuation.bars) == 3 and len(piece.continuation) == piece.report["notes"]
    assert piece.options["tempo"] == pytest.approx(90, abs=0.01) and piece.options["seed"] == str(file)
    assert piece.score.tempos[-1].qpm == pytest.approx(90, abs=0.01)


def test_changes_after_the_end_of_a_seed_do_not_reach_what_is_new(system: Transformer) -> None:
    whole = Score.from_notes(
        range(16), [1] * 16, [60, 64, 67, 72] * 4, tempos=[Tempo(0, 100), Tempo(12, 240)], keys=[Key(0, 0), Key(12, 6)]
    )  # fmt: skip
    piece = write("Bach", whole.excerpt(0, 1), bars=2, random_seed=0, model=system)
    assert [tempo.qpm for tempo in piece.score.tempos] == [100] and 6 not in {key.sharps for key in piece.score.keys}
    assert piece.options["tempo"] == 100


def test_a_higher_seed_is_gone_on_from_higher_and_a_key_is_a_matter_of_transposing(system: Transformer) -> None:
    seed = styled("Bach", 6, bars=4)
    seed = seed.transpose(t.shift_home(int(t.encode(seed).rows[0, t.KEY])))  # from there, home is down again
    here = write("Bach", seed, bars=3, random_seed=4, model=system)
    there = write("Bach", seed.transpose(2), bars=3, random_seed=4, model=system)
    assert notes_of(here.score.transpose(2)) == notes_of(there.score)
    low, high = (write("Bach", bars=3, random_seed=4, key=key, model=system) for key in ("C", "D"))
    assert notes_of(low.score.transpose(2)) == notes_of(high.score)
    filled = [write("Bach", s, infill=(2, 3), random_seed=4, model=system) for s in (seed, seed.transpose(-3))]
    assert notes_of(filled[0].score.transpose(-3)) == notes_of(filled[1].score)


def test_a_seed_keeps_its_meter_and_its_instruments(system: Transformer) -> None:
    seed = Score.from_notes(
        [0, 1, 2, 3, 4, 5], [1] * 6, [60, 64, 67, 65, 62, 60],
        part=[0, 1, 0, 1, 0, 1], parts=[Part("v", 40), Part("c", 42)], meters=[Meter(0, 3, 4)], beats="notated",
    )  # fmt: skip
    piece = write(None, seed, bars=2, random_seed=0, model=system)
    assert piece.score.bars.tolist() == [0, 3, 6, 9] and {m[1:] for m in piece.score.meters} == {(3, 4)}
    assert [part.program for part in piece.score.parts] == [40, 42]


def test_bars_are_filled_in_and_all_else_stays(system: Transformer) -> None:
    seed = styled("Bach", 7, bars=8)
    piece = write("Bach", seed, infill=(4, 5), random_seed=2, model=system)
    old, new = notes_of(seed), notes_of(piece.score)
    start, stop = seed.bars[3], seed.bars[5]
    assert [n for n in old if not start <= n[0] < stop] == [n for n in new if not start <= n[0] < stop]
    inside = [n for n in new if start <= n[0] < stop]
    assert inside and inside != [n for n in old if start <= n[0] < stop]
    assert all(n[0] + n[1] <= stop + 1e-9 for n in inside)
    assert piece.report["new_bars"] == [4, 5] and piece.report["ending"] is None and len(piece.score.bars) == 8


def test_a_long_gap_and_a_long_piece_do_not_run_out_of_context(system: Transformer) -> None:
    seed = styled("Bach", 8, bars=30)
    filled = write("Bach", seed, infill=(1, 25), random_seed=2, model=system)
    assert filled.report["bars"] == 25
    assert write("Bach", seed, bars=20, random_seed=2, model=system).report["bars"] == 20


def test_options_of_sound_and_length(system: Transformer) -> None:
    piece = write("Bach", seconds=16, tempo=60, program=19, key="D", random_seed=0, model=system)
    assert piece.score.seconds == pytest.approx(16, abs=4.1)
    assert {part.program for part in piece.score.parts} == {19} and piece.score.tempos[0].qpm == 60
    assert piece.score.keys[0].sharps == 2 and piece.score.keys[0].mode == "major"


def test_bars_come_one_by_one_and_then_the_piece(system: Transformer) -> None:
    events = list(stream("Bach", styled("Bach", 4, bars=2), bars=3, random_seed=5, model=system))
    bars, piece = events[:-1], events[-1]
    assert all(isinstance(bar, NewBar) for bar in bars) and isinstance(piece, Composition)
    assert [bar.bar for bar in bars] == [3, 4, 5]
    together = [(n[0] + bar.start, *n[1:]) for bar in bars for n in notes_of(bar.score)]
    assert sorted(together) == sorted(n for n, new in zip(notes_of(piece.score), piece.new, strict=True) if new)
    assert notes_of(piece.score) == notes_of(
        write("Bach", styled("Bach", 4, bars=2), bars=3, random_seed=5, model=system).score
    )


def test_the_critic_keeps_the_best_of_several(system: Transformer) -> None:
    pieces = variations(4, 2, style="Bach", bars=2, random_seed=10, model=system)
    every = [write("Bach", bars=2, random_seed=10 + i, model=system) for i in range(4)]
    scores = sorted((p.report["critic_score"] for p in every), reverse=True)
    assert [p.report["critic_score"] for p in pieces] == scores[:2]
    assert {p.report["critic"] for p in pieces} == {"typical-style"}
    with pytest.raises(FugatoError, match="cannot be kept"):
        variations(2, 3, model=system)


def test_of_several_draws_the_critic_s_choice_is_generated(system: Transformer) -> None:
    seed = styled("Bach", 4)
    given = {"seed": seed, "style": "Bach", "bars": 2, "model": system}
    chosen = variations(3, 1, random_seed=30, **given)[0]
    several = [system.generate(seed, bars=2, random_seed=30 + i, style="Bach") for i in range(3)]
    one = system.generate(seed, bars=2, random_seed=30, style="Bach", draws=3)
    at = chosen.options["random_seed"] - 30
    assert len({score.to_bytes() for score in several}) == 3
    assert one.to_bytes() == several[at].to_bytes()


def test_guidance_moves_the_music_towards_the_style() -> None:
    """Value 0 is a little likelier without the style, value 1 with it."""

    class Heads:
        def attribute(self, i: int, hidden: np.ndarray) -> np.ndarray:
            return np.array([[0.0, 0.5], [0.5, 0.0]], np.float32)

    shares = []
    for guidance in (0.0, 0.5, 1.0, 3.0):
        stepper = SimpleNamespace(decoder=SimpleNamespace(heads=Heads()), guidance=guidance)
        rng = np.random.default_rng(0)
        sampler = Sampler(stepper, rng, temperature=1.0, top_p=1.0, n_parts=1, guard=CopyGuard(None, 0))  # type: ignore[arg-type]
        drawn = [sampler._choose(0, np.zeros((2, 1)), np.ones(2, bool), 1.0, Likelihood()) for _ in range(500)]  # type: ignore[arg-type]
        shares.append(float(np.mean(drawn)))
    assert shares == sorted(shares) and shares[0] < 0.45 and shares[3] > 0.8


def test_what_is_not_known_before_can_be_left_out_of_foretelling(system: Transformer) -> None:
    told, untold = (system.nll(styled("Bach", 50), plan=plan) for plan in (True, False))
    assert told.notes == untold.notes and told.nats != untold.nats and math.isfinite(untold.nats)
    no_bars_left = t.encode(styled("Bach", 50)).rows[:, [t.DENSITY, t.LEFT]]
    assert no_bars_left.any(), "there is a plan to leave out"


def test_any_system_answers_the_same_two_questions(system: Transformer) -> None:
    seed = styled("Chopin", 9, bars=4)
    new = system.generate(seed, bars=3, random_seed=0, style="Chopin", guarded=False)
    assert len(new.bars) == 3 and new.notes["onset"].min() < 4 and ending(new).is_cadence
    told = system.nll(seed, style="Chopin")
    assert told.notes == t.encode(seed).n_notes and told.per_note > 0


def test_styles_are_composers_or_periods_and_others_stand_for_their_period(system: Transformer) -> None:
    assert system.style_of("Chopin") == (2, 4) and system.style_of("Romantic") == (0, 4)
    assert system.style_of("Frédéric Chopin") == (2, 4)
    assert system.style_of("Brahms") == (0, 4) and system.style_of(None) == (0, 0)
    assert write("Bach", bars=1, random_seed=0, model=system).report["warnings"] == []
    (warning,) = write("Brahms", bars=1, random_seed=0, model=system).report["warnings"]
    assert "Brahms" in warning and "Romantic" in warning
    with pytest.raises(FugatoError, match="no style"):
        write("Nobody at All", model=system)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bars": 0}, "bars is 0"),
        ({"temperature": 0}, "temperature is 0"),
        ({"bars": 4, "seconds": 10}, "not both"),
        ({"infill": (1, 2)}, "give it as the seed"),
        ({"key": "H dur"}, "no key"),
        ({"program": 128}, "program is 128"),
    ],
)
def test_wrong_options_are_refused(system: Transformer, options: dict, said: str) -> None:
    with pytest.raises(FugatoError, match=said):
        write(model=system, **options)


def test_seeds_that_cannot_be_gone_on_from_are_refused(system: Transformer) -> None:
    with pytest.raises(FugatoError, match="no notated beat"):
        write(None, performed(styled("Chopin", 2)), model=system)
    with pytest.raises(FugatoError, match="not within 1 to 4"):
        write(None, styled("Chopin", 2, bars=4), infill=(3, 5), model=system)
    with pytest.raises(FugatoError, match="leave out bars"):
        write(None, styled("Chopin", 2, bars=4), infill=(3, 4), bars=2, model=system)


def test_without_a_model_it_is_said_what_to_do(
    fugato_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("fugato.models.names.SHIPPED", tmp_path)
    with pytest.raises(FugatoError, match="fugato train compose") as refused:
        write("Chopin")
    assert refused.value.kind == "no-model"


def test_a_model_of_another_task_is_refused(small_model: Path) -> None:
    with pytest.raises(FugatoError, match="cannot compose") as refused:
        write("Chopin", model=small_model)
    assert refused.value.kind == "bad-model"


def test_a_seed_of_a_composer_is_taken_from_music21(system: Transformer) -> None:
    piece = write("Bach", seed_composer="Joplin", bars=2, random_seed=1, model=system)
    assert piece.options["seed"] and piece.report["new_bars"][0] > 1
    with pytest.raises(FugatoError, match="no seed by"):
        write("Bach", seed_composer="Nobody", model=system)


def test_keys_are_read_and_named() -> None:
    said = {"C": 1, "c": 13, "F# minor": 19, "B- major": 11, "Bb": 11, "E flat": 4, "a minor": 22, "A minor": 22}
    assert {text: parse_key(text) for text in said} == said
    assert key_name(19) == "F# minor" and key_name(0) is None
    assert [signature_of(k) for k in (1, 8, 6, 22, 7, 11)] == [
        (0, "major"), (1, "major"), (-1, "major"), (0, "minor"), (6, "major"), (-2, "major"),
    ]  # fmt: skip


def test_the_command_writes_what_it_says(small_composer: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from fugato.cli.app import app

    out = tmp_path / "new" / "music"
    asked = ["compose", "--style", "Bach", "--bars", "2", "--random-seed", "5", "--variations", "2", "--keep", "1"]
    done = CliRunner().invoke(app, [*asked, "--model", str(small_composer), "--out", str(out)])
    assert done.exit_code == 0, done.output
    (line,) = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    names = {Path(file).name for file in line["files"]}
    stem = f"bach-{line['options']['random_seed']}"
    assert {f"{stem}{suffix}" for suffix in (".mid", ".musicxml", ".wav", ".png", ".json")} <= names
    assert names <= {p.name for p in out.iterdir()}
    piece = write("Bach", bars=2, random_seed=line["options"]["random_seed"], model=str(small_composer))
    assert notes_of(fugato.read(out / f"{stem}.mid")) == notes_of(piece.score)
    assert len(fugato.read(out / f"{stem}.musicxml")) == len(piece.score)
    for wrong, said in (
        (["--infill", "3-4"], "two bars"),
        (["--keep", "2"], "cannot be kept"),
        (["--style", "X"], "no style"),
    ):
        refused = CliRunner().invoke(app, ["compose", "--model", str(small_composer), "--out", str(out), *wrong])
        assert refused.exit_code == 2 and said in refused.output


def test_the_command_trains_and_fine_tunes(
    small_composer: Path, styled_folder: Path, tmp_path: Path, fugato_home: Path
) -> None:
    pytest.importorskip("torch", reason="training needs the extra train")
    from typer.testing import CliRunner

    from fugato.cli.app import app

    asked = ["train", "compose", str(styled_folder), "--from", str(small_composer), "--epochs", "1", "--jobs", "1"]
    done = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "own"), "--minutes", "0.02"])
    assert done.exit_code == 0, done.output
    card = json.loads(next(text for text in done.stdout.splitlines() if text.startswith("{")))
    assert card["task"] == "compose" and {"nll_per_note", "nll_per_note_before"} <= {f["name"] for f in card["figures"]}
    refused = CliRunner().invoke(
        app, ["train", "compose", str(styled_folder), "--folds", "3", "--out", str(tmp_path / "x")]
    )
    assert refused.exit_code == 2 and "--folds" in refused.output


def test_other_systems_go_on_from_a_seed_too(system: Transformer) -> None:
    class Repeats:
        """A system that says the first bar of its seed again and again."""

        model = system.model

        def generate(
            self, seed: Score | None, *, bars: int, random_seed: int, style: str | None = None, **o: object
        ) -> Score:
            seed = styled("Bach", random_seed) if seed is None else seed
            first = seed.excerpt(0, 0)
            for _ in range(bars - 1):
                first = joined(first, seed.excerpt(0, 0))
            return first

    seed = styled("Joplin", 3, bars=4)
    piece = write("Joplin", seed, bars=3, random_seed=1, model=Repeats())  # type: ignore[arg-type]
    assert notes_of(piece.score.excerpt(0, 3)) == notes_of(seed)
    assert piece.score.bars.tolist() == [4.0 * i for i in range(7)] and piece.report["new_bars"] == [5, 7]
    assert notes_of(piece.continuation)[: len(seed.excerpt(0, 0))] == notes_of(seed.excerpt(0, 0))
    assert piece.score.seconds == pytest.approx(14) and len(variations(2, 1, bars=2, model=Repeats())) == 1
    with pytest.raises(FugatoError, match="cannot fill in"):
        write(None, seed, infill=(1, 2), model=Repeats())  # type: ignore[arg-type]
    with pytest.raises(FugatoError, match="at once"):
        next(stream(None, seed, model=Repeats()))
