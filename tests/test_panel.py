"""n-grams and a network in one folder: trained together, asked together, and damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightning", reason="training needs the extra train")

import torch

import fugato
from fugato.composer.identify import identify_many, judgeable
from fugato.composer.panel import panel
from fugato.composer.pooled import FACTS, Pool, PooledModel, farthest, pooled
from fugato.corpus import Corpus, Piece
from fugato.errors import FugatoError
from fugato.models import load_model, log_softmax, save_model, softmax
from fugato.train import train
from fugato.train.composer import strangers
from fugato.train.panel import WITHIN, Heard, fit_known, fit_pool, fit_reach, sides, sure_of, tell
from fugato.train.tune import tune

from .music_files import midi_of
from .music_styles import COMPOSERS, write_collection

SMALL: dict[str, float] = {"width": 8, "epoch_windows": 64, "epochs": 2}
ALIKE = Pool(0.5, 0.5, 20.0, np.zeros(6))  # both are heard alike


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_collection(tmp_path_factory.mktemp("music"), range(7))


@pytest.fixture(scope="module")
def made(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A panel, and beside it the one that has not seen the works it was judged on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("panel")
    train("composer", music, recipe="panel", out=root / "both", held_out=root / "apart", jobs=1, devices=1, **SMALL)
    torch.set_num_threads(before)
    return root


def test_the_card_tells_how_both_were_judged(made: Path) -> None:
    card = load_model(made / "both").card
    assert card.recipe == "panel" and set(card.labels) == set(COMPOSERS)
    assert "no work on two sides" in card.figures[0]["protocol"]
    assert set(card.calibration["pool"]) == {"linear", "network", "events", "prior"}
    assert 0 < card.calibration["known_threshold"] < 1
    assert set(card.made["alone"]) == {"ngram-linear", "onset-cnn", "n"}
    assert card.made["settings"]["width"] == 8 and card.made["settings"]["penalty"] > 0
    assert not list(made.glob("*.training"))


def test_a_network_can_be_kept_while_the_n_grams_are_made_again(made: Path, music: Path, tmp_path: Path) -> None:
    again = {"network_of": made / "both", "out": tmp_path / "again", "held_out": tmp_path / "apart", "jobs": 1}
    train("composer", music, recipe="panel", class_power=1.5, **again)  # type: ignore[arg-type]
    first, second = load_model(made / "both"), load_model(tmp_path / "again")
    assert second.path("network").read_bytes() == first.path("network").read_bytes()
    assert second.json("history") == first.json("history")
    assert second.card.made["settings"] == {**first.card.made["settings"], "class_power": 1.5}
    judged = [json.loads((folder / "judged.json").read_text())["judged"] for folder in (made, tmp_path)]
    assert judged[0] == judged[1] and second.card.made["alone"]["onset-cnn"] == first.card.made["alone"]["onset-cnn"]
    with pytest.raises(FugatoError, match="Only a panel's network"):
        train("composer", music, recipe="ngram-linear", **again)  # type: ignore[arg-type]
    few = sorted(first.card.labels)[:2]
    with pytest.raises(FugatoError, match="other composers"):
        train("composer", music, recipe="panel", composers=few, **{**again, "out": tmp_path / "few"})  # type: ignore[arg-type]


def test_it_answers_and_names_bars_and_patterns(made: Path, music: Path) -> None:
    answer = fugato.identify(music / "Bach" / "piece 1.mid", model=made / "both", explain=True)
    assert answer.name == "Bach" and sum(g.probability for g in answer.ranking) == pytest.approx(1)
    assert answer.evidence is not None and answer.evidence["bars"]
    many = list(identify_many([music / "Bach" / f"piece {k}.mid" for k in range(6)], model=made / "both"))
    assert many[1]["ranking"][0]["probability"] == pytest.approx(answer.ranking[0].probability, abs=1e-4)


def test_the_answer_is_the_weighted_sum_of_both(made: Path, music: Path) -> None:
    both = panel(str(made / "both")).classifiers[0]
    assert isinstance(both, PooledModel)
    score = fugato.read(music / "Bach" / "piece 2.mid")
    events = judgeable(score)
    linear, network = both.listen(score, events).each
    share = len(events) / (len(events) + both.pool.events)
    expected = softmax(share * (both.pool.linear * linear + both.pool.network * network - both.pool.common))
    answer = fugato.identify(score, model=made / "both")
    assert [g.probability for g in answer.ranking] == pytest.approx(sorted(expected, reverse=True), abs=1e-9)


def test_what_is_too_short_for_the_network_is_left_to_the_n_grams(made: Path, music: Path) -> None:
    both = panel(str(made / "both")).classifiers[0]
    assert isinstance(both, PooledModel)
    score = fugato.read(music / "Bach" / "piece 2.mid")
    few = fugato.Score.from_notes(np.arange(14), np.ones(14), score.pitched["pitch"][:14])
    assert not both.listen(few, judgeable(few)).each[1].any()
    assert fugato.identify(few, model=made / "both").ranking


def test_the_panel_kept_apart_lists_what_it_has_not_seen(made: Path) -> None:
    both = json.loads((made / "judged.json").read_text())
    listed = both["judged"]
    assert len(listed) + len(both["learnt"]) == len(set(listed) | set(both["learnt"])) == 3 * 7
    card = load_model(made / "apart").card
    whole = load_model(made / "both").card
    assert listed and sum(card.labels.values()) + len(listed) == sum(whole.labels.values())
    assert card.calibration["pool"] == whole.calibration["pool"]


def test_a_listener_hears_a_panel(made: Path) -> None:
    listener = fugato.Listener(made / "both")
    listener.feed((60 + k % 12, k * 0.25, 0.25) for k in range(40))
    assert sum(g.probability for g in listener.ranking) == pytest.approx(1)


@pytest.mark.parametrize(
    "pool",
    [
        None,
        {},
        {"linear": 1.0, "network": "much", "events": 1},
        {"linear": -1, "network": 1, "events": 1},
        {"linear": 1, "network": 1, "events": 1, "prior": "strong"},
    ],
)
def test_a_card_without_weights_is_refused(made: Path, tmp_path: Path, pool: Any) -> None:
    model = load_model(made / "both")
    calibration = {**model.card.calibration, "pool": pool}
    parts = {part: model.path(part) for part in model.card.files}
    save_model(tmp_path / "damaged", replace(model.card, calibration=calibration), parts)
    with pytest.raises(FugatoError) as error:
        fugato.identify(b"", model=tmp_path / "damaged")
    assert error.value.kind == "bad-model"


def test_what_is_like_no_music_is_not_known(made: Path, music: Path, tmp_path: Path) -> None:
    piece = music / "Bach" / "piece 1.mid"
    assert fugato.identify(piece, model=made / "both").warnings == ()
    model = load_model(made / "both")
    parts = {part: model.path(part) for part in model.card.files}
    for name, narrow in (("near", {"reach": [0.01, 0.0, 0.0]}), ("clear", {"clarity": 1.1})):
        save_model(tmp_path / name, replace(model.card, calibration={**model.card.calibration, **narrow}), parts)
        answer = fugato.identify(piece, model=tmp_path / name)
        assert not answer.known and any("like no music" in w for w in answer.warnings)
    lengths = np.array([1, 30, 500, 5000, 1_000_000])
    limit = farthest(lengths, model.card.calibration["reach"])
    assert limit[0] == limit[1] and limit[3] == limit[4] and (limit > 0).all()


def test_held_out_music_lies_within_reach_but_for_a_few() -> None:
    rng = np.random.default_rng(2)
    events = rng.integers(30, 3000, 2000)
    distance = 2 - 0.2 * np.log(events) + rng.normal(0, 0.05, 2000)
    none = np.zeros((2000, 0))
    heard = Heard(
        np.arange(2000), np.zeros(2000, np.int64), events, np.zeros((2000, 2, 3)), distance, np.ones(2000), none
    )
    inside = (distance <= farthest(events, fit_reach(heard))).mean()
    assert inside == pytest.approx(WITHIN, abs=0.002)


def heard(n: int, agree: float, seed: int, alike: Any = None) -> Heard:
    """Rows of two models that are both sure, and of one mind as often as said; and how alike the columns for that find them."""
    rng = np.random.default_rng(seed)
    each = rng.normal(size=(n, 2, 6))
    first = rng.integers(0, 6, n)
    second = np.where(rng.random(n) < agree, first, rng.integers(0, 6, n))
    each[np.arange(n), 0, first] += 4
    each[np.arange(n), 1, second] += 4
    alike = np.zeros((n, 0)) if alike is None else alike
    lengths = rng.integers(50, 900, n)
    return Heard(np.arange(n), np.zeros(n, np.int64), lengths, log_softmax(each), np.ones(n), np.ones(n), alike)


def test_strangers_are_told_by_two_models_that_do_not_agree() -> None:
    own, others = heard(400, 0.95, 0), heard(400, 0.2, 1)
    groups = np.arange(400).astype(str)
    asked: dict[str, Any] = {"reach": [2.0, 0.0, 0.0], "clarity": 0.6}
    told = tell(own, others, groups, groups, ALIKE, asked)
    assert np.median(told.own) > 0.6 > 0.4 > np.median(told.others)
    asked["known"] = fit_known(own, others, ALIKE)
    assert sure_of(own, ALIKE, asked).mean() > 0.6
    for far in ({"reach": [0.5, 0.0, 0.0]}, {"clarity": 1.1}):
        assert not sure_of(own, ALIKE, {**asked, **far}).any(), (
            "what is like no music is not known, however sure both are"
        )


def test_a_column_that_tells_strangers_is_believed_only_as_far_as_it_tells_new_ones() -> None:
    """The column that has met all strangers tells them without fault here, and those that have met half tell the others not at all."""
    rng = np.random.default_rng(3)
    names = np.array([f"name {k % 40}" for k in range(400)])
    groups = np.arange(400).astype(str)
    asked = {"reach": [2.0, 0.0, 0.0], "clarity": 0.6}

    def alike(first: float, new: float) -> Any:
        return np.stack([rng.normal(m, 0.1, 400) for m in (first, new, new)], axis=1)

    deceived = tell(heard(400, 0.9, 0, alike(1, 0)), heard(400, 0.9, 1, alike(0, 0)), groups, names, ALIKE, asked)
    told = tell(heard(400, 0.9, 0, alike(0, 1)), heard(400, 0.9, 1, alike(0, 0)), groups, names, ALIKE, asked)
    assert abs(np.median(deceived.own) - np.median(deceived.others)) < 0.1
    assert np.median(told.own) > 0.9 and np.median(told.others) < 0.1
    assert 0.3 < sides(names[:40]).mean() < 0.7 and (sides(names) == sides(names[:40].tolist() * 10)).all()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three composers, and two dozen others of few pieces each who write scales in whole tones."""
    root = write_collection(tmp_path_factory.mktemp("crowd"), range(7))
    for k in range(24):
        (root / f"Stranger {k}").mkdir()
        for number in range(5):
            rng = np.random.default_rng([k, number])
            pitch = 50 + 2 * np.abs(np.cumsum(rng.integers(-2, 3, 120))) % 24
            score = fugato.Score.from_notes(np.arange(120) / 2, np.full(120, 0.5), pitch)
            (root / f"Stranger {k}" / f"{number}.mid").write_bytes(midi_of(score))
    return root


