"""The work itself is recognised: a copy, a performance, an excerpt; and not a stranger, a scale or a study's figures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fugato
from fugato.cli import show
from fugato.composer import identify, identify_many
from fugato.composer.recognise import (
    CHANCE,
    LEAST_EVIDENCE,
    Works,
    bar_ranges,
    matches,
    shipped_works,
)
from fugato.corpus.editions import find_editions
from fugato.corpus.work_index import (
    BUCKET_BITS,
    COMMON_WORKS,
    LEAST_KEPT,
    WorkIndex,
    is_simple,
    locate,
    share_of,
    simple_grams,
)
from fugato.corpus.works import RUN, fingerprint
from fugato.errors import FugatoError
from fugato.models import Card, load_model, save_model
from fugato.represent.stream import stream
from fugato.score import Score

from .music_files import midi_of, piece, scales
from .test_works import played, together

MEGABYTES = 8
N = 40  # pieces of the small index


def prints(scores: list[Score]) -> list[Any]:
    return [fingerprint(stream(s)) for s in scores]


@pytest.fixture(scope="module")
def index() -> WorkIndex:
    return WorkIndex.build(prints([piece(seed) for seed in range(N)]), list(range(N)), entries=1_000_000)


def best(index: WorkIndex, score: Score, **options: Any) -> tuple[int, float] | None:
    """The edition and the evidence for it, or None where there is too little."""
    found = matches(index, np.arange(len(index)), locate(stream(score)), **options)
    return (found[0].edition, found[0].share) if found and found[0].evidence >= LEAST_EVIDENCE else None


# -- grams and their places ------------------------------------------------------------------------------------------------


def test_located_grams_are_those_of_the_fingerprint() -> None:
    events = stream(piece(3))
    assert np.unique(locate(events).gram).tolist() == fingerprint(events).tolist()


def test_a_gram_lies_between_its_first_and_last_event() -> None:
    events = stream(piece(3))
    found = locate(events)
    assert (found.last - found.first >= RUN).all() and found.first.min() == 0 and found.last.max() < len(events)
    for k in (0, 5, 40):  # a gram is found again where it is said to lie
        part = piece(3).notes[(events.event_of_note >= found.first[k]) & (events.event_of_note <= found.last[k])]
        alone = stream(Score.from_notes(part["onset"], part["duration"], part["pitch"]))
        assert found.gram[k] in fingerprint(alone)


@pytest.mark.parametrize(
    ("steps", "simple"),
    [
        ([1, 1, 1, 1, 1, 1, 1], True),  # chromatic
        ([2, 2, 1, 2, 2, 2, 1], True),  # major scale
        ([2, -2, 2, -2, 2, -2, 2], True),  # trill
        ([4, 3, 5, 4, 3, 5, 4], True),  # broken chord over octaves
        ([-1, -2, -3, -1, -2, -1, -2], True),  # harmonic minor, downwards
        ([2, 2, -4, 5, -1, 3, -2], False),
        ([4, 3, 5, -5, -3, -4, 4], False),  # up and down again
    ],
)
def test_figures_that_belong_to_no_one_are_simple(steps: list[int], simple: bool) -> None:
    assert is_simple(np.array([steps])).tolist() == [simple]
    line = np.cumsum([60, *steps])
    score = Score.from_notes(np.arange(RUN + 1), np.ones(RUN + 1), line)
    assert np.isin(fingerprint(stream(score)), simple_grams()).all() == simple


def test_no_index_keeps_a_simple_figure() -> None:
    found = locate(stream(scales(8, octaves=2)))
    made = WorkIndex.build([np.unique(found.gram)], [0], entries=1000)
    assert found.simple.mean() > 0.5
    assert not len(made.find(found.gram[found.simple])[0]) and len(made.find(found.gram[~found.simple])[0])


# -- the index -------------------------------------------------------------------------------------------------------------


def test_every_kept_gram_is_found_again(index: WorkIndex) -> None:
    own = fingerprint(stream(piece(7)))
    query, edition = index.find(own)
    assert set(query[edition == 7].tolist()) == set(range(len(own)))
    assert (edition != 7).mean() < 0.05


def test_a_small_index_keeps_the_same_share_of_every_piece() -> None:
    many = [piece(seed, 2000) for seed in range(6)]
    whole = prints(many)
    small = WorkIndex.build(whole, list(range(6)), entries=sum(map(len, whole)) // 8)
    kept = np.bincount(small.edition, minlength=6) / [len(p) for p in whole]
    assert len(small.rest) <= sum(map(len, whole)) // 8 and kept.min() > 0.09 and kept.max() < 0.16
    for grams, limit in zip(whole, small.kept, strict=True):
        assert (share_of(grams) <= limit).mean() == pytest.approx(kept.mean(), abs=0.03)


def test_a_short_piece_keeps_enough_grams_in_a_small_index() -> None:
    many = [*(piece(seed, 2000) for seed in range(6)), piece(99, 60)]
    small = WorkIndex.build(prints(many), list(range(7)), entries=2000)
    assert np.bincount(small.edition, minlength=7)[6] >= 0.6 * LEAST_KEPT


def test_what_many_works_have_is_left_out_but_many_editions_of_one_work_may_share_it() -> None:
    theme = prints([piece(5)])[0]
    n = COMMON_WORKS + 1
    assert len(WorkIndex.build([theme] * n, list(range(n)), entries=10_000).rest) == 0
    assert len(WorkIndex.build([theme] * n, [0] * n, entries=10_000).rest) > 0


def test_the_arrays_make_the_index_again_and_wrong_ones_are_refused(index: WorkIndex) -> None:
    again = WorkIndex.from_arrays(index.arrays())
    grams = fingerprint(stream(piece(2)))
    assert [a.tolist() for a in again.find(grams)] == [a.tolist() for a in index.find(grams)]
    for change in ({"rest": index.rest[:-1]}, {"kept": index.kept[:3]}, {"counts": index.counts[:-1]}):
        with pytest.raises(ValueError, match="its arrays"):
            WorkIndex.from_arrays({**index.arrays(), **change})
    with pytest.raises(ValueError, match="its arrays"):
        WorkIndex.from_arrays({**index.arrays(), "edition": index.edition.astype(np.int64)})


def test_an_empty_index_and_an_empty_question_find_nothing(index: WorkIndex) -> None:
    empty = WorkIndex.build([], [], entries=10)
    assert len(empty) == 0 and best(empty, piece(1)) is None
    assert index.find(np.zeros(0, np.uint32))[0].tolist() == []


def test_no_hash_is_kept_whole(index: WorkIndex) -> None:
    assert index.rest.dtype == np.uint8 and len(index.counts) == 1 << BUCKET_BITS and BUCKET_BITS + 8 <= 26
    assert set(index.arrays()) == {"counts", "rest", "edition", "kept"}  # no time, no place, no order


# -- recognising -----------------------------------------------------------------------------------------------------------


def test_a_piece_is_recognised_in_another_key_and_tempo(index: WorkIndex) -> None:
    for seed in (0, 11, 39):
        found = best(index, piece(seed).transpose(-3).change_tempo(1.4))
        assert found is not None and found[0] == seed and found[1] > 0.95


def test_a_performance_and_an_excerpt_of_it_are_recognised(index: WorkIndex) -> None:
    assert (found := best(index, played(piece(4)))) is not None and found[0] == 4
    assert (found := best(index, played(piece(4).excerpt(8, 23)))) is not None and found[0] == 4


def test_wrong_notes_lower_the_share_and_not_the_work(index: WorkIndex) -> None:
    rng = np.random.default_rng(3)
    clean = piece(12)
    pitch = clean.notes["pitch"].astype(int)
    wrong = rng.random(len(pitch)) < 0.08
    pitch[wrong] += rng.choice([-2, -1, 1, 2], int(wrong.sum()))
    found = best(index, Score.from_notes(clean.notes["onset"], clean.notes["duration"], pitch))
    assert found is not None and found[0] == 12 and 0.2 < found[1] < 0.9


def test_strangers_and_scales_are_not_recognised(index: WorkIndex) -> None:
    assert all(best(index, piece(seed)) is None for seed in range(500, 560))
    assert best(index, scales(20, octaves=3)) is None


def test_a_work_that_is_passed_over_is_not_recognised(index: WorkIndex) -> None:
    assert best(index, piece(6)) is not None
    assert best(index, piece(6), apart_from=(6,)) is None


def test_evidence_is_none_at_the_rate_of_chance_and_grows_with_hits(index: WorkIndex) -> None:
    long, short = piece(8), piece(8).excerpt(0, 7)
    whole = matches(index, np.arange(N), locate(stream(long)))[0]
    part = matches(index, np.arange(N), locate(stream(short)))[0]
    assert whole.evidence > part.evidence > 0 and 0 < CHANCE < 0.1


# -- where -----------------------------------------------------------------------------------------------------------------


def test_where_are_the_bars_that_matched() -> None:
    score = together(piece(600, 200), piece(9), piece(601, 200))
    events = stream(score)
    first = int(score.bar_of(piece(600, 200).end + 4)) + 1
    last = first + len(piece(9).bars)
    one = WorkIndex.build(prints([piece(9)]), [0], entries=10_000)
    found = matches(one, np.arange(1), locate(events))[0]
    (stretch,) = bar_ranges(found.places, events.bar, 1.0)
    assert abs(stretch[0] - first) <= 3 and abs(stretch[1] - last) <= 3


def test_two_stretches_are_told_apart_and_a_lone_hit_is_not_told() -> None:
    bars = np.arange(400) // 4
    places = [(k, k + 8) for k in (*range(0, 60, 3), 150, *range(300, 360, 3))]
    assert bar_ranges(np.array(places), bars, 0.3) == [(1, 17), (76, 92)]
    assert bar_ranges(np.array([(150, 158)]), bars, 0.3) == [(38, 40)]
    assert bar_ranges(np.zeros((0, 2), np.int64), bars, 0.3) == []


# -- editions --------------------------------------------------------------------------------------------------------------


def test_files_of_one_piece_are_one_edition_and_movements_are_several() -> None:
    first, second, third = piece(1), piece(2), piece(3)
    files = [first, first.transpose(2), second, third, together(first, second, third)]
    editions, wholes = find_editions(prints(files), [0] * 5, [False] * 5)
    assert [e.members for e in editions] == [(0, 1), (2,), (3,)]
    assert wholes == {0: 4} and all(e.also == (4,) for e in editions)


def test_a_performance_is_an_edition_only_where_no_score_has_its_music() -> None:
    rough = played(piece(1, 400), seed=1)
    editions, _ = find_editions(prints([piece(1, 400), rough, played(piece(2))]), [0, 0, 0], [False, True, True])
    assert [e.members[0] for e in editions] == [0, 2]
    editions, _ = find_editions(prints([rough]), [0], [True])
    assert [e.members for e in editions] == [(0,)]


def test_works_are_never_joined_in_one_edition() -> None:
    editions, _ = find_editions(prints([piece(1), piece(1)]), [0, 1], [False, False])
    assert [e.work for e in editions] == [0, 1]


# -- a folder of one's own -------------------------------------------------------------------------------------------------


def card_of(**changes: Any) -> Card:
    card = Card(
        name="composer",
        version="1",
        task="composer",
        recipe="ngram-linear",
        labels={"Chopin": 1, "Field": 1},
        representation={"name": "ngrams"},
        corpora=(
            {"name": "classics", "licence": "unstated", "pieces": 2},
            {"name": "asap", "licence": "", "pieces": 1},
        ),
        made={"without": ["maestro", "asap:performance"], "apart_from": ["shown.krn"]},
    )
    from dataclasses import replace

    return replace(card, **changes)


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    folder = tmp_path_factory.mktemp("models") / "works"
    index = WorkIndex.build(prints([piece(s) for s in range(6)]), [0, 0, 1, 2, 3, 4], entries=100_000)
    titles = {
        "titles": ["Sonata, 1st movement", "Sonata, 2nd movement", "Waltz", "Nocturne", "Étude", "Unknown song"],
        "composers": ["Chopin", "Somebody"],
        "composer": [0, 0, 0, 0, 0, 1],
        "sources": ["asap:performance", "classics", "maestro"],
        "source": [[1], [0], [2], [1, 2], [1], [1]],
        "wholes": {"0": "Sonata"},
        "apart": {"shown.krn": [3]},
    }
    card = card_of(name="works", recipe="work-index", labels={"Chopin": 4, "Somebody": 1})
    save_model(
        folder, card, {"index": {**index.arrays(), "work": np.array([0, 0, 1, 2, 3, 4], np.uint16)}, "titles": titles}
    )
    return Works(load_model(folder))


def test_it_says_title_composer_match_and_where(works: Works) -> None:
    found = works.recognise(stream(played(piece(2))), card_of())
    assert found is not None and set(found) == {"title", "composer", "match", "where", "in_training"}
    assert (found["title"], found["composer"]) == ("Waltz", "Chopin")
    assert 0.3 < found["match"] <= 1 and found["where"].startswith("bars 1-")
    assert works.recognise(stream(piece(700)), card_of()) is None


def test_a_movement_has_its_title_and_the_whole_work_its_own(works: Works) -> None:
    movement, whole = works.recognise(stream(piece(1))), works.recognise(stream(together(piece(0), piece(1))))
    assert movement is not None and movement["title"] == "Sonata, 2nd movement" and movement["in_training"] is None
    assert whole is not None and whole["title"] == "Sonata" and whole["match"] > 0.9


@pytest.mark.parametrize(
    ("seed", "trained"),
    [
        (0, True),  # in a collection that the card names
        (1, False),  # only a performance, which the training left out
        (2, False),  # only in a collection left out
        (3, True),
        (4, False),  # left out by name
        (5, False),  # of a composer whom the model does not know
    ],
)
def test_it_says_whether_the_training_had_the_work(works: Works, seed: int, trained: bool) -> None:
    found = works.recognise(stream(piece(seed)), card_of())
    assert found is not None and found["in_training"] is trained
    other = works.recognise(stream(piece(seed)), card_of(corpora=({"name": "mine"},), made={}))
    assert other is not None and other["in_training"] is False


def test_a_folder_of_another_recipe_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "other", card_of(), {"index": {"counts": np.zeros(3)}})
    with pytest.raises(FugatoError, match="no index of works"):
        Works(load_model(tmp_path / "other"))
    save_model(tmp_path / "broken", card_of(recipe="work-index"), {"index": {"counts": np.zeros(3)}})
    with pytest.raises(FugatoError, match="holds no array"):
        Works(load_model(tmp_path / "broken"))


# -- the shipped index -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> Works:
    found = shipped_works()
    assert found is not None
    return found


def music21_file(name: str) -> Path:
    import music21

    return Path(music21.__file__).parent / "corpus" / name


def test_the_shipped_index_is_small_and_agrees_with_itself(shipped: Works) -> None:
    folder = shipped.model.folder
    assert sum(f.stat().st_size for f in folder.iterdir()) <= MEGABYTES * 1e6
    titles = shipped.model.json("titles")
    assert len(titles["titles"]) == len(titles["composer"]) == len(titles["source"]) == len(shipped.index)
    assert len(shipped.index) > 12_000 and min(map(len, titles["titles"])) > 0
    assert max(max(s) for s in titles["source"]) < len(titles["sources"])


def test_identify_names_the_work_and_its_ranking_does_not_depend_on_it() -> None:
    path = music21_file("chopin/mazurka06-2.krn")
    asked, plain = identify(path), identify(path, work=False)
    assert asked.work is not None and plain.work is None
    assert asked.work["composer"] == "Chopin" and "Mazurka" in asked.work["title"] and asked.work["match"] > 0.9
    assert asked.work["in_training"] is False  # the demonstration's pieces were left out
    assert asked.ranking == plain.ranking and asked.known == plain.known


def test_the_known_work_is_recognised_transposed_and_as_an_excerpt() -> None:
    score = fugato.read(music21_file("chopin/mazurka06-2.krn"))
    for music in (score.transpose(4), played(score), score.excerpt(20, 35)):
        answer = identify(music)
        assert answer.work is not None and "Mazurka" in answer.work["title"] and answer.work["composer"] == "Chopin"


def test_the_command_line_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    answer = identify(music21_file("chopin/mazurka06-2.krn")).to_dict()
    show.detail(answer)
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "recognised" in text]
    assert "Chopin" in line and "Mazurka" in line and "bars 1-" in line and "training" not in line
    show.detail({**answer, "work": {**answer["work"], "in_training": True}})
    assert "in the training data" in capsys.readouterr().out
    show.detail({**answer, "work": None})
    assert "recognised" not in capsys.readouterr().out


def test_invented_music_is_not_recognised(shipped: Works) -> None:
    assert not any(shipped.recognise(stream(piece(seed, 400))) for seed in range(900, 960))


def test_many_files_and_one_get_the_same_work(tmp_path: Path) -> None:
    paths = []
    for k, name in enumerate(("chopin/mazurka06-2.krn", "bach/bwv66.6.mxl")):
        for copy in range(3):
            path = tmp_path / f"{k}{copy}.mid"
            path.write_bytes(midi_of(fugato.read(music21_file(name)).transpose(copy)))
            paths.append(path)
    answers = list(identify_many(paths, jobs=1))
    assert all(a["work"] is not None for a in answers)
    assert [a["work"]["title"] for a in answers] == [identify(p).to_dict()["work"]["title"] for p in paths]
    assert all(a["work"] is None for a in identify_many(paths, jobs=1, work=False))
    json.dumps(answers)


def test_recognising_takes_a_few_milliseconds(shipped: Works) -> None:
    events = stream(piece(1, 2000))
    shipped.recognise(events)
    started = time.process_time()
    for _ in range(10):
        shipped.recognise(events)
    assert (time.process_time() - started) / 10 < 0.05
