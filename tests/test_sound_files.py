"""The recordings that the tests make are what they say they are, or the tests built on them prove nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fugato.read.audio import read_audio
from fugato.recording import Recording
from fugato.represent.logmel import log_mel
from fugato.represent.spectral import power, stft

from .sound_files import KINDS, NO_MUSIC, RATE, noise, silence_between, speech, sweep, tone, write_genres


@pytest.mark.parametrize("name", NO_MUSIC)
def test_what_is_no_music_is_a_recording_all_the_same(name: str) -> None:
    samples = NO_MUSIC[name](6.0)
    assert samples.dtype == np.float32 and len(samples) == 6 * RATE
    assert 0.25 <= np.abs(samples).max() <= 1
    assert np.array_equal(samples, NO_MUSIC[name](6.0)), "the same each time"
    assert Recording.from_samples(samples, RATE).seconds == 6


def test_tones_noises_and_sweeps_have_their_spectra() -> None:
    def mean_power(samples: np.ndarray) -> np.ndarray:
        return power(stft(samples)).mean(axis=1)

    hertz = np.fft.rfftfreq(2048, 1 / RATE)
    assert abs(hertz[mean_power(tone(1000.0)).argmax()] - 1000) < RATE / 2048
    for colour in (0.0, 1.0, 2.0):
        spectrum = mean_power(noise(colour))
        low, high = (spectrum[(hertz > a) & (hertz < 2 * a)].mean() for a in (200, 3200))
        assert 10 * np.log10(low / high) / 4 == pytest.approx(3.01 * colour, abs=0.3)  # dB an octave
    rising = power(stft(sweep())).argmax(axis=0)
    assert (np.diff(rising[4:-4]) >= 0).all() and rising[-5] > 50 * rising[4]


def test_speech_has_pauses_a_voice_and_hisses() -> None:
    samples = speech(6.0)
    frames = samples[: len(samples) // 441 * 441].reshape(-1, 441)  # 20 ms
    loud = frames.std(axis=1)
    assert 0.1 < (loud < 1e-3).mean() < 0.5
    decibels = log_mel(samples)
    sounding = decibels.max(axis=0) > -40
    voiced = decibels[:40, sounding].mean() - decibels[100:, sounding].mean()
    assert voiced > 15, "most of it lies below 3 kHz"
    assert not np.array_equal(speech(6.0, 1), samples)


def test_silence_lies_between() -> None:
    samples = silence_between(9.0)
    assert not samples[round(2.1 * RATE) : round(6.9 * RATE)].any()
    assert samples[:RATE].any() and samples[-RATE:].any()


def test_the_kinds_of_music_differ(tmp_path: Path) -> None:
    root = write_genres(tmp_path / "genres", each=2)
    profiles = {}
    for kind in KINDS:
        files = sorted((root / kind).iterdir())
        assert len(files) == 2
        a, b = (log_mel(read_audio(f, sandbox=False)).mean(axis=1) for f in files)
        profiles[kind] = a, b
    within = max(np.abs(a - b).mean() for a, b in profiles.values())
    kinds = list(profiles)
    between = min(np.abs(profiles[p][0] - profiles[q][0]).mean() for p in kinds for q in kinds if p < q)
    assert between > 2 * within