def test_a_panel_that_met_strangers_tells_them_and_their_like(crowd: Path, tmp_path: Path) -> None:
    where = {"out": tmp_path / "both", "held_out": tmp_path / "apart", "jobs": 1, "devices": 1}
    train("composer", crowd, recipe="panel", composers=sorted(COMPOSERS), **where, **SMALL)  # type: ignore[arg-type]
    shipped, apart = (panel(str(tmp_path / name)).classifiers[0] for name in ("both", "apart"))
    assert isinstance(shipped, PooledModel) and isinstance(apart, PooledModel)
    assert (shipped.linear.n_more, apart.linear.n_more) == (1, 3)
    card = load_model(tmp_path / "both").card
    assert len(card.calibration["known"]) == FACTS + 2 and card.calibration["strangers"]["auroc"] > 0.95
    assert set(card.labels) == set(COMPOSERS), "strangers are no answer"
    answer = fugato.identify(crowd / "Bach" / "piece 1.mid", model=tmp_path / "both", explain=True)
    assert answer.known and answer.name == "Bach" and answer.evidence is not None
    rng = np.random.default_rng(99)
    foreign = fugato.Score.from_notes(np.arange(120) / 2, np.full(120, 0.5), 50 + 2 * rng.integers(0, 12, 120))
    assert not fugato.identify(foreign, model=tmp_path / "both").known
    model = load_model(tmp_path / "both")
    parts = {part: model.path(part) for part in model.card.files}
    short = {**model.card.calibration, "known": model.card.calibration["known"][:-1]}
    save_model(tmp_path / "damaged", replace(model.card, calibration=short), parts)
    with pytest.raises(FugatoError, match="how its models answer together"):
        fugato.identify(foreign, model=tmp_path / "damaged")
    fewer = dict(list(model.card.labels.items())[:-1])
    save_model(tmp_path / "fewer", replace(model.card, labels=fewer), parts)
    with pytest.raises(
        FugatoError, match="arrays that do not fit"
    ):  # its column is not taken for one that tells strangers
        fugato.identify(foreign, model=tmp_path / "fewer")


