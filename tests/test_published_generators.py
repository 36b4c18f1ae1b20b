"""The published generators and the Markov chain: trained on any folder, they go on from any file and foretell the same note events."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="training needs the extra train")

from fugato.compose import load_generator  # noqa: E402
from fugato.compose.markov import SIZES, Markov, contexts, count, hashed  # noqa: E402
from fugato.compose.published import ChordLSTM, PitchDurationLSTM, drawn, filled  # noqa: E402
from fugato.errors import FugatoError  # noqa: E402
from fugato.recipes import next_step, recipe  # noqa: E402
from fugato.recipes.chord_lstm import NextSound  # noqa: E402
from fugato.recipes.pitch_duration_lstm import NextSymbol  # noqa: E402
from fugato.represent import note_events as ne  # noqa: E402
from fugato.represent import tokens as t  # noqa: E402
from fugato.score import Meter, Score  # noqa: E402
from fugato.train.compose import train_compose  # noqa: E402

from .music_styles import styled, write_tunes  # noqa: E402

TINY: dict[str, dict[str, float]] = {
    "markov": {"order": 3},
    "pitch-duration-lstm": {"units": 8, "embedding": 4, "epochs": 2, "windows": 300},
    "chord-lstm": {"units": 8, "dense": 8, "epochs": 2, "windows": 200, "batch_size": 32},
}


@pytest.fixture(scope="module")
def systems(styled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each recipe, hardly trained."""
    home = tmp_path_factory.mktemp("systems")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUGATO_HOME", str(home / "home"))
        made = {
            name: train_compose(styled_folder, recipe=name, out=home / name, jobs=1, min_works=3, **tiny)
            for name, tiny in TINY.items()
        }
    return {name: load_generator(folder) for name, folder in made.items()}


