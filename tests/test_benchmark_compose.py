"""Systems that compose go on from the same held-out seeds, are measured beside real music, and can be heard side by side."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra train")

import soundfile
from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.compose.copies import line
from fugato.errors import FugatoError
from fugato.read import read
from fugato.score import Key, Score
from fugato.study import benchmark_compose as room
from fugato.study import compose_figures, compose_systems
from fugato.study import music_metrics as mm
from fugato.study.benchmark_compose import benchmark_compose
from fugato.study.compose_seeds import choose, passages_of
from fugato.study.compose_table import markdown, value
from fugato.study.copied import longest_shared
from fugato.study.foretell import excerpts, nats_a_note
from fugato.study.listening import chosen, listening_page
from fugato.study.read_back import by_verovio, read_back, same
from fugato.study.remembered import remembered, remembered_each
from fugato.train import phrases as ph

from .music_styles import styled

OPTIONS: dict[str, Any] = {"pieces": 4, "bars": 4, "seed_bars": 2, "read_back": 1}
SYSTEMS = ("markov", "ours")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose_figures, "DRAWS", 40)
        patch.setattr(compose_figures, "HALVES", 4)
        patch.setattr(compose_figures, "LEAST", 1)
        yield


@pytest.fixture(scope="module")
def done(
    styled_folder: Path, small_composer: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A benchmark of two systems, with its folder."""
    out = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUGATO_HOME", str(out / "home"))
        given = {"remi-transformer": small_composer}
        table = benchmark_compose(
            styled_folder, out=out / "out", models=given, systems=SYSTEMS, listen=out / "listen.html", **OPTIONS
        )
    return out, table


@pytest.fixture(scope="module")
def phrases(done: tuple[Path, dict[str, Any]]) -> ph.Phrases:
    return ph.load(done[0] / "out" / "phrases")


def test_every_system_has_its_figures_beside_real_music(done: tuple[Path, dict[str, Any]]) -> None:
    out, table = done
    assert json.loads((out / "out" / "table.json").read_text()) == json.loads(json.dumps(table))
    assert set(table["systems"]) == {"real", *SYSTEMS} and not table["left out"]
    for name, system in table["systems"].items():
        for figure in ("loops", "distinct", "copied", "frechet", "ends"):
            if figure == "frechet" and name == "ours" and system[figure] is None:
                continue  # hardly trained, it may write too few notes to be placed in the space of styles
            low, high = system[figure]["interval"]
            if figure != "frechet":
                assert low <= system[figure]["value"] <= high, (name, figure)
        assert all(reader["value"] == 1 for reader in system["valid"].values()), "all is read back"
        assert (system["overlap"] is None) == (name == "real")
    markov, ours = table["systems"]["markov"], table["systems"]["ours"]
    assert markov["nll"]["value"] < ours["nll"]["value"], "ours is hardly trained here"
    assert markov["nll"]["notes"] == ours["nll"]["notes"], "the same note events"
    assert ours["ends"]["value"] == 1 and markov["speed"]["notes a second"] > 0 and markov["cost"]["memory"] > 10
    assert ours["guarded copies"]["above"] == 0
    assert len(table["composers"]) >= 2
    assert ours["swap"]["pieces"] == len(table["composers"]) ** 2
    assert all(seed in table["composers"] for seed, *_ in ours["swap"]["named"])
    assert table["models"]["markov"]["learnt this collection"]


def test_the_table_has_a_column_a_system_and_real_music_last(done: tuple[Path, dict[str, Any]]) -> None:
    out, table = done
    lines = markdown(table).splitlines()
    assert (out / "out" / "table.md").read_text() == markdown(table)
    assert [c.strip() for c in lines[0].split("|")][2:-1] == ["Markov chain", "ours", "real music"]
    rows = [row for row in lines if row.startswith("|")]
    assert all(row.count("|") == rows[0].count("|") for row in rows) and len(rows) > 25
    assert "pieces that loop" in markdown(table) and "4 pieces of 4 bars" in lines[-1]


