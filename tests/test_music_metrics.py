"""The metrics of generated music: as MusPy and mgeval define them, and right on music whose answer is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import fugato
from fugato.score import Key, Meter, Score
from fugato.study import music_metrics as m
from fugato.write.midi import midi_bytes

from .music_files import piece


def block(pitches: list[list[int]], length: float = 1.0, **facts: object) -> Score:
    """Chords one after another."""
    onset = [i * length for i, chord in enumerate(pitches) for _ in chord]
    return Score.from_notes(onset, [length] * len(onset), [p for chord in pitches for p in chord], **facts)  # type: ignore[arg-type]


PIECES = {
    "a tune over a bass": piece(3, 120),
    "chords": block([[60, 64, 67], [62, 65, 69], [59, 62, 67], [60, 64, 72]] * 6, 2.0),
    "overlapping unisons": Score.from_notes([0, 0.5, 1, 6], [2, 2, 0.25, 1], [60, 60, 62, 61]),
    "in three": block([[60], [62], [64]] * 9, meters=[Meter(0.0, 3, 4)]),
    "with drums": Score.from_notes([0, 1, 2, 3, 4, 5], [1] * 6, [60, 36, 62, 38, 64, 36], drum=[False, True] * 3),
}


@pytest.mark.parametrize("score", PIECES.values(), ids=PIECES)
def test_as_muspy_has_them(score: Score) -> None:
    muspy = pytest.importorskip("muspy")
    notes: dict[bool, list[object]] = {False: [], True: []}
    for n in score.notes:
        time, length = round(float(n["onset"]) * m.RESOLUTION), round(float(n["duration"]) * m.RESOLUTION)
        notes[bool(n["drum"])].append(muspy.Note(time, int(n["pitch"]), length, int(n["velocity"])))
    tracks = [muspy.Track(is_drum=drum, notes=found) for drum, found in notes.items() if found]
    music = muspy.Music(resolution=m.RESOLUTION, tracks=tracks)
    bar = round(score.meters[0].bar_length * m.RESOLUTION)
    for ours, theirs in (
        (m.pitch_class_entropy(score), muspy.pitch_class_entropy(music)),
        (m.scale_consistency(score), muspy.scale_consistency(music)),
        (m.polyphony(score), muspy.polyphony(music)),
        (m.groove_consistency(score), muspy.groove_consistency(music, bar)),
    ):
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_known_values() -> None:
    assert m.pitch_class_entropy(block([[p] for p in range(60, 72)])) == pytest.approx(math.log2(12))
    assert m.scale_consistency(block([[60], [62], [64], [66]])) == 1.0  # G major
    assert m.scale_consistency(block([[60], [61], [62], [63]])) == 0.75
    assert m.polyphony(block([[60, 64, 67], [60]])) == 2.0
    assert m.groove_consistency(block([[60]] * 16 + [[61, 62]])) == pytest.approx(1 - 3 / (96 * 4))
    assert m.note_density(block([[60, 64]] * 4, 0.5)) == 4.0
    shares = m.inter_onset_histogram(block([[60], [61], [62]], 0.5))
    assert shares[m.INTER_ONSETS.tolist().index(0.5)] == 1.0 and shares.sum() == pytest.approx(1.0)


def test_what_a_piece_does_not_have_is_nan() -> None:
    empty, drums = Score.from_notes([], [], []), Score.from_notes([0], [1], [36], drum=True)
    for score in (empty, drums):
        values = [m.pitch_class_entropy, m.scale_consistency, m.polyphony, m.note_density, m.distinct_ngrams]
        assert all(math.isnan(f(score)) for f in values)
        assert np.isnan(m.inter_onset_histogram(score)).all() and math.isnan(m.self_similarity(score, 4))
        assert m.longest_bar_run(score) == m.longest_sound_run(score) == 0 and not m.loops(score)
        assert m.ending(score) == m.Ending(False, "")


def test_loops_are_counted() -> None:
    bar = [[60], [64], [67], [64]]
    assert m.longest_bar_run(block(bar * 8)) == 8 and not m.loops(block(bar * 8))
    assert m.longest_bar_run(block(bar * 9)) == 9 and m.loops(block(bar * 9))
    assert m.longest_sound_run(block([[60, 64]] * 16 + [[60]])) == 16 and m.loops(block([[60, 64]] * 17, 0.3))
    assert not m.loops(block([[60 + i % 7] for i in range(80)]))
    aba = block(bar * 2 + [[50], [51], [52], [53]] + bar * 2)
    assert m.longest_bar_run(aba) == 2


def test_self_similarity_is_one_for_a_form_that_returns() -> None:
    four = [[60 + i] for i in range(16)]
    assert m.self_similarity(block(four * 3), 4) == 1.0
    assert m.self_similarity(block(four + [[90 + i] for i in range(16)]), 4) == 0.0
    assert 0 < m.self_similarity(block([*four, *four[:8], *[[90 + i] for i in range(8)]]), 4) < 1


def test_distinct_runs() -> None:
    assert m.distinct_ngrams(block([[60 + i] for i in range(20)])) == 1.0
    assert m.distinct_ngrams(block([[60]] * 20)) == pytest.approx(1 / 17)


def test_a_copy_is_found_in_any_key_and_its_source_named() -> None:
    source, other = piece(1, 100), piece(2, 100)
    notes = source.notes[10:41]
    copied = Score.from_notes(notes["onset"] - notes["onset"][0], notes["duration"], notes["pitch"] + 3)
    length, which = m.longest_common_run(copied, [other, source])
    assert (length, which) == (31, 1)
    assert m.longest_common_run(source, [source])[0] == len(source)
    assert m.longest_common_run(block([[60], [73]]), [block([[60], [61]])]) == (0, -1)
    assert m.longest_common_run(other, [source])[0] < 10


def brute(a: Score, b: Score) -> int:
    """The longest common run by comparing every pair of places."""
    (s, p), (t, q) = m._line(a), m._line(b)
    x, y = (list(zip(u, np.diff(v).tolist(), strict=True)) for u, v in ((s, p), (t, q)))
    best = 0
    for i in range(len(x)):
        for j in range(len(y)):
            n = 0
            while i + n < len(x) and j + n < len(y) and x[i + n] == y[j + n]:
                n += 1
            best = max(best, n)
    return best + 1 if best else 0


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_common_run_is_that_of_comparing_everything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (block([[60 + int(p)] for p in rng.integers(0, 3, 40)]) for _ in range(2))
    assert m.longest_common_run(a, [b])[0] == brute(a, b)


def test_endings() -> None:
    dominant, tonic, subdominant = [55, 59, 62, 65], [48, 60, 64, 67], [53, 60, 65, 69]
    major = [Key(0.0, 0, "major")]
    full = [*[[72]] * 2, dominant, tonic]
    assert m.ending(block(full, keys=major)) == m.Ending(True, "authentic")
    assert m.ending(block(full, keys=major)).is_cadence
    assert m.ending(block([[72], [72], subdominant, tonic], keys=major)) == m.Ending(True, "plagal")
    assert m.ending(block([[72], tonic, dominant], keys=major)) == m.Ending(False, "")
    assert m.ending(block([tonic] * 4, keys=major)).cadence == "tonic"
    assert not m.ending(block([[72], [72], tonic, [*dominant]], keys=major)).is_cadence
    short = block([[72], dominant, tonic], keys=major)
    assert m.ending(short) == m.Ending(False, "authentic")
    pickup = Score.from_notes([0, 1, 2, 3], [1, 1, 1, 1.5], [67, 72, 55, 60], keys=major, bars=np.array([0.0, 1.0]))
    assert not m.ending(pickup).complete
    pickup = Score.from_notes([0, 1, 2, 3], [1, 1, 1, 1], [67, 72, 55, 60], keys=major, bars=np.array([0.0, 1.0]))
    assert m.ending(pickup) == m.Ending(True, "authentic"), "the pickup is taken off the last bar"
    minor = block([[69], [69], [52, 56, 59], [45, 60, 64]], keys=[Key(0.0, 0, "")])
    assert m.ending(minor) == m.Ending(True, "authentic")


def test_a_chorale_ends_on_a_cadence_and_half_of_it_does_not() -> None:
    import importlib.util

    spec = importlib.util.find_spec("music21")
    assert spec is not None and spec.submodule_search_locations
    chorale = fugato.read(Path(spec.submodule_search_locations[0]) / "corpus" / "bach" / "bwv269.mxl")
    assert m.ending(chorale).cadence == "authentic"
    assert not m.ending(chorale.excerpt(0, 2)).is_cadence
    again = fugato.read(midi_bytes(chorale))
    assert m.ending(again).cadence == "authentic"


def test_distances_are_those_of_mgeval() -> None:
    stats = pytest.importorskip("scipy.stats")
    integrate = pytest.importorskip("scipy.integrate")
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, 80), rng.normal(0.7, 1.5, 60)
    p, q = stats.gaussian_kde(a), stats.gaussian_kde(b)
    area = integrate.quad(lambda x: min(p(x)[0], q(x)[0]), min(a.min(), b.min()), max(a.max(), b.max()), limit=200)[0]
    assert m.overlap_area(a, b) == pytest.approx(area, abs=2e-3)
    x, y = np.linspace(a.min(), a.max(), 1000), np.linspace(b.min(), b.max(), 1000)
    assert m.kl_distance(a, b) == pytest.approx(stats.entropy(p(x), q(y)), abs=1e-6)
    assert m.overlap_area(a, a) == pytest.approx(1.0, abs=0.03) and m.overlap_area(np.ones(5), np.ones(5)) == 1.0
    assert m.overlap_area(np.zeros(5), np.ones(5)) < 0.01


def test_music_of_the_same_kind_lies_nearer() -> None:
    real = [m.features(piece(i, 60)) for i in range(8)]
    alike = m.compare(real, [m.features(piece(i, 60)) for i in range(20, 28)])
    unlike = m.compare(real, [m.features(block([[60]] * (20 + i), 0.25)) for i in range(8)])
    assert set(alike) == set(m.FEATURES)
    for name in m.FEATURES:
        assert alike[name].overlap > unlike[name].overlap, name
    assert math.isnan(m.compare(real[:1], real)["polyphony"].overlap)
