"""The synthesiser plays what is written: in tune, in time, without clicks, and loudly enough."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import fugato
from fugato.errors import FugatoError
from fugato.score import Part, Score
from fugato.write.synth import PEAK, synthesise
from fugato.write.tones import FAMILIES, LAYERS, PIANO, STRINGS, damped, drum, family_of, frequency_of, tone
from fugato.write.wav import wav_bytes, write_wav

from .music_files import piece

RATE = 22_050
PROGRAMS = {"piano": 0, "plucked": 24, "organ": 19, "strings": 48, "winds": 71}


def one(pitch: int, *, seconds: float = 1.0, velocity: int = 90, program: int = 0, at: float = 0.0) -> Score:
    """A single note; a quarter is half a second."""
    return Score.from_notes([2 * at], [2 * seconds], [pitch], velocity=velocity, parts=[Part("", program)])


def spectrum(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hz and magnitude, on a grid eight times as fine as the samples give."""
    size = 8 << int(np.ceil(np.log2(len(samples))))
    return np.fft.rfftfreq(size, 1 / RATE), np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))


def peak_near(samples: NDArray[np.float32], hertz: float, cents: float = 60.0) -> tuple[float, float]:
    """Frequency (Hz) and magnitude of the strongest partial within some cents, between the grid's points."""
    f, m = spectrum(samples)
    near = np.flatnonzero(np.abs(1200 * np.log2(np.maximum(f, 1e-9) / hertz)) < cents)
    i = near[np.argmax(m[near])]
    a, b, c = np.log(m[i - 1 : i + 2])
    return float(f[i] + 0.5 * (a - c) / (a - 2 * b + c) * f[1]), float(m[i])


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("pitch", [33, 48, 60, 69, 81, 96])
def test_a_note_is_in_tune(pitch: int, program: int) -> None:
    found, _ = peak_near(synthesise(one(pitch, program=program, seconds=2.0)), frequency_of(pitch))
    assert abs(1200 * np.log2(found / frequency_of(pitch))) < 2


def test_partials_of_a_piano_string_stand_a_little_sharp_and_fall_away() -> None:
    samples = synthesise(one(48, seconds=2.0))
    first = frequency_of(48)
    partials = [peak_near(samples, k * first) for k in range(1, 7)]
    cents = [1200 * np.log2(f / (k * first)) for k, (f, _) in enumerate(partials, 1)]
    assert all(a < b for a, b in pairwise(cents[1:])) and 1 < cents[5] < 20
    assert partials[5][1] < partials[1][1]
    gap = peak_near(samples, 1.5 * first)[1]
    assert gap < 0.01 * partials[0][1], "between the partials there is next to nothing"


def level(samples: NDArray[np.float32], start: float, stop: float) -> float:
    return float(np.sqrt(np.mean(samples[int(start * RATE) : int(stop * RATE)] ** 2)))