def test_a_second_run_writes_and_measures_nothing_again(
    done: tuple[Path, dict[str, Any]], styled_folder: Path, small_composer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, table = done
    monkeypatch.setenv("FUGATO_HOME", str(out / "home"))

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was made already")

    for place, name in (
        (compose_systems, "write_piece"),
        (compose_figures, "measured"),
        (room, "read_again"),
        (room, "foretold"),
    ):
        monkeypatch.setattr(place, name, never)
    given = {"remi-transformer": small_composer}
    again = benchmark_compose(styled_folder, out=out / "out", models=given, systems=SYSTEMS, **OPTIONS)
    assert again == table
    (next((out / "out" / "pieces" / "ours").glob("002*.json"))).unlink()  # as if it had been stopped there
    with pytest.raises(AssertionError, match="made already"):
        benchmark_compose(styled_folder, out=out / "out", models=given, systems=("ours",), **OPTIONS)
    monkeypatch.undo()
    monkeypatch.setenv("FUGATO_HOME", str(out / "home"))
    (written,) = out.glob("out/pieces/ours/002*.score")
    before = written.read_bytes()
    benchmark_compose(styled_folder, out=out / "out", models=given, systems=("ours",), **OPTIONS)
    assert written.read_bytes() == before, "the same seed, the same piece"


def test_pieces_lie_there_as_midi_and_do_not_hold_the_seed(
    done: tuple[Path, dict[str, Any]], phrases: ph.Phrases
) -> None:
    out, table = done
    passages, _ = choose(phrases, 4, labels=table["composers"], bars=4, seed_bars=2)
    for path in sorted((out / "out" / "pieces" / "markov").glob("*.mid")):
        score = read(path)
        assert len(score) and score.end <= 16 + 1e-6
        kept = Score.from_bytes(path.with_suffix(".score").read_bytes())
        assert same(score, kept)
    assert len(list((out / "out" / "pieces" / "markov").glob("*.mid"))) == len(passages) == 4


def test_seeds_are_of_held_out_works_and_real_music_follows_them(phrases: ph.Phrases) -> None:
    passages, composers = choose(phrases, 6, labels=("Bach", "Chopin"), bars=4, seed_bars=2)
    held = {phrases.pieces[int(i)]["group"] for part in ("test", "valid") for i in phrases.of(part)}
    learnt = {phrases.pieces[int(i)]["group"] for i in phrases.of("train")}
    assert len(passages) == 6 and set(composers) <= {"Bach", "Chopin"}
    for p in passages:
        assert p.work in held and p.work not in learnt
        assert len(p.seed.bars) == 2 and len(p.real.bars) == 4
        assert p.seed.notes["onset"][0] < p.seed.meters[0].bar_length
    piece = int(phrases.of("test")[0])
    own = list(passages_of(phrases, piece, 4, 2))
    assert own[0].ends and not any(p.ends for p in own[1:]), "the first one is the end of the piece"
    with pytest.raises(FugatoError) as caught:
        choose(phrases, 4, bars=500)
    assert caught.value.kind == "bad-data"


def test_the_longest_shared_run_is_that_of_comparing_every_note() -> None:
    pieces = [styled("Bach", i) for i in range(3)] + [styled("Joplin", 4).transpose(3)]
    others = [styled("Bach", 7), styled("Chopin", 8), styled("Joplin", 4)]
    found = longest_shared([line(p) for p in pieces], [line(p) for p in others])
    assert found[3] == len(line(pieces[3])[0]), "a transposed copy is one"
    assert found == [mm.longest_common_run(p, others)[0] for p in pieces]
    alone = Score.from_notes([0.0], [1.0], [60])
    assert longest_shared([line(alone)], [line(p) for p in others]) == [0]


def test_the_frechet_distance_is_that_of_its_definition() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 5)), rng.normal(size=(50, 5)) @ np.diag([1, 2, 1, 0.5, 1]) + 0.3
    one, two = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(one @ two).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root)
    assert compose_figures.frechet(a, b) == pytest.approx(expected, rel=1e-6)
    assert compose_figures.frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_the_overlap_is_that_of_the_metrics_and_lies_in_its_interval() -> None:
    real = [{"features": {k: v.tolist() for k, v in mm.features(styled("Bach", i)).items()}} for i in range(8)]
    made = [{"features": {k: v.tolist() for k, v in mm.features(styled("Joplin", i)).items()}} for i in range(6)]
    works = [str(i // 2) for i in range(6)]
    found = compose_figures.overlap(real, made, works)
    arrays = [[{k: np.array(v) for k, v in p["features"].items()} for p in some] for some in (real, made)]
    for name, distance in mm.compare(*arrays).items():
        figure = found[name]
        assert figure is not None
        assert figure["value"] == pytest.approx(distance.overlap, abs=1e-4)
        assert figure["interval"][0] <= figure["value"] <= figure["interval"][1]
    near = compose_figures.overlap(real, real[:6], works)
    assert near["mean"]["value"] > found["mean"]["value"], "the same composer lies nearer"  # type: ignore[index]


def test_each_composer_weighs_the_same() -> None:
    right, who = [True] * 8 + [False, False], ["Bach"] * 8 + ["Haydn"] * 2
    found = compose_figures.by_composer(right, who, [str(i) for i in range(10)])
    assert found is not None and found["value"] == 0.5
    assert compose_figures.by_composer([], [], []) is None


def test_a_cadence_is_heard_in_the_key_of_the_seed() -> None:
    seed = Score.from_notes(np.arange(8), np.ones(8), [60, 64, 67, 72, 67, 64, 62, 60])
    chords = [(43, 59, 62, 67), (48, 60, 64, 67)]
    notes = [(4.0 * i, 4.0, p) for i, chord in enumerate(chords) for p in chord]
    closed = Score.from_notes(*zip(*notes, strict=True), keys=[Key(0.0, 3, "major")])
    assert compose_figures.cadence(closed, seed), "whatever its own signature says"
    assert not compose_figures.cadence(closed.excerpt(0, 0), seed)
    assert not compose_figures.cadence(Score.from_notes([], [], []), seed)


def test_what_is_written_is_read_back_and_a_broken_document_is_not() -> None:
    pytest.importorskip("verovio")
    scores = [styled("Bach", 1), Score.from_notes([], [], [])]
    rows = read_back(scores)
    assert all(rows[0].values()) and set(rows[0]) == {"midi", "music21", "verovio"}
    assert not any(rows[1].values()), "a piece without notes is none"
    assert by_verovio([b"<not-music/>"]) == [None]


def test_what_was_found_is_kept_until_the_question_changes(tmp_path: Path) -> None:
    asked = []

    def make(names: Any = ("all",)) -> list[int]:
        asked.extend(names)
        return [len(name) for name in names]

    path = tmp_path / "deep" / "kept.json"
    assert remembered(path, {"a": (1, 2)}, make) == remembered(path, {"a": (1, 2)}, make) == [3]
    assert asked == ["all"]
    remembered(path, {"a": 2}, make)
    assert asked == ["all", "all"]
    path.write_text("broken")
    names = ["x", "yy", "x"]
    assert remembered_each(path, 1, names, make) == [1, 2, 1] and asked[2:] == ["x", "yy"]
    assert remembered_each(path, 1, [*names, "zzz"], make)[-1] == 3 and asked[4:] == ["zzz"]
    remembered_each(path, 2, ["x"], make)
    assert asked[5:] == ["x"], "another question"


def test_foretold_nats_are_over_all_notes(phrases: ph.Phrases) -> None:
    from fugato.compose import NoteLikelihood

    held = excerpts(phrases, 5, notes=60)
    assert held and all(len(h.score) <= 60 for h in held) and len({h.work for h in held}) == len(held)
    found = nats_a_note([NoteLikelihood(10.0, 5, {}), NoteLikelihood(6.0, 3, {})], ["a", "b"], draws=20)
    assert found.value == 2.0 and found.low == found.high == 2.0


def test_the_page_holds_a_player_for_every_system_and_for_what_really_follows(
    done: tuple[Path, dict[str, Any]], phrases: ph.Phrases
) -> None:
    page = (done[0] / "listen.html").read_text()
    sounds = re.findall(r'src="data:audio/ogg;base64,([^"]+)"', page)
    assert len(sounds) == 4 * 3 == page.count("<figure>") and "what really follows" in page
    assert not re.search(r'(?:src|href)="http', page), "it fetches nothing"
    data, rate = soundfile.read(io.BytesIO(base64.b64decode(sounds[0])))
    assert data.ndim == 1 and 2 < len(data) / rate < 61 and 0.01 < np.abs(data).max() <= 1
    assert page.count('class="new"') == 12


def test_one_seed_of_each_composer_is_heard_first(phrases: ph.Phrases) -> None:
    passages, composers = choose(phrases, 6, labels=("Bach", "Chopin", "Joplin"), bars=4, seed_bars=2)
    order = chosen(passages, composers, 5)
    assert len(order) == len(set(order)) == 5
    assert [passages[i].composer for i in order[: len(composers)]] == composers
    with pytest.raises(FugatoError) as caught:
        listening_page(passages, {}, "page.txt")
    assert caught.value.kind == "bad-output"


def test_systems_without_a_model_are_left_out_by_name_and_wrong_ones_refused(
    styled_folder: Path, small_composer: Path, small_model: Path, tmp_path: Path, fugato_home: Path
) -> None:
    table = benchmark_compose(styled_folder, out=tmp_path / "out", systems=("chord-lstm",), **OPTIONS)
    assert set(table["systems"]) == {"real"} and "--model chord-lstm=DIR" in table["left out"]["chord-lstm"]
    for options, kind in (
        ({"systems": ("nobody",)}, "bad-option"),
        ({"models": {"nobody": small_composer}}, "bad-option"),
        ({"models": {"markov": small_composer}, "systems": ("markov",)}, "bad-option"),
        ({"models": {"markov": small_model}, "systems": ("markov",)}, "bad-model"),
        ({"judge": small_composer}, "bad-option"),
        ({"listen": tmp_path / "page.txt"}, "bad-output"),
        ({"pieces": 1}, "bad-option"),
    ):
        with pytest.raises(FugatoError) as caught:
            benchmark_compose(styled_folder, out=tmp_path / "out", **{**OPTIONS, **options})
        assert caught.value.kind == kind, options


def test_the_command_prints_the_table(
    done: tuple[Path, dict[str, Any]], styled_folder: Path, small_composer: Path
) -> None:
    out, table = done
    arguments = ["benchmark", "compose", str(styled_folder), "--out", str(out / "out"), "--systems", "markov,ours"]
    arguments += ["--pieces", "4", "--bars", "4", "--read-back", "1", "--model", f"remi-transformer={small_composer}"]
    asked = CliRunner().invoke(app, [*arguments, "--seed-bars", "2", "--json"], env={"FUGATO_HOME": str(out / "home")})
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout)["systems"]["ours"]["nll"] == table["systems"]["ours"]["nll"]
    wrong = CliRunner().invoke(app, ["benchmark", "compose", str(styled_folder), "--out", "x", "--model", "markov"])
    assert wrong.exit_code == 2
    wrong = CliRunner().invoke(app, ["benchmark", "compose", str(styled_folder), "--out", "x", "--recipes", "markov"])
    assert wrong.exit_code == 2
    wrong = CliRunner().invoke(app, ["benchmark", "composer", str(styled_folder), "--out", "x", "--systems", "ours"])
    assert wrong.exit_code == 2


def test_a_figure_is_told_with_its_interval() -> None:
    assert value({"value": 0.912, "interval": [0.88, 0.94]}) == "0.91 [0.88, 0.94]"
    assert value(None) == "" == value({"value": None, "interval": [None, None]})
