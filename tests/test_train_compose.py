"""Training of models that compose: what is drawn to learn from, the loop, the export, and the folder that comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra train")

from fugato.compose import load_generator, network  # noqa: E402
from fugato.corpus import load_corpus, work_groups  # noqa: E402
from fugato.errors import FugatoError  # noqa: E402
from fugato.models import load_model  # noqa: E402
from fugato.recipes import remi_transformer as remi  # noqa: E402
from fugato.represent import tokens as t  # noqa: E402
from fugato.train import compose_loop, muon  # noqa: E402
from fugato.train import phrases as ph  # noqa: E402
from fugato.train.compose import train_compose  # noqa: E402
from fugato.train.export_decoder import decoder_parts, rounded, weights_of  # noqa: E402

from .music_styles import styled  # noqa: E402

TINY = {"units": 64, "layers": 1, "head_units": 16, "batch_size": 2, "dropout": 0.1, "min_works": 3, "epochs": 2}
SETTINGS = {**remi.DEFAULTS, **TINY}


@pytest.fixture(scope="module")
def phrases(styled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ph.Phrases:
    corpus = load_corpus(styled_folder)
    corpus = corpus.with_groups(work_groups(corpus, jobs=1, store=False))
    return ph.prepare(corpus, tmp_path_factory.mktemp("phrases") / "p", min_works=3, jobs=1)


@pytest.fixture
def rows() -> np.ndarray:
    return t.encode(styled("Bach", 3)).rows


def test_works_are_whole_on_one_side_and_every_piece_has_its_style(phrases: ph.Phrases) -> None:
    parts = {}
    for piece, part in zip(phrases.pieces, phrases.part, strict=True):
        parts.setdefault(piece["group"], set()).add(int(part))
    assert all(len(found) == 1 for found in parts.values())
    assert len(phrases.of("train")) > len(phrases.of("valid")) >= 1
    assert phrases.styles == ("Bach", "Chopin", "Joplin")
    for piece, known in zip(phrases.pieces, phrases.controls, strict=True):
        assert phrases.styles[known[t.STYLE] - 1] == piece["composer"]
    assert phrases.periods[phrases.controls[0, t.PERIOD] - 1] == "Baroque"
    assert phrases.chance[phrases.part > 0].sum() == 0 and phrases.chance.sum() == pytest.approx(1)


def test_a_copy_of_a_piece_is_learnt_once_and_the_steps_are_those_of_the_file(
    styled_folder: Path, tmp_path: Path, fugato_home: Path
) -> None:
    for name, piece in (("a.mid", "piece 1.mid"), ("b.mid", "piece 1.mid"), ("c.mid", "piece 2.mid")):
        (tmp_path / "data" / "Bach").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "Bach" / name).write_bytes((styled_folder / "Bach" / piece).read_bytes())
    (tmp_path / "data" / "Bach" / "d.mid").write_bytes(b"no music")
    found = ph.prepare(load_corpus(tmp_path / "data"), tmp_path / "kept", jobs=1)
    assert len(found.pieces) == 2
    assert found.left_out["another copy of the same music"] == 1 and found.left_out["not-music"] == 1
    from fugato.read import read

    for i in range(2):
        assert (found.tokens(i) == t.encode(read(tmp_path / "data" / "Bach" / ("a.mid", "c.mid")[i])).rows).all()
    again = ph.prepare(load_corpus(tmp_path / "data"), tmp_path / "kept", jobs=1)
    assert (again.tokens(0) == found.tokens(0)).all()


def test_the_same_step_draws_the_same_samples(phrases: ph.Phrases) -> None:
    one, two, other = (ph.batch(phrases, np.random.default_rng([0, s]), 3, 257, SETTINGS) for s in (5, 5, 6))
    assert one.shape == (3, 257, 20) and (one == two).all() and not (one == other).all()
    sizes = [*t.VOCABULARY, 4, 6, *[t.FAMILIES] * t.N_PARTS]
    assert (one.reshape(-1, 20).max(axis=0) < sizes).all()


def test_a_gap_is_moved_to_the_end_and_nothing_is_lost(rows: np.ndarray) -> None:
    found = ph.with_gap(rows, np.random.default_rng(1), 200)
    events = found[:, t.EVENT]
    suffix, middle = (int(np.flatnonzero(events == mark)[0]) for mark in (t.SUFFIX, t.MIDDLE))
    assert 0 <= suffix < middle and events[-1] == t.END and len(found) <= 200
    together = np.concatenate([found[:suffix], found[middle + 1 : -1], found[suffix + 1 : middle]])
    music = [c for c in range(10) if c != t.LEFT]
    assert (together[:, music] == rows[: len(together), music]).all()
    left = found[middle + 1 :][found[middle + 1 :, t.EVENT] == t.BAR, t.LEFT]
    assert left.tolist() == list(range(len(left), 0, -1))


def test_samples_begin_at_bars_and_show_beginnings_and_ends(rows: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    plain = {**SETTINGS, "infill": 0.0}
    found = [ph.sample(rows, rng, 100, plain) for _ in range(200)]
    assert all(len(s) <= 100 for s in found) and np.mean([len(s) for s in found]) > 90
    assert {int(s[0, t.EVENT]) for s in found} == {t.START, t.BAR}
    assert 10 < sum(s[-1, t.EVENT] == t.END for s in found) < 100
    keys = {int(s[s[:, t.EVENT] == t.BAR, t.KEY][0]) for s in found}
    assert keys in ({0, 1}, {0, 22})  # brought to C major or A minor, and sometimes not told
    lowest = {int(s[s[:, t.EVENT] < t.BAR, t.PITCH].min()) for s in found if s[0, t.EVENT] == t.START}
    assert len(lowest) > 2  # some stand elsewhere


def test_every_step_of_held_out_pieces_is_foretold_once(phrases: ph.Phrases) -> None:
    pieces = phrases.of("valid")
    held = ph.whole(phrases, pieces, 128)
    notes = sum(int((row[1:, t.EVENT] < t.BAR).sum()) for row in held)
    assert notes == sum(phrases.pieces[i]["notes"] for i in pieces)


def test_the_future_is_never_seen_and_the_past_may_come_in_parts() -> None:
    torch.manual_seed(0)
    network = remi.build(3, 5, {**SETTINGS, "layers": 2}).eval()
    steps = torch.zeros(1, 12, 20, dtype=torch.long)
    steps[0, :, 0] = torch.arange(12)
    whole, _ = network(steps)
    changed = steps.clone()
    changed[0, 8:, 2] = 60
    assert torch.allclose(network(changed)[0][:, :8], whole[:, :8], atol=1e-6)
    assert not torch.allclose(network(changed)[0][:, 8:], whole[:, 8:], atol=1e-3)
    first, past = network(steps[:, :5])
    room = [tuple(torch.nn.functional.pad(part, (0, 0, 0, 3), value=7.0) for part in layer) for layer in past]
    second, _ = network(steps[:, 5:], remi.Past(room, torch.tensor([5])))  # what is in the room beyond does not count
    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-5)


def test_losses_count_what_is_foretold_and_nothing_else(phrases: ph.Phrases) -> None:
    network = remi.build(3, 5, SETTINGS).eval()
    batch = torch.from_numpy(ph.batch(phrases, np.random.default_rng(0), 2, 200, SETTINGS))
    loss = remi.losses(network, batch)
    event = batch[:, 1:, t.EVENT]
    assert ((loss[0] > 0) == ((event <= t.BAR) | (event == t.END))).all()
    assert ((loss[2] > 0) == (event < t.BAR)).all()


def test_muon_turns_gradients_into_orthogonal_steps() -> None:
    torch.manual_seed(0)
    for shape in ((8, 32), (32, 8), (16, 16)):
        values = torch.linalg.svdvals(muon.orthogonal(torch.randn(shape)))
        assert values.min() > 0.3 and values.max() < 1.4
    target, weight = torch.randn(6, 4), torch.nn.Parameter(torch.zeros(6, 4))
    optimiser = muon.Muon([weight], 0.1)
    for _ in range(200):
        optimiser.zero_grad()
        ((weight - target) ** 2).sum().backward()
        optimiser.step()
    assert (weight - target).abs().max() < 0.5


def test_a_training_that_is_stopped_ends_as_one_that_is_not(
    phrases: ph.Phrases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose_loop, "SAVED", 3)  # between two looks at the held-out works

    def network() -> remi.Network:
        torch.manual_seed(1)
        return remi.build(3, 5, SETTINGS)

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == total // 2 + 1:
            raise Stop

    straight = compose_loop.fit(network(), phrases, SETTINGS, tmp_path / "a", seed=4)
    with pytest.raises(Stop):
        compose_loop.fit(network(), phrases, SETTINGS, tmp_path / "b", seed=4, progress=stop)
    resumed = compose_loop.fit(network(), phrases, SETTINGS, tmp_path / "b", seed=4, resume=True)
    for name, weight in straight.network.state_dict().items():
        assert torch.equal(weight, resumed.network.state_dict()[name]), name
    for one, other in zip(straight.history, resumed.history, strict=True):
        assert one["valid_nll"] == other["valid_nll"] and one["train_loss"] == other["train_loss"]


def test_minutes_become_steps(phrases: ph.Phrases, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = {**SETTINGS, "epochs": 10_000}
    done = compose_loop.fit(remi.build(3, 5, settings), phrases, settings, tmp_path, minutes=0.02)
    assert compose_loop.TIMED < done.history[-1]["step"] < 200


def test_the_rate_rises_stays_and_falls() -> None:
    rates = [compose_loop.rate(step, 1000) for step in range(1000)]
    assert rates[0] < 0.1 and max(rates) == 1 and rates[300] == 1 and rates[-1] < 0.01
    assert sorted(rates[400:], reverse=True) == rates[400:]


@pytest.fixture
def trained(small_composer: Path) -> Path:
    return small_composer


def test_a_model_folder_comes_of_it_with_its_figures(trained: Path) -> None:
    model = load_model(trained)
    figures = {figure["name"]: figure["value"] for figure in model.card.figures}
    assert 0 < figures["nll_per_note"] < 20
    assert figures["nll_per_note"] == pytest.approx(sum(figures[f"nll_{c}"] for c in t.COLUMNS[:5]), abs=1e-3)
    assert model.card.labels.keys() == {"Bach", "Chopin", "Joplin"} and model.card.task == "compose"
    assert model.json("vocabulary")["sizes"] == list(t.VOCABULARY)
    assert not trained.with_name("small.training").exists()


def test_served_without_torch_it_foretells_as_it_was_judged(trained: Path) -> None:
    system = load_generator(trained)
    score = styled("Chopin", 40)
    weights = remi.build(3, 5, {**SETTINGS, **load_model(trained).card.made["settings"]})
    weights.load_state_dict(weights_of(load_model(trained), weights))
    rows = t.encode(score)
    known = t.controls(system.styles.index("Chopin") + 1, system.periods.index("Romantic") + 1, rows.programs)
    home = t.transposed(rows.rows, t.shift_home(int(rows.rows[0, t.KEY])))
    steps = np.concatenate([ph.marker(t.START), home, ph.marker(t.END)]).astype(np.int64)
    whole = np.concatenate([steps, np.repeat(known[None], len(steps), axis=0)], axis=1)
    by_torch = compose_loop.nll(weights.eval(), [whole[i : i + 513] for i in range(0, len(whole) - 1, 512)])
    served = system.nll(score, style="Chopin")
    assert served.per_note == pytest.approx(by_torch["note"], rel=1e-3)
    assert served.notes == by_torch["notes"] and sum(served.by.values()) == pytest.approx(served.nats)


def test_a_network_that_takes_other_inputs_is_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [SimpleNamespace(name="steps", shape=["batch", "steps", 20]), SimpleNamespace(name="past", shape=[])]
    earlier = SimpleNamespace(get_inputs=lambda: inputs)
    monkeypatch.setattr(network, "onnx_session", lambda *args, **options: earlier)
    with pytest.raises(FugatoError, match="earlier Fugato; train it again") as caught:
        load_generator(trained)
    assert caught.value.kind == "bad-model"


def test_a_past_that_grew_and_was_cut_goes_on_as_if_nothing_had_been(trained: Path) -> None:
    decoder = load_generator(trained).decoder  # type: ignore[attr-defined]
    steps = np.zeros((2, 200, 20), np.int64)
    steps[:, :, 0] = np.random.default_rng(0).integers(0, 40, (2, 200))
    whole = decoder.feed(steps, decoder.empty(2))
    past = decoder.empty(2)
    parts = [decoder.feed(steps[:, i : i + 1], past) for i in range(70)]  # beyond the room at first
    decoder.feed(steps[:, ::-1][:, :50], past)
    past.length = 70
    rest = decoder.feed(steps[:, 70:], past)
    assert past.length == 200 and np.allclose(np.concatenate([*parts, rest], axis=1), whole, atol=1e-4)


def test_rounding_to_half_costs_next_to_nothing(phrases: ph.Phrases) -> None:
    torch.manual_seed(0)
    network = remi.build(3, 5, SETTINGS).eval()
    held = ph.whole(phrases, phrases.of("valid"), 512)
    there = compose_loop.nll(rounded(network), held)["note"]
    assert there == pytest.approx(compose_loop.nll(network, held)["note"], rel=0.01)


def test_an_export_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from fugato.train import export_decoder

    original = export_decoder.halved

    def spoilt(model: object) -> object:
        for array in model.graph.initializer:  # type: ignore[attr-defined]
            if array.name.endswith("embed.weight"):
                array.raw_data = np.frombuffer(array.raw_data, np.float32)[::-1].tobytes()
        return original(model)

    monkeypatch.setattr(export_decoder, "halved", spoilt)
    with pytest.raises(FugatoError, match="answers otherwise"):
        decoder_parts(rounded(remi.build(3, 5, SETTINGS)))


def test_fine_tuning_goes_on_from_the_model_and_says_what_it_brought(
    trained: Path, styled_folder: Path, tmp_path: Path, fugato_home: Path
) -> None:
    out = train_compose(styled_folder, from_model=trained, out=tmp_path / "own", jobs=1, epochs=1, composers=["Joplin"])
    model = load_model(out)
    figures = {figure["name"]: figure["value"] for figure in model.card.figures}
    assert figures["nll_per_note"] < figures["nll_per_note_before"]
    assert model.json("vocabulary")["styles"] == ["Bach", "Chopin", "Joplin"] and model.card.made["from"] == "small"
    works = model.json("works")
    assert len(works) > len(load_model(trained).json("works")) and model.arrays("copies")["piece"].max() < len(works)


def test_wrong_options_are_refused_before_anything_is_read(tmp_path: Path, trained: Path) -> None:
    for options, said in (
        ({"units": 100}, "multiple of 64"),
        ({"colour": 1}, "no setting colour"),
        ({"recipe": "fairy"}, "no recipe"),
        ({"minutes": 0}, "minutes is 0"),
        ({"budget": "huge"}, "no budget"),
        ({"learning_rate": 0}, "nothing would be learnt"),
        ({"from_model": trained, "recipe": "chord-lstm"}, "not chord-lstm"),
    ):
        with pytest.raises(FugatoError, match=said):
            train_compose(tmp_path / "nowhere", out=tmp_path / "model", **options)


def test_resuming_another_training_is_refused(styled_folder: Path, tmp_path: Path, fugato_home: Path) -> None:
    training = tmp_path / "m.training"
    training.mkdir()
    (training / "training.json").write_text(json.dumps({"recipe": "another"}))
    with pytest.raises(FugatoError, match="other pieces or settings"):
        train_compose(styled_folder, out=tmp_path / "m", jobs=1, resume=True, **TINY)


def test_a_packed_collection_needs_no_files(
    styled_folder: Path, phrases: ph.Phrases, tmp_path: Path, fugato_home: Path
) -> None:
    corpus = load_corpus(styled_folder)
    packed = tmp_path / "packed"
    ph.prepare(corpus.with_groups(corpus.ids), packed, jobs=1)
    model = load_model(train_compose(packed, out=tmp_path / "m", **TINY))
    assert sum(model.card.made["pieces"].values()) == len(ph.load(packed).pieces) and packed.is_dir()
    with pytest.raises(FugatoError, match="was chosen from"):
        train_compose(packed, out=tmp_path / "m", only_open=True, **TINY)


def test_only_open_licences_where_that_is_asked(styled_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FugatoError, match="Fewer than two pieces"):
        train_compose(styled_folder, out=tmp_path / "m", only_open=True)


def test_a_stopped_command_goes_on_where_it_was(styled_folder: Path, tmp_path: Path, fugato_home: Path) -> None:
    class Stop(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        if what == "training" and done == 2:
            raise Stop

    out = tmp_path / "m"
    with pytest.raises(Stop):
        train_compose(styled_folder, out=out, jobs=1, progress=stop, **TINY)
    kept = (tmp_path / "m.training" / "phrases" / "rows.bin").stat().st_mtime_ns
    seen: list[int] = []

    def look(what: str, done: int, total: int) -> None:
        if what == "training" and not seen:
            seen.append((tmp_path / "m.training" / "phrases" / "rows.bin").stat().st_mtime_ns)

    model = load_model(train_compose(styled_folder, out=out, jobs=1, resume=True, progress=look, **TINY))
    assert seen == [kept] and model.card.made["steps"] >= 2 and abs(model.card.made["float16_costs"]) < 0.05
    usual = model.json("vocabulary")["usual"]
    assert usual["Bach"]["meters"] == [[[4, 4], usual["Bach"]["meters"][0][1]]] and 1 <= usual[""]["density"] <= 8