@pytest.mark.parametrize("name", TINY)
def test_a_collection_of_notes_of_one_length_is_learnt_too(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUGATO_HOME", str(tmp_path / "home"))
    music = write_tunes(tmp_path / "music", (130,) * 6)
    made = train_compose(music, recipe=name, out=tmp_path / "model", jobs=1, min_works=3, **TINY[name])
    piece = load_generator(made).generate(None, bars=2, random_seed=1)
    assert set(piece.notes["duration"].tolist()) == {0.5}


def rows(score: Score) -> list[tuple[float, float, int]]:
    return [(float(n["onset"]), float(n["duration"]), int(n["pitch"])) for n in score.notes]


FOREIGN = Score.from_notes(
    np.arange(12) * 1.25, [0.3] * 12, [21, 22, 108, 23, 21, 107, 30, 31, 21, 25, 108, 24], meters=[Meter(0.0, 3, 4)],
    beats="notated",
)  # sounds, lengths and a meter that no piece of the collection has  # fmt: skip


@pytest.mark.parametrize("name", TINY)
def test_it_goes_on_from_any_seed_and_from_nothing(systems: dict[str, Any], name: str) -> None:
    system = systems[name]
    for seed in (None, styled("Bach", 3), styled("Chopin", 5).excerpt(0, 0), FOREIGN):
        made = system.generate(seed, bars=4, random_seed=3)
        meter = seed.meters[-1] if seed is not None else Meter(0.0, 4, 4)
        assert len(made) and made.meters[0][1:] == meter[1:] and len(made.bars) == 4
        assert made.notes["onset"][0] == 0 and made.end <= 4 * meter.bar_length + 1e-9
        assert made.notes["pitch"].min() >= 0 and made.notes["pitch"].max() <= 127


@pytest.mark.parametrize("name", TINY)
def test_the_same_seed_gives_the_same_piece(systems: dict[str, Any], name: str) -> None:
    one, two, other = (
        rows(systems[name].generate(styled("Bach", 3), bars=4, random_seed=s, temperature=1.0)) for s in (1, 1, 2)
    )
    assert one == two != other


@pytest.mark.parametrize("name", ["pitch-duration-lstm", "chord-lstm"])
def test_without_a_temperature_nothing_is_drawn(systems: dict[str, Any], name: str) -> None:
    one, two = (
        rows(systems[name].generate(styled("Bach", 3), bars=4, random_seed=s, temperature=None)) for s in (1, 2)
    )
    assert one == two


def test_chord_lstm_plays_every_half_quarter(systems: dict[str, Any]) -> None:
    made = systems["chord-lstm"].generate(styled("Bach", 3), bars=4, random_seed=1)
    assert np.unique(made.notes["onset"]).tolist() == [i / 2 for i in range(32)]
    assert np.allclose(made.notes["duration"], 0.5)


@pytest.mark.parametrize("name", TINY)
def test_all_foretell_the_same_note_events(systems: dict[str, Any], name: str) -> None:
    for piece in (styled("Bach", 3), FOREIGN):
        found = systems[name].nll(piece)
        assert found.notes == t.encode(piece).n_notes
        assert set(found.by) == {"onset", "pitch", "duration"} and found.nats == pytest.approx(sum(found.by.values()))
        assert all(math.isfinite(v) and v > 0 for v in found.by.values())
    rng = np.random.default_rng(0)
    noise = Score.from_notes(
        np.cumsum(rng.integers(1, 40, 200)) / 12, rng.integers(1, 90, 200) / 12, rng.integers(0, 128, 200)
    )
    if noise.beats == "notated":
        assert systems[name].nll(noise).per_note > systems[name].nll(styled("Bach", 3)).per_note


def test_a_performance_is_refused(systems: dict[str, Any]) -> None:
    free = Score.from_notes([0.013, 0.377, 1.291], [0.1, 0.2, 0.3], [60, 61, 62], beats="default")
    for system in systems.values():
        with pytest.raises(FugatoError) as caught:
            system.generate(free, bars=4, random_seed=1)
        assert caught.value.kind == "unsupported"


def test_what_a_chain_foretells_adds_up_to_one_and_counting_more_helps(systems: dict[str, Any]) -> None:
    chain = systems["markov"]
    assert isinstance(chain, Markov)
    for part in range(3):
        for hashes in ([1, 2, 3, 4], [int(chain.tables[part][k][0][0]) for k in range(4)]):
            assert chain.chances(part, hashes).sum() == pytest.approx(1.0)

    def counted(piece: Score) -> Markov:
        tables = count([ne.note_events(piece)], 2)
        own = Markov.__new__(Markov)
        own.order = 2
        own.tables = [
            [tuple(tables[f"{p}_{k}_{w}"] for w in ("context", "follower", "count")) for k in range(3)]
            for p in ("step", "pitch", "length")
        ]
        return own

    same, other = (counted(styled(name, 3)).nll(styled("Bach", 3)).per_note for name in ("Bach", "Joplin"))
    uniform = sum(math.log(size) for size in SIZES)
    assert same < other < uniform and chain.nll(styled("Bach", 40)).per_note < 0.5 * uniform


def test_the_chain_counts_by_hand() -> None:
    events = ne.NoteEvents(np.array([0, 6, 6, 6]), np.array([60, 64, 60, 64]), np.array([5, 5, 5, 5]))
    assert [c.shape for c in contexts(events, 2)] == [(4, 4), (4, 3), (4, 3)]
    assert len(set(hashed(contexts(events, 1)[1]).tolist())) == 4 - 1, "after 60 twice, after 64, and the beginning"
    tables = count([events], 1)
    assert tables["length_0_count"].tolist() == [4] and tables["step_0_count"].tolist() == [1, 3]


def test_words_for_sounds() -> None:
    assert ne.symbol_of([60]) == "C4" and ne.symbol_of([61, 61]) == "C#4" and ne.symbol_of([4]) == "E-1"
    assert ne.symbol_of([60, 64, 67]) == ne.symbol_of([52, 55, 72]) == "0.4.7"
    assert ne.pitches_of("0.4.7") == (60, 64, 67) and ne.pitches_of("11.2.5.7") == (71, 74, 77, 79)
    assert all(ne.pitches_of(ne.symbol_of([p])) == (p,) for p in range(128))


def test_normal_order_is_that_of_music21() -> None:
    chord = pytest.importorskip("music21.chord")
    rng = np.random.default_rng(1)
    for _ in range(150):
        classes = rng.choice(12, rng.integers(2, 9), replace=False).tolist()
        assert list(ne.normal_order(classes)) == chord.Chord(classes).normalOrder


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 127), st.integers(1, 96)), min_size=1, max_size=30))
def test_note_events_give_the_piece_back(notes: list[tuple[int, int, int]]) -> None:
    unique = {(onset, pitch): length for onset, pitch, length in notes}
    first = min(onset for onset, _ in unique)
    found = sorted(((onset - first) / 12, pitch, length / 12) for (onset, pitch), length in unique.items())
    score = Score.from_notes(*zip(*((o, d, p) for o, p, d in found), strict=True), beats="notated")  # type: ignore[arg-type]
    again = ne.score_of_events(ne.note_events(score), bars=len(score.bars) + 4)
    got = sorted(zip(again.notes["onset"], again.notes["pitch"], again.notes["duration"], strict=True))
    assert len(got) == len(found) and np.allclose(got, found)


