"""What the benchmarks cut out of pieces is what they say: bars, seconds, one file of each work, the same notes under other encodings."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fugato.corpus import Corpus, Piece
from fugato.read import read
from fugato.score import Score

from .music_files import midi_of
from .music_styles import performed, styled

Script = Callable[[str], Any]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """A module of benchmarks/ by name."""
    pytest.importorskip("scipy", reason="training needs the extra train")
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[1] / "benchmarks"), *sys.path])

    return importlib.import_module


def test_fuzzing_makes_the_same_inputs_and_counts_each(script: Script, tmp_path: Path) -> None:
    module = script("fuzz")
    whole = [midi_of(styled("Bach", 3))]
    assert module.damaged("midi", 7, whole) == module.damaged("midi", 7, whole) != module.damaged("midi", 8, whole)
    out = tmp_path / "fuzz.json"
    command = [sys.executable, module.__file__, "midi", "--inputs", "60", "--jobs", "1", "--json", str(out)]
    done = subprocess.run([*command, "--keep", str(tmp_path)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text())["midi"]
    assert found["inputs"] == sum(found["outcomes"].values()) == 60 and found["findings"] == []
    assert found["outcomes"]["read"] > 5 and len(found["outcomes"]) > 1


def test_bars_are_cut_out_and_the_rest_moves_together(script: Script) -> None:
    score = Score.from_notes(np.arange(16), np.ones(16), 60 + np.arange(16))
    left = script("explain").without(score, np.array([1, 3]))
    assert left.notes["pitch"].tolist() == [60, 61, 62, 63, 68, 69, 70, 71]
    assert left.notes["onset"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7] and left.bars.tolist() == [0, 4]
    assert left.beats == score.beats


def test_an_excerpt_has_the_length_that_was_asked_for(script: Script) -> None:
    module, rng = script("excerpts"), np.random.default_rng(0)
    piece = styled("Bach", 240)
    for length in (1, 8, 16):
        cut = module.some_bars(piece, length, rng)
        assert len(cut.bars) == length and cut.notes["onset"].min() >= 0 and cut.notes["onset"].max() < 4 * length
    assert module.some_bars(piece, 17, rng) is None
    played = performed(piece)
    cut = module.some_seconds(played, 10, rng)
    assert cut.notes["onset_seconds"][0] == 0 and 9 < cut.notes["onset_seconds"].max() < 10 and cut.beats == "default"
    assert module.some_seconds(played, 100, rng) is None


def test_one_file_of_each_work_is_taken_and_not_too_many(script: Script) -> None:
    pieces = [
        Piece(id=str(i), path=f"{i}.mid", composer="AB"[i % 2], group=f"work {i // 4} {i % 2}") for i in range(40)
    ]
    kept = script("held_out").one_a_work(Corpus(pieces), 6)
    groups = [p.group for p in kept]
    assert len(set(groups)) == len(groups) == 12 and kept.composers() == {"A": 6, "B": 6}


def test_a_changed_file_holds_the_same_music(script: Script) -> None:
    symusic = pytest.importorskip("symusic")
    module = script("invariance")
    assert symusic.__version__
    data = midi_of(styled("Chopin", 241))
    before = read(data)
    seen = {}
    for kind, exactly, change in module.changes("notated"):
        after = read(module.written(data, change))
        seen[kind, exactly] = after
        if kind != "transposed":
            assert sorted(after.notes["pitch"].tolist()) == sorted(before.notes["pitch"].tolist()), kind
    assert len(seen) == 1 + len(module.TRANSPOSED) + len(module.FASTER) + 2 + len(module.TICKS)
    raised = seen["transposed", "+6"].notes["pitch"].astype(int)
    assert sorted(raised.tolist()) == sorted((before.notes["pitch"].astype(int) + 6).tolist())
    assert seen["tempo", "x 2"].seconds == pytest.approx(before.seconds / 2, rel=1e-3)
    assert set(seen["velocities flattened", ""].notes["velocity"].tolist()) == {64}
    assert seen["ticks changed", "96"].ticks_per_quarter == 96
    stretched = read(module.written(data, module.faster(0.5, "default")))
    assert stretched.end == pytest.approx(2 * before.end, rel=1e-3)


def test_columns_of_an_earlier_table_stay_beside_the_same_real_music(script: Script) -> None:
    module = script("compose")
    shared = (
        "pieces",
        "works",
        "bars",
        "seed bars",
        "composers",
        "judge",
        "random seed",
        "learnt pieces",
        "copy limit",
    )
    base = dict.fromkeys(shared, 1)
    earlier: dict[str, Any] = {
        **base,
        "systems": {"real": {"loops": 0.0}, "markov": {"loops": 0.1}, "ours": {"loops": 0.5}},
        "models": {"markov": {}, "remi-transformer": {"version": "1"}},
        "left out": {},
    }
    new: dict[str, Any] = {
        **base,
        "systems": {"real": {"loops": 0.0}, "ours": {"loops": 0.2}},
        "models": {"remi-transformer": {"version": "2"}},
        "left out": {"markov": "no model"},
    }
    both = module.with_earlier(new, earlier)
    assert list(both["systems"]) == ["real", "markov", "ours"] and both["systems"]["ours"] == {"loops": 0.2}
    assert both["models"] == {"markov": {}, "remi-transformer": {"version": "2"}} and both["left out"] == {}
    for changed in ({**earlier, "judge": 2}, {**earlier, "systems": {**earlier["systems"], "real": {"loops": 0.3}}}):
        assert module.with_earlier(new, changed) is new


def test_performances_are_asked_about_whose_work_was_not_learnt(script: Script, tmp_path: Path) -> None:
    module = script("held_out")
    pieces = [
        Piece(id="1", path="a", composer="Liszt", corpus="maestro", group="w1", domain="performance"),
        Piece(id="2", path="b", composer="Liszt", corpus="maestro", group="w2", domain="performance"),
        Piece(
            id="3",
            path="c",
            composer="Liszt",
            corpus="maestro",
            group="w3",
            extra={"composers_raw": "Franz Schubert / Franz Liszt"},
        ),
        Piece(id="4", path="d", composer="Alkan", corpus="maestro", group="w4"),
        Piece(id="5", path="e", composer="Liszt", corpus="asap", group="w2", domain="performance"),
        Piece(id="6", path="f", composer="Liszt", corpus="asap", group="w2", domain="score"),
    ]
    corpus = Corpus(pieces, "all")
    assert [p.id for p in module.performances_of(corpus, {"Liszt"}, {"w1"})] == ["2"]
    assert [p.id for p in pieces if module.is_played(p)] == ["1", "2", "3", "4", "5"]
    (tmp_path / "judged.json").write_text(json.dumps({"judged": ["2"], "learnt": ["1", "6"]}))
    assert module.kept_with(tmp_path / "panel", "learnt") == {"1", "6"}
