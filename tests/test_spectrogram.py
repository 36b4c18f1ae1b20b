"""Spectrograms: librosa's definitions, and pictures in which a note lies where it should."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.read import read_many
from fugato.represent.spectral import hann, power, power_to_db, stft
from fugato.represent.spectrogram import (
    HOP_LENGTH,
    N_FFT,
    RATE,
    SIZE,
    decibels,
    excerpt,
    of_score,
    picture,
    segments,
    spectrogram_bytes,
)
from fugato.score import Score

from .music_files import midi_of, piece

N = 10 * RATE


def noise(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def sine(hertz: float, amplitude: float = 0.9) -> NDArray[np.float32]:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(N) / RATE)).astype(np.float32)


def plain_stft(samples: NDArray[np.float32], n_fft: int, hop_length: int) -> NDArray[np.complex128]:
    """The definition, a frame at a time and in double precision."""
    padded = np.concatenate((np.zeros(n_fft // 2), samples, np.zeros(n_fft // 2)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    starts = range(0, len(padded) - n_fft + 1, hop_length)
    return np.stack([np.fft.rfft(window * padded[s : s + n_fft]) for s in starts], axis=1)


@pytest.mark.parametrize("n_fft, hop_length", [(2048, 512), (1024, 431), (512, 128), (400, 160)])
@pytest.mark.parametrize("n", [5000, 22_050])
def test_the_transform_is_its_definition(n: int, n_fft: int, hop_length: int) -> None:
    samples = noise(0, n)
    ours, plain = stft(samples, n_fft=n_fft, hop_length=hop_length), plain_stft(samples, n_fft, hop_length)
    assert ours.dtype == np.complex64 and ours.shape == plain.shape == (1 + n_fft // 2, 1 + n // hop_length)
    assert np.abs(ours - plain).max() < 1e-5 * np.abs(plain).max()


@pytest.mark.parametrize("n_fft, hop_length", [(2048, 512), (1024, 431), (400, 160), (401, 100)])
def test_the_transform_is_librosas(n_fft: int, hop_length: int) -> None:
    librosa = pytest.importorskip("librosa")
    samples = noise(1, 2, 12_345)
    ours = stft(samples, n_fft=n_fft, hop_length=hop_length)
    theirs = librosa.stft(samples, n_fft=n_fft, hop_length=hop_length)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()


def test_decibels_are_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    powers = noise(2, 40, 50) ** 2
    powers[0, 0] = 0.0
    for options in ({}, {"ref": 3.0}, {"top_db": None}, {"amin": 1e-3, "top_db": 20.0}, {"ref": 0.0}):
        assert np.allclose(power_to_db(powers, **options), librosa.power_to_db(powers, **options), atol=1e-4)
    peak = float(powers.max())
    assert np.allclose(power_to_db(powers, ref=peak), librosa.power_to_db(powers, ref=np.max), atol=1e-4)


def test_decibels() -> None:
    found = power_to_db(np.array([1.0, 10.0, 100.0, 0.0]), ref=100.0)
    assert found.dtype == np.float32 and np.allclose(found, [-20, -10, 0, -80], atol=1e-5)
    assert np.allclose(power_to_db(np.array([0.0, 1.0]), top_db=None), [-100, 0])
    assert power_to_db(np.zeros((0, 3))).shape == (0, 3)
    assert np.allclose(power(np.array([3 + 4j], np.complex64)), 25)


def test_the_window_is_periodic() -> None:
    assert np.allclose(hann(4), [0, 0.5, 1, 0.5]) and not hann(4).flags.writeable


def test_a_picture_is_librosas_in_grey() -> None:
    librosa = pytest.importorskip("librosa")
    segment = segments(noise(3, N) * np.linspace(0, 1, N, dtype=np.float32))[0]
    magnitude = np.abs(librosa.stft(segment, n_fft=N_FFT, hop_length=HOP_LENGTH))[:SIZE]
    theirs = librosa.amplitude_to_db(magnitude, ref=np.max, top_db=80.0)
    assert np.abs(decibels(segment) - theirs).max() < 0.01
    assert np.abs(picture(segment) - np.rint(255 * (theirs + 80) / 80)).max() <= 1


@pytest.mark.parametrize("hertz", [55.0, 440.0, 2000.0, 2700.0])
def test_a_sine_is_a_line_at_its_height(hertz: float) -> None:
    found = picture(sine(hertz))
    assert found.shape == (256, 256) and found.dtype == np.uint8
    assert abs(found[:, 128].argmax() * RATE / N_FFT - hertz) <= 0.5 * RATE / N_FFT
    assert (found[:, 2:-2].max(axis=0) >= 254).all(), "white where it is loudest, from start to end"
    away = np.abs(np.arange(256) * RATE / N_FFT - hertz) > 400
    assert found[away, 2:-2].max() < 20


def test_time_runs_to_the_right() -> None:
    sound = sine(1000.0)
    sound[: N // 2] = 0
    found = picture(sound)
    assert not found[:, :126].any() and found[93, 130:].min() > 250


@pytest.mark.parametrize("low, semitones", [(54, 2), (69, 1), (75, 1), (86, 1)])
def test_keys_that_sound_together_are_told_apart(low: int, semitones: int) -> None:
    keys = [440.0 * 2 ** ((key - 69) / 12) for key in (low, low + semitones)]
    found = picture(0.5 * (sine(keys[0]) + sine(keys[1]))).astype(int)[:, 5:-5]
    first, second = (round(f * N_FFT / RATE) for f in keys)
    assert second - first >= 2
    valley = found[first : second + 1].min(axis=0)
    assert (valley < found[first - 1 : first + 2].max(axis=0)).all()
    assert (valley < found[second - 1 : second + 2].max(axis=0)).all()


def test_level_does_not_matter_but_silence_stays_dark() -> None:
    loud = picture(sine(440.0))
    assert np.abs(picture(sine(440.0, 0.05)).astype(int) - loud).max() <= 1
    assert not picture(np.zeros(N)).any()
    assert picture(1e-7 * noise(0, N)).max() == 0
    assert 0 < picture(sine(440.0, 1e-4)).max() < 255


def test_a_recording_is_cut_in_pieces() -> None:
    samples = np.arange(1, 101)
    for length, count in [(100, 5), (95, 5), (90, 5), (89, 4), (20, 1), (9, 1), (1, 1), (0, 0)]:
        found = segments(samples[:length], 2, 10.0)
        assert found.shape == (count, 20) and found.dtype == np.float32
        flat = found.reshape(-1)
        kept = min(length, len(flat))
        assert np.array_equal(flat[:kept], samples[:kept]) and not flat[kept:].any()


def test_what_makes_no_sense_is_refused() -> None:
    for call in (
        lambda: segments(np.zeros(5), 10, 0.0),
        lambda: picture(np.zeros(5)),
        lambda: picture(np.zeros((N, 2))),
    ):
        with pytest.raises(FugatoError) as caught:
            call()
        assert caught.value.kind == "bad-option"


def test_a_note_is_seen_with_its_partials() -> None:
    score = Score.from_notes([4.0], [8.0], [57])  # A3, 220 Hz, from 2 to 6 s
    (found,), (begin,) = of_score(score)
    assert begin == 0
    frame = round(2.5 * RATE / HOP_LENGTH)
    column = found[:, frame].astype(int)
    for k in range(1, 6):
        bin_ = round(220 * k * N_FFT / RATE)
        between = round(220 * (k + 0.5) * N_FFT / RATE)
        assert column[bin_ - 1 : bin_ + 2].max() > column[between] + 40
    assert not found[:, : round(1.9 * RATE / HOP_LENGTH)].any()
    assert not found[:, round(6.4 * RATE / HOP_LENGTH) :].any()


def test_a_long_piece_may_be_seen_in_part() -> None:
    score = piece(2, notes=200)
    every, begin = of_score(score)
    assert begin.tolist() == [10.0 * i for i in range(len(every))] and len(every) > 5
    some, from_where = of_score(score, limit=3)
    assert from_where[0] == 0 and from_where[-1] == begin[-1] and len(some) == 3
    assert np.array_equal(some, every[(from_where / 10).astype(int)])
    assert len(of_score(score, limit=1000).images) == len(every)


def test_an_excerpt_may_start_anywhere() -> None:
    score = piece(2, notes=100)
    grey = np.rint((excerpt(score, 10.0) + 80) * 255 / 80)
    assert np.abs(grey - of_score(score).images[1]).max() <= 1
    assert excerpt(score).dtype == np.float32 and -1e-4 < excerpt(score).max() <= 0
    late = excerpt(score, score.seconds - 1.0)
    assert (late[:, 60:] == -80).all() and -1e-4 < late[:, :26].max() <= 0
    assert (excerpt(score, 1e4) == -80).all()


def test_a_folder_is_drawn_in_worker_processes() -> None:
    pieces = [piece(seed, notes=40) for seed in range(3)]
    items = read_many([midi_of(p) for p in pieces], jobs=2, then="fugato.represent.spectrogram:spectrogram_bytes")
    for score, item in zip(pieces, items, strict=True):
        assert isinstance(item.result, bytes)
        found = np.load(io.BytesIO(item.result), allow_pickle=False)
        assert found.dtype == np.uint8 and found.shape[1:] == (256, 256)
        assert abs(len(found) - score.seconds / 10) <= 1
        ours = of_score(score).images
        assert found.shape == ours.shape and np.abs(found.astype(int) - ours).max() <= 2
    with pytest.raises(FugatoError) as caught:
        spectrogram_bytes(Score.from_notes([], [], []), name="x.mid", sha256="")
    assert caught.value.kind == "empty" and caught.value.input == "x.mid"