def test_the_nearest_word_stands_for_an_unknown_sound(systems: dict[str, Any]) -> None:
    system = systems["chord-lstm"]
    assert isinstance(system, ChordLSTM) and isinstance(systems["pitch-duration-lstm"], PitchDurationLSTM)
    for word in (w for w in system.words if len(w) > 2 or w[0].isalpha()):  # an octave is played as one note
        assert system.words[system.nearest(ne.pitches_of(word))] == word
    far = system.words[system.nearest([0])]
    assert 0 in {p % 12 for p in ne.pitches_of(far)}


def test_the_temperature_is_the_published_one() -> None:
    chance = np.array([0.7, 0.2, 0.1, 0.0])
    draws = [drawn(chance, 5.0, np.random.default_rng(s)) for s in range(3000)]
    weight = np.exp(np.log(chance + 1e-8) / 5)
    assert np.allclose(np.bincount(draws, minlength=4) / 3000, weight / weight.sum(), atol=0.03)
    assert drawn(chance, None, np.random.default_rng(0)) == 0
    assert filled([1, 2, 3], 7) == [3, 1, 2, 3, 1, 2, 3] and filled(list(range(9)), 3) == [6, 7, 8]


def test_the_networks_are_as_published() -> None:
    chord, pitch = NextSound(300, 512, 256, 0.3), NextSymbol(128, 100, 256)
    assert [tuple(p.shape) for n, p in chord.lstm.named_parameters() if n.startswith("weight_ih")] == [
        (2048, 1), (2048, 512), (2048, 512),
    ]  # fmt: skip
    assert [type(m).__name__ for m in chord.head] == [
        "BatchNorm1d",
        "Dropout",
        "Linear",
        "ReLU",
        "BatchNorm1d",
        "Dropout",
        "Linear",
    ]
    assert (
        tuple(pitch.embed.weight.shape) == (128, 100) and pitch.lstm.num_layers == 2 and pitch.lstm.hidden_size == 256
    )
    assert recipe("compose", "chord-lstm").BUDGETS["small"]["windows"] == 10_000


def test_a_training_that_was_stopped_goes_on_to_the_same_network(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = next_step.windows([rng.integers(0, 8, 300)], 10, 0, rng)

    def train(epochs: int, resume: bool, folder: Path) -> Any:
        torch.manual_seed(0)
        network = NextSymbol(8, 4, 8)
        next_step.fit(
            network, torch.optim.Adam(network.parameters(), 1e-2), data, data, checkpoint=folder / "a.pt", epochs=epochs,
            batch_size=32, seed=1, resume=resume, minutes=None,
        )  # fmt: skip
        return network

    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    whole = train(4, False, tmp_path / "x")
    train(2, False, tmp_path / "y")
    resumed = train(4, True, tmp_path / "y")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    first = next_step.loss_of(NextSymbol(8, 4, 8).eval(), data)
    assert next_step.loss_of(whole, data) < first


def test_windows_stay_within_a_piece() -> None:
    inputs, targets = next_step.windows(
        [np.arange(5), np.arange(100, 104), np.arange(2)], 3, 0, np.random.default_rng(0)
    )
    assert inputs.tolist() == [[0, 1, 2], [1, 2, 3], [100, 101, 102]] and targets.tolist() == [3, 4, 103]
    assert len(next_step.windows([np.arange(50)], 3, 10, np.random.default_rng(0))[0]) == 10


@pytest.mark.parametrize("name", TINY)
def test_settings_that_make_no_sense_and_fine_tuning_are_refused(
    name: str, systems: dict[str, Any], styled_folder: Path, tmp_path: Path, fugato_home: Path
) -> None:
    with pytest.raises(FugatoError) as caught:
        recipe("compose", name).check({"nonsense": 1})
    assert caught.value.kind == "bad-option" and "nonsense" in str(caught.value)
    with pytest.raises(FugatoError) as caught:
        train_compose(styled_folder, from_model=systems[name].model, out=tmp_path / "out", jobs=1)
    assert caught.value.kind == "bad-option"


def test_the_benchmark_reads_the_same_pieces_for_all(systems: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[1] / "benchmarks"), *sys.path])
    module = importlib.import_module("foretell")
    pieces = [module.Held(styled("Bach", i), "Bach", str(i)) for i in (50, 51)]
    found = [module.measured(str(system.model.folder), pieces) for system in systems.values()]
    assert len({f["notes"] for f in found}) == 1 and {f["recipe"] for f in found} == set(TINY)
    for f in found:
        assert f["interval"][0] <= f["nats a note"] <= f["interval"][1]
        assert sum(f["by"].values()) == pytest.approx(f["nats a note"], abs=0.01)
    assert "unseen" in module.WITHOUT