def test_high_notes_and_high_partials_die_sooner() -> None:
    fall = [level(s, 0, 0.2) / level(s, 1.6, 1.8) for s in (synthesise(one(p, seconds=2.0)) for p in (36, 60, 84))]
    assert 1.2 < fall[0] < fall[1] < fall[2]
    samples = synthesise(one(45, seconds=4.0))
    early, late = samples[: RATE // 2], samples[3 * RATE : 3 * RATE + RATE // 2]
    first = frequency_of(45)
    assert peak_near(late, 6 * first)[1] / peak_near(early, 6 * first)[1] < (
        0.5 * peak_near(late, first)[1] / peak_near(early, first)[1]
    )


@pytest.mark.parametrize("name", ["organ", "strings", "winds"])
def test_blown_and_bowed_notes_are_held(name: str) -> None:
    samples = synthesise(one(60, seconds=3.0, program=PROGRAMS[name]))
    assert 0.7 < level(samples, 2.5, 2.9) / level(samples, 0.5, 0.9) < 1.4


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_note_starts_and_ends_when_it_should_and_without_a_click(program: int) -> None:
    samples = synthesise(one(57, seconds=0.7, program=program, at=0.5))
    sounding = np.flatnonzero(np.abs(samples) > 0.01 * PEAK) / RATE
    assert 0.5 <= sounding[0] < 0.53 and 1.2 < sounding[-1] < 1.35
    assert not samples[: RATE // 2].any(), "the rest before it is kept, and is silent"
    assert abs(samples[-1]) < 1e-4
    # A click is a jump: more, from one sample to the next, than the tone makes just after its start or before its end.
    steps = np.abs(np.diff(samples, prepend=0.0, append=0.0))
    assert np.abs(samples[: int(0.5003 * RATE)]).max() < 0.03 * PEAK, "it rises from nothing"
    assert steps[: int(0.505 * RATE)].max() < 1.3 * steps[int(0.505 * RATE) : int(0.6 * RATE)].max(), "at its start"
    assert steps[int(1.2 * RATE) :].max() < 1.1 * steps[int(1.1 * RATE) : int(1.2 * RATE)].max(), "at its end"


def test_every_family_sounds_different_and_every_program_has_one() -> None:
    tones = [synthesise(one(60, program=p)) for p in PROGRAMS.values()]
    for i, a in enumerate(tones):
        for b in tones[i + 1 :]:
            n = min(len(a), len(b))
            assert np.abs(a[:n] - b[:n]).max() > 0.1
    assert {family_of(p) for p in range(128)} == set(FAMILIES)
    assert [family_of(p).name for p in PROGRAMS.values()] == list(PROGRAMS)


def test_louder_is_louder_and_brighter() -> None:
    soft, loud = (synthesise(one(48, velocity=v), normalise=False) for v in (30, 120))
    assert 5 < level(loud, 0, 0.5) / level(soft, 0, 0.5) < 30
    first = frequency_of(48)

    def brightness(samples: NDArray[np.float32]) -> float:
        return peak_near(samples, 6 * first)[1] / peak_near(samples, first)[1]

    assert brightness(loud) > 1.5 * brightness(soft)


def test_nothing_clips_and_the_peak_is_as_promised() -> None:
    score = piece(1)
    for samples in (synthesise(score), synthesise(score, normalise=False)):
        assert samples.dtype == np.float32 and samples.ndim == 1 and np.isfinite(samples).all()
    assert np.abs(synthesise(score)).max() == pytest.approx(PEAK, abs=1e-6)
    cluster = Score.from_notes(np.zeros(128), np.ones(128), np.arange(128), velocity=127)
    assert np.abs(synthesise(cluster, normalise=False)).max() <= PEAK
    assert 0.1 < np.abs(synthesise(one(60, velocity=127), normalise=False)).max() < 0.5
    assert level(synthesise(score), 0, score.seconds) > 0.03, "music is not whispered"
    assert abs(float(synthesise(score).mean())) < 1e-3, "and has no constant part"


def test_the_same_score_gives_the_same_samples_whatever_was_played_before() -> None:
    first = synthesise(piece(2))
    synthesise(piece(5), 8000)
    assert np.array_equal(first, synthesise(piece(2)))


def test_two_notes_are_the_sum_of_each() -> None:
    together = Score.from_notes([0, 0.5], [1, 1], [60, 67])
    apart = [Score.from_notes([a], [1], [p]) for a, p in ((0, 60), (0.5, 67))]
    total = np.zeros(RATE * 2, np.float32)
    for score in apart:
        samples = synthesise(score, normalise=False)
        total[: len(samples)] += samples
    both = synthesise(together, normalise=False)
    assert np.allclose(both, total[: len(both)], atol=1e-6)


def test_drums_are_noise_that_ends() -> None:
    keys = list(range(35, 82))
    score = Score.from_notes(np.arange(len(keys)), np.full(len(keys), 0.1), keys, drum=True)
    samples = synthesise(score)
    assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-6)
    for i in range(len(keys)):
        assert level(samples, 0.5 * i, 0.5 * i + 0.05) > 0.005
    for key in keys:
        stroke = drum(key, RATE)
        assert stroke[0] == 0 and abs(stroke[-1]) < 1e-3 and np.abs(stroke).max() < 4
    low, high = (spectrum(drum(key, RATE)) for key in (36, 42))
    assert (low[0] * low[1]).sum() / low[1].sum() < 0.5 * (high[0] * high[1]).sum() / high[1].sum()


def test_odd_notes_are_played() -> None:
    short = synthesise(Score.from_notes([0], [0.0], [60]))
    assert np.abs(short).max() == pytest.approx(PEAK, abs=1e-6), "a note of no length is a short one"
    assert not synthesise(Score.from_notes([0], [1], [127])).any(), "too high for 22,050 samples a second"
    assert synthesise(Score.from_notes([0], [1], [127]), 44_100).any()
    assert synthesise(Score.from_notes([0], [1], [0])).any()
    wrong_part = Score.from_notes([0], [1], [60], part=9)
    assert synthesise(wrong_part).any()
    drone = synthesise(one(40, seconds=100.0, program=19), 8000)
    assert 60 < len(drone) / 8000 < 70, "the longest breath"


def test_what_cannot_be_played_is_refused() -> None:
    for score, rate, kind in [
        (Score.from_notes([], [], []), RATE, "empty"),
        (Score.from_notes([0], [1e5], [60]), RATE, "too-large"),
        (one(60), 100, "bad-option"),
    ]:
        with pytest.raises(FugatoError) as caught:
            synthesise(score, rate)
        assert caught.value.kind == kind


def test_a_damped_sum_is_what_sines_would_give() -> None:
    f, a, d = np.array([440.0, 1234.5, 3000.1]), np.array([1.0, 0.3, 0.2]), np.array([0.0, 3.0, 40.0])
    t = np.arange(3 * RATE)[:, None] / RATE
    phase = 2 * np.pi * (0.618034 * np.arange(3) % 1.0)
    expected = (a * np.exp(-d * t) * np.sin(2 * np.pi * f * t + phase)).sum(axis=1)
    assert np.abs(damped(f, a, d, len(t), RATE) - expected).max() < 1e-5


def test_a_tone_has_the_length_and_power_it_should() -> None:
    for family in FAMILIES:
        for layer in range(LAYERS):
            samples = tone(family, 57, layer, 0.5, RATE)
            assert samples.shape == (RATE // 2,) and not samples.flags.writeable
            assert 0.2 < level(samples, 0.05, 0.3) < 1.2
    assert tone(PIANO, 60, 2, 2.0, RATE).shape == (2 * RATE,)
    assert not tone(STRINGS, 127, 2, 0.25, 8000).any()


def test_a_piece_is_written_as_wav(tmp_path: Path) -> None:
    score = piece(4)
    out = write_wav(score, tmp_path / "piece.wav", soundfont="built-in")
    with wave.open(str(out), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 44_100)
        assert score.seconds < file.getnframes() / 44_100 < score.seconds + 1
        steps = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.abs(steps.astype(np.int64)).max() == pytest.approx(PEAK * 32_767, abs=2)
    assert fugato.write(score, tmp_path / "again.WAV", soundfont="built-in").read_bytes() == out.read_bytes()


def test_samples_are_written_as_they_are(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    samples = np.random.default_rng(0).uniform(-1, 1, (1000, 2)).astype(np.float32)
    write_wav(samples, tmp_path / "out.wav", rate=8000)
    back, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == 8000 and back.shape == (1000, 2) and np.abs(back - samples).max() < 2e-4
    assert np.frombuffer(wav_bytes(np.array([2.0, -2.0]))[-4:], "<i2").tolist() == [32_767, -32_767]


@pytest.mark.parametrize("name", ["out.mp3", "out", "folder.wav", "nowhere/out.wav"])
def test_a_place_that_cannot_be_written_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(FugatoError) as caught:
        write_wav(one(60), tmp_path / name)
    assert caught.value.kind == "bad-output" and name.split("/")[-1] in str(caught.value)
    if not name.endswith(".wav"):
        with pytest.raises(FugatoError) as caught:
            fugato.write(one(60), tmp_path / name)
        assert caught.value.kind == "bad-output"
