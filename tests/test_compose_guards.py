"""What bars are thrown away for: copies are found in any key, loops are told from repeats, and only legal values are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fugato.compose import copies as c
from fugato.compose.cadence import VOICINGS, closes, harmonies, held_to_the_end, is_prepared, written_by_rule
from fugato.compose.grammar import HIGHEST_PITCH, LOWEST_PITCH, Grammar, Plan
from fugato.compose.guards import (
    SAME_IN_A_ROW,
    SAME_IN_ALL,
    SAME_PAIRS,
    SAME_SOUNDS,
    CopyGuard,
    loops,
    onsets_of,
    signature,
)
from fugato.compose.network import gelu
from fugato.compose.sampler import draw, fitting, sounding_after
from fugato.represent import tokens as t

from .music_styles import styled


def melody(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.choice([3, 6, 12], n)), rng.integers(48, 84, n)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 120), st.integers(-12, 12), st.integers(0, 80))
def test_a_common_run_is_found_in_any_key_with_its_length(seed: int, length: int, shift: int, place: int) -> None:
    train = [melody(200, seed), melody(200, seed + 1)]
    index = c.CopyIndex.build(train)
    onset, pitch = melody(100, seed + 2)
    at, up = train[1][0][place : place + length], train[1][1][place : place + length] + shift
    onset = np.concatenate([onset, onset[-1] + 7 + at - at[0]])
    run = index.longest(*c.in_order(onset, np.concatenate([pitch, up])))
    whole = min(length, 200 - place)
    if whole >= c.RUN + c.WINDOW:
        assert run.piece == 1 and whole - 2 * c.WINDOW <= run.notes <= whole + 2 * c.WINDOW
        assert run.notes >= whole  # never called shorter than it is
    none = index.longest(*melody(100, seed + 2))
    assert none.notes < 2 * c.WINDOW + c.RUN


def test_a_figure_of_many_pieces_is_no_copy() -> None:
    scale = np.arange(40) * 6, 60 + np.arange(40) % 24
    index = c.CopyIndex.build([scale] * (c.COMMON + 1))
    assert len(index.gram) == 0 and index.longest(*scale) == c.NO_RUN
    tune = melody(40, 5)
    assert c.CopyIndex.build([tune] * 2).longest(*tune).notes == 40


def test_pieces_may_be_passed_over_and_the_index_travels() -> None:
    pieces = [melody(80, 1), melody(80, 2)]
    index = c.CopyIndex.from_arrays(c.CopyIndex.build(pieces).to_arrays())
    assert index.longest(*pieces[0]).piece == 0
    assert index.longest(*pieces[0], apart_from=[0]).notes == 0
    both = index.joined(c.CopyIndex.build([melody(80, 3)]), 2)
    assert [both.longest(*melody(80, seed)).piece for seed in (1, 2, 3)] == [0, 1, 2]
    assert index.longest(np.zeros(0, int), np.zeros(0, int)) == c.NO_RUN


def test_a_piece_that_is_learnt_again_is_indexed_once() -> None:
    pieces = [melody(80, seed) for seed in (1, 2, 3)]
    index, again = c.CopyIndex.build(pieces), c.CopyIndex.build([melody(80, 4), pieces[1]])
    rest, stays = index.apart(again, 3)
    assert stays.tolist() == [True, False, True]
    both = rest.joined(again, 2)
    assert [both.longest(*melody(80, seed)).piece for seed in (1, 3, 4, 2)] == [0, 1, 2, 3]
    assert len(both.gram) == len(c.CopyIndex.build([*pieces, melody(80, 4)]).gram)
    nothing, stays = index.apart(index, 3)
    assert len(nothing.gram) == 0 and not stays.any()


def test_the_line_of_a_score_is_that_of_its_steps() -> None:
    score = styled("Joplin", 2)
    for a, b in zip(c.line(score), c.line_of_rows(t.encode(score).rows), strict=True):
        assert (a == b).all()


def bars_and_strikes(kinds: str) -> tuple[list, list]:
    """Bars named by letters: equal letters are equal bars."""
    bars, struck = [], []
    for kind in kinds:
        pitch = 60 + ord(kind)
        bars.append(((0, pitch, 12), (12, pitch + 1, 12)))
        struck += [frozenset({pitch}), frozenset({pitch + 1})]
    return bars, struck


def test_repeats_are_music_and_loops_are_not() -> None:
    for kinds in ("A" * SAME_IN_A_ROW, "AB" * (SAME_PAIRS), "ABAC" * 3, "ABCDABCDABCD", "ABACADAEAFAGAHA"):
        assert not loops(*bars_and_strikes(kinds)), kinds
    for kinds in ("A" * (SAME_IN_A_ROW + 1), "AB" * (SAME_PAIRS + 1), "ABACADAEAFAGAHAIAJA"[: 2 * SAME_IN_ALL + 1]):
        assert loops(*bars_and_strikes(kinds)), kinds


def test_a_chord_struck_too_often_is_a_loop() -> None:
    chord, other = frozenset({60, 64}), frozenset({62})
    assert not loops([((0, 1, 1),)], [chord] * SAME_SOUNDS)
    assert loops([((0, 1, 1),)], [chord] * (SAME_SOUNDS + 1))
    assert loops([((0, 1, 1),)], [*[chord] * (SAME_SOUNDS + 1), other])
    assert not loops([((0, 1, 1),)], [chord, other] * 40)


def row(event: int, part: int = 1, pitch: int = 61, duration: int = 12) -> np.ndarray:
    out = np.zeros(len(t.COLUMNS), np.uint8)
    out[: t.VELOCITY] = event, part, pitch, duration
    return out


def plan(**changes: int | bool) -> Plan:
    given = {"meter": 1, "length": 48, "key": 1, "density": 0, "left": 2, "start": 0, "limit": 96}
    return Plan(**{**given, **changes})  # type: ignore[arg-type]


def test_positions_rise_and_pitches_rise_within_one() -> None:
    grammar = Grammar(plan(), 2, {})
    assert grammar.events()[:48].all() and not grammar.events()[48 : t.BAR].any() and grammar.events()[t.BAR]
    grammar.add(row(12, 1, 70))
    assert not grammar.events()[:12].any() and grammar.events()[12]
    assert not grammar.pitches(12, 1)[:71].any() and grammar.pitches(12, 1)[71]
    assert grammar.pitches(12, 2)[60] and grammar.parts(12)[1] and not grammar.parts(13)[0]
    grammar.add(row(12, 2, 40))
    assert not grammar.parts(12)[1] and grammar.parts(13)[1]


def test_a_sounding_pitch_waits_and_nothing_outlasts_the_piece() -> None:
    grammar = Grammar(plan(start=48, limit=96), 1, {(1, 61): 60, (1, 62): 48})
    assert not grammar.pitches(0, 1)[61] and grammar.pitches(12, 1)[61] and grammar.pitches(0, 1)[62]
    allowed = t.LONG_DURATIONS[grammar.durations(36)[1:]]
    assert allowed.max() == 12


def test_a_first_bar_has_notes_and_an_end_only_stands_at_the_end() -> None:
    first = Grammar(plan(), 1, {}, may_be_empty=False)
    assert not first.events()[t.BAR] and not first.events()[t.END]
    closing = Grammar(plan(closes=True), 1, {})
    assert closing.events()[t.END] and not closing.events()[t.BAR]


def test_the_last_bar_holds_the_tonic_chord() -> None:
    last = plan(last=True, closes=True, key=1 + 9 + 12, limit=48)  # A minor
    allowed = np.flatnonzero(Grammar(last, 1, {}).pitches(0, 1)) - 1
    assert {p % 12 for p in allowed} == {9, 0, 4}


def bar(*bass: int) -> np.ndarray:
    """A bar of quarter notes in the bass under one held note."""
    rows = [plan().row(), row(0, 1, 73, 48)]
    rows += [row(12 * i, 2, pitch + 1, 12) for i, pitch in enumerate(bass)]
    return np.stack(sorted(rows, key=lambda r: (r[0] != t.BAR, r[0], r[1])))


def test_a_cadence_is_known_by_its_bass() -> None:
    last = plan(last=True, closes=True, limit=48)  # C major
    tonic = np.stack([row(0, 1, 65, 48), row(0, 2, 49, 48)])
    for bass, is_one in (
        ((48, 45, 43), True),
        ((41, 36), True),
        ((38,), True),
        ((47,), True),
        ((45,), False),
        ((40,), False),
    ):
        assert is_prepared(bar(*bass), 1) == is_one
        assert closes(bar(*bass), tonic, last) == is_one, bass
    good = bar(43)
    assert not closes(good, np.stack([row(0, 1, 65, 48), row(0, 2, 53, 48)]), last)  # upon the third
    assert not closes(good, np.stack([row(0, 1, 65, 24), row(0, 2, 49, 24)]), last)  # not to the bar line
    assert not closes(good, np.stack([row(0, 1, 70, 48), row(0, 2, 49, 48)]), last)  # with a sixth
    assert not closes(good, tonic[:0], last)
    short = np.stack([row(0, 2, 49, 12), row(24, 1, 61, 6)])
    assert held_to_the_end(short, last)[1, t.DURATION] == 24 and held_to_the_end(short, last)[0, t.DURATION] == 12
    assert harmonies(bar(43, 45)) == [frozenset({72, 43}), frozenset({72, 45})]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 24),
    st.sampled_from([12, 18, 24, 36, 48, 72, 96]),
    st.integers(1, 4),
    st.integers(27, 103),
    st.integers(0, VOICINGS - 1),
)
def test_a_cadence_by_rule_is_one(key: int, length: int, n_parts: int, heard: int, voicing: int) -> None:
    last = plan(last=True, closes=True, key=key, length=length, limit=length)
    before = np.stack([plan().row(), row(0, 1, heard + 1, 12)])
    rows = written_by_rule(before, last, n_parts, voicing)
    assert closes(before, rows, last)
    order = [tuple(int(x) for x in r[: t.DURATION]) for r in rows]
    assert order == sorted(set(order)) and set(rows[:, t.PART]) <= {1, n_parts}
    assert rows[:, t.PITCH].min() > LOWEST_PITCH and rows[:, t.PITCH].max() <= HIGHEST_PITCH + 1


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 5), st.floats(0.01, 1))
def test_only_legal_values_are_drawn_whatever_the_scores(seed: int, temperature: float, top_p: float) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(30) < 0.2
    mask[rng.integers(30)] = True
    assert mask[draw(rng.normal(0, 20, 30), mask, temperature, top_p, rng)]


def test_top_p_leaves_the_unlikely_out_and_low_temperatures_the_rest() -> None:
    scores, every = np.log(np.array([0.5, 0.3, 0.15, 0.05])), np.ones(4, bool)
    rng = np.random.default_rng(0)
    assert {draw(scores, every, 1.0, 0.75, rng) for _ in range(200)} == {0, 1}
    assert {draw(scores, every, 1.0, 1.0, rng) for _ in range(400)} == {0, 1, 2, 3}
    assert {draw(scores, every, 0.05, 1.0, rng) for _ in range(100)} == {0}


def test_a_guard_sees_new_notes_alone_and_says_how_long_a_run_is() -> None:
    onset, pitch = melody(60, 3)
    guard = CopyGuard(c.CopyIndex.build([(onset, pitch)]), 30)
    rows = np.stack(
        [
            row(int(o - onset[0]), 1, int(p) + 1)
            for o, p in zip(onset[:12], pitch[:12], strict=True)
            if o - onset[0] < 96
        ]
    )
    assert guard.run(rows, 0).notes >= len(rows) - 1 or len(rows) < c.RUN + c.WINDOW
    guard.keep(rows, 0)
    assert len(guard.onset) == len(rows)
    assert CopyGuard(None, 5).run(rows, 0) == c.NO_RUN


def test_what_still_sounds_after_some_bars() -> None:
    rows = np.stack([plan().row(), row(36, 1, 61, 24), row(40, 2, 50, 8), plan().row(), row(0, 1, 70, 12)])
    assert sounding_after(rows, 96) == {}
    assert sounding_after(rows[:3], 48) == {(1, 61): 60}
    assert len(fitting(rows, 3)) == 2 and len(fitting(rows, 5)) == 5 and len(fitting(rows[1:3], 1)) == 1


def test_bars_are_the_same_whatever_their_part_and_loudness() -> None:
    a, b = np.stack([row(0, 1, 61), row(6, 2, 50)]), np.stack([row(6, 1, 50), row(0, 2, 61)])
    assert signature(a) == signature(b) and onsets_of(b) == [frozenset({61}), frozenset({50})]


def test_gelu_is_that_of_the_trained_network() -> None:
    torch = pytest.importorskip("torch", reason="training needs the extra train")
    x = np.linspace(-6, 6, 400, dtype=np.float32)
    assert np.allclose(gelu(x), torch.nn.functional.gelu(torch.from_numpy(x)).numpy(), atol=2e-6)


def test_a_guarded_piece_copies_less_than_its_limit(small_composer: Path) -> None:
    """A training piece as index of its own continuation: whatever is drawn stays below the limit."""
    from fugato.compose import compose, load_generator

    system = load_generator(small_composer)
    how: dict[str, Any] = {"guidance": 1.5, "top_p": 0.95}
    free = [system.generate(None, bars=8, random_seed=s, style="Bach", guarded=False, **how) for s in range(3)]  # type: ignore[call-arg]
    system.copies = c.CopyIndex.build([c.line(score) for score in free])  # type: ignore[attr-defined, misc]
    system.limit = 18  # type: ignore[attr-defined]
    pieces = [compose("Bach", bars=8, random_seed=seed, model=system, **how) for seed in range(3)]
    assert all(piece.report["copy"]["notes"] <= 18 and not piece.report["problems"] for piece in pieces)
    assert sum(piece.report["copies_avoided"] for piece in pieces) > 0


def test_a_bar_of_which_every_try_copies_is_cut_short(small_composer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler that knows nothing but one training piece, note for note."""
    from fugato.compose import compose, load_generator
    from fugato.compose.sampler import Likelihood, Sampler

    onset, pitch = melody(400, 11)
    system = load_generator(small_composer)
    system.copies = c.CopyIndex.build([(onset, pitch)])  # type: ignore[attr-defined, misc]
    system.limit = 18  # type: ignore[attr-defined]

    def recited(self: Any, grammar: Any, temperature: float, strict: bool) -> Any:
        begin, length = grammar.plan.start, grammar.plan.length
        here = np.flatnonzero((onset - onset[0] >= begin) & (onset - onset[0] < begin + length))
        self.stepper.feed(grammar.plan.row()[None])
        rows = np.stack([row(int(onset[i] - onset[0]) - begin, 1, int(pitch[i]) + 1) for i in here])
        self.stepper.feed(rows)
        return rows, Likelihood(notes=len(rows))

    monkeypatch.setattr(Sampler, "_draw", recited)
    piece = compose("Bach", bars=8, random_seed=0, model=system)
    assert piece.report["copy"]["notes"] <= 18 and not [p for p in piece.report["problems"] if "copy" in p]
    assert 18 < len(piece.score) < 400, "it played on after what was cut"