def test_strangers_are_pieces_by_nobody_chosen_and_of_no_chosen_work() -> None:
    pieces = [
        Piece(id="1", path="a", composer="Bach", group="w1"),
        Piece(id="2", path="b", composer="Bliss", group="w1"),
        Piece(id="3", path="c", composer="Bliss", group="w2"),
        Piece(id="4", path="d", composer="Bliss", group="w3", corpus="maestro"),
        Piece(id="5", path="e", composer="", group="w4"),
    ]
    found = strangers(Corpus(pieces, "all"), Corpus(pieces[:1], "chosen"), ("maestro",))
    assert found.ids == ["3"]


def test_its_parts_are_tuned_and_not_itself(music: Path, tmp_path: Path) -> None:
    with pytest.raises(FugatoError, match="tune those"):
        tune("composer", music, recipe="panel", out=tmp_path / "tuned", trials=1)
    assert not list(tmp_path.iterdir())


def test_folds_are_refused(music: Path, tmp_path: Path) -> None:
    with pytest.raises(FugatoError) as error:
        train("composer", music, recipe="panel", out=tmp_path / "m", folds=5)
    assert error.value.kind == "bad-option" and "holdout" in error.value.message


def test_the_better_model_is_heard_more_and_little_music_is_believed_less() -> None:
    rng = np.random.default_rng(0)
    n, names = 600, 5
    truth = rng.integers(0, names, n)
    events = np.where(np.arange(n) % 2, 1000, 30)
    each = rng.normal(size=(n, 2, names))
    strength = np.where(
        events == 1000, 3.0, 0.7
    )  # either model says the same of few events as of many, and is wrong more often
    each[np.arange(n), 0, truth] += strength
    found = fit_pool(
        Heard(np.arange(n), np.zeros(n, np.int64), events, each, np.ones(n), np.ones(n), np.zeros((n, 0))),
        truth,
        np.ones(n, bool),
        [10] * names,
    )
    assert found["linear"] > 5 * found["network"]
    pool = Pool.of(found, [10] * names)
    few, many = pooled(each[:1], np.array([30]), pool), pooled(each[:1], np.array([1000]), pool)
    assert np.ptp(few) < np.ptp(many)


def test_a_composer_is_not_preferred_for_what_the_collection_has_of_him() -> None:
    """Models that know nothing but how much there is by each prefer the commonest; together they prefer him less, or not at all."""
    rng = np.random.default_rng(0)
    n, counts = 2000, [1000, 100, 10]
    truth = rng.choice(3, n, p=np.array(counts) / sum(counts))
    each = log_softmax(rng.normal(0, 0.1, size=(n, 2, 3)) + np.log(counts))
    heard_of = Heard(
        np.arange(n), np.zeros(n, np.int64), np.full(n, 400), each, np.ones(n), np.ones(n), np.zeros((n, 0))
    )
    found = fit_pool(heard_of, truth, np.ones(n, bool), counts)
    assert found["prior"] > 0.2
    share = softmax(pooled(each, heard_of.events, Pool.of(found, counts))).mean(axis=0)
    assert share[0] < 0.7 and share[2] > 2 * counts[2] / sum(counts)
    even = Pool.of({**found, "prior": 0.0}, counts)
    assert not even.common.any()
