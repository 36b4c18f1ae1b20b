"""Log-mel spectrograms, MFCC and resampling: librosa's numbers, whether the sound comes whole or in blocks, and GTZAN's from its audio."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from fugato.errors import FugatoError
from fugato.read.audio import read_audio
from fugato.recording import Block, Recording
from fugato.represent.logmel import (
    FRAMES,
    HOP_LENGTH,
    N_MELS,
    RATE,
    Piece,
    hz_to_mel,
    log_mel,
    mel_filters,
    mel_powers,
    mel_to_hz,
    pieces,
)
from fugato.represent.mfcc import cepstrum, cosines, mfcc
from fugato.represent.resample import resampled

LONG = FRAMES * HOP_LENGTH  # samples; more than this takes several steps


def noise(seed: int, n: int) -> NDArray[np.float32]:
    """Noise that swells from nothing and fades away again."""
    swell = np.sin(np.linspace(0, np.pi, n)) ** 4
    return (0.3 * swell * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def tone(hertz: float, seconds: float, rate: int) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def cut(samples: NDArray[np.float32], sizes: list[int]) -> Iterator[NDArray[np.float32]]:
    at = i = 0
    while at < len(samples):
        yield samples[at : at + sizes[i % len(sizes)]]
        at += sizes[i % len(sizes)]
        i += 1


def recording(samples: NDArray[np.float32], rate: int = RATE) -> Recording:
    return Recording.from_samples(samples, rate)


def test_the_filters_are_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    for rate, n_fft, n_mels in ((22_050, 2048, 128), (44_100, 2048, 64), (16_000, 512, 40)):
        theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels)
        assert np.allclose(mel_filters(rate, n_fft, n_mels), theirs, atol=1e-7)
    assert not mel_filters().flags.writeable


@pytest.mark.parametrize("n", [2047, 3 * RATE, LONG - 1, LONG, LONG + 1, LONG + 1024, 3 * LONG + 777])
def test_log_mel_and_mfcc_are_librosas(n: int) -> None:
    librosa = pytest.importorskip("librosa")
    samples = noise(0, n)
    power = librosa.feature.melspectrogram(y=samples, sr=RATE, n_mels=N_MELS)
    found = log_mel(samples)
    assert found.dtype == np.float32 and found.shape == power.shape == (N_MELS, 1 + n // HOP_LENGTH)
    assert np.abs(found - librosa.power_to_db(power, ref=np.max)).max() < 2e-3
    assert np.abs(log_mel(samples, ref=1.0) - librosa.power_to_db(power)).max() < 2e-3
    for count in (13, 16, 20):
        theirs = librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=count)
        ours = mfcc(samples, n_mfcc=count)
        assert ours.shape == theirs.shape == (count, 1 + n // HOP_LENGTH) and ours.dtype == np.float32
        assert np.abs(ours - theirs).max() < 1e-2


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_a_file_of_any_rate_gives_what_librosa_makes_of_it(rate: int) -> None:
    librosa = pytest.importorskip("librosa")
    out = io.BytesIO()
    stereo = np.stack([noise(1, 4 * rate), noise(2, 4 * rate)], axis=1)
    soundfile.write(out, stereo, rate, format="FLAC")
    out.seek(0)
    samples, _ = librosa.load(out, sr=RATE)
    theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=RATE, n_mels=N_MELS), ref=np.max)
    found = log_mel(read_audio(out.getvalue()))
    assert found.shape == theirs.shape
    assert np.abs(found - theirs).max() < 0.1 and np.corrcoef(found.ravel(), theirs.ravel())[0, 1] > 0.99999


def test_blocks_do_not_matter() -> None:
    samples = noise(3, 2 * LONG + 5000)
    whole = log_mel(samples)
    for sizes in ([700], [4096], [1, 100_000, 3], [10**7]):
        parts = [samples[:0], *cut(samples, sizes)]

        class Cut:
            def __init__(self) -> None:
                self.left = [p[:, None] for p in parts]  # noqa: B023 (used before the next turn)

            def read(self, size: int) -> Block:
                return Block(self.left.pop(0), not self.left)

            def close(self) -> None:
                pass

        made = Recording(Cut, rate=RATE, channels=1)  # of a length that is not known beforehand
        assert np.abs(log_mel(made) - whole).max() < 1e-3
        assert made.seconds == len(samples) / RATE
    assert sum(p.shape[1] for p in mel_powers(samples)) == whole.shape[1]
    assert max(p.shape[1] for p in mel_powers(samples)) <= FRAMES


@pytest.mark.parametrize(
    ("rate", "to"), [(44_100, 22_050), (48_000, 22_050), (8_000, 22_050), (96_000, 22_050), (11_025, 8_000)]
)
def test_resampling_in_blocks_is_resampling_whole(rate: int, to: int) -> None:
    soxr = pytest.importorskip("soxr")
    samples = noise(4, 3 * rate + 17)
    whole = soxr.resample(samples, rate, to, quality="HQ")
    wanted = -(-len(samples) * to // rate)
    for sizes in ([100], [65_536], [1, 30_000], [10**7]):
        blocks = list(resampled(cut(samples, sizes), rate, to))
        assert all(len(b) for b in blocks)
        found = np.concatenate(blocks)
        assert len(found) == wanted and found.dtype == np.float32
        n = min(wanted, len(whole))
        assert np.abs(found[:n] - whole[:n]).max() < 1e-5


def test_a_tone_stays_a_tone_without_clicks() -> None:
    found = np.concatenate(list(resampled(cut(tone(1000.0, 3, 48_000), [999]), 48_000, RATE)))
    assert len(found) == 3 * RATE
    assert np.abs(found - tone(1000.0, 3, RATE))[1000:-1000].max() < 1e-4
    above = np.concatenate(list(resampled(cut(tone(13_000.0, 3, 48_000), [999]), 48_000, RATE)))
    assert np.abs(above[1000:-1000]).max() < 1e-4, "what the new rate cannot hold is gone and not folded down"


def test_the_same_rate_is_left_alone() -> None:
    samples = noise(5, 1000)
    (found,) = resampled([samples], RATE, RATE)
    assert found is samples


@pytest.mark.parametrize("hertz", [110.0, 440.0, 1000.0, 4000.0])
def test_a_tone_lies_in_its_band(hertz: float) -> None:
    found = log_mel(tone(hertz, 4, RATE))
    centres = mel_to_hz(np.linspace(0, hz_to_mel(np.array(RATE / 2)), N_MELS + 2))[1:-1]
    band = found[:, 80].argmax()
    assert abs(np.log2(centres[band] / hertz)) < 0.15
    assert abs(found.max()) < 1e-4 and found.min() >= -80.001


def test_mels_and_hertz() -> None:
    assert np.allclose(hz_to_mel(np.array([0.0, 200.0, 1000.0, 6400.0])), [0, 3, 15, 42])
    hertz = np.linspace(0, 11_025, 50)
    assert np.allclose(mel_to_hz(hz_to_mel(hertz)), hertz)


def test_level_does_not_matter_but_silence_stays_dark() -> None:
    samples = noise(6, 4 * RATE)
    loud, soft = log_mel(samples), log_mel(0.1 * samples)
    assert np.abs(loud - soft)[loud > -60].max() < 0.01
    assert (log_mel(np.zeros(RATE)) == -80).all()
    assert np.isfinite(log_mel(np.full(RATE, 2.0**31))).all()


def test_the_level_moves_the_first_coefficient_alone() -> None:
    samples = noise(7, 4 * RATE)
    loud, soft = mfcc(samples), mfcc(0.1 * samples)
    assert np.abs((loud - soft)[1:]).max() < 1e-2
    assert np.allclose((loud - soft)[0], 20 * np.sqrt(N_MELS), rtol=1e-3)


def test_the_cosines_are_orthonormal() -> None:
    table = cosines(128, 128)
    assert np.allclose(table @ table.T, np.eye(128), atol=1e-5)
    spectrograms = np.random.default_rng(8).uniform(-80, 0, (3, 128, 7)).astype(np.float32)
    assert cepstrum(spectrograms, n_mfcc=16).shape == (3, 16, 7)
    assert np.allclose(cepstrum(spectrograms, n_mfcc=16)[1], cepstrum(spectrograms[1], n_mfcc=16), atol=1e-4)
    for count in (0, 129):
        with pytest.raises(FugatoError) as caught:
            cepstrum(spectrograms, n_mfcc=count)
        assert caught.value.kind == "bad-option"


@pytest.mark.parametrize(
    ("seconds", "lengths"),
    [(3, [3]), (30, [30]), (32.9, [32.9]), (33, [30, 3]), (60, [30, 30]), (62, [30, 32]), (94, [30, 30, 30, 4])],
)
def test_a_recording_is_cut_in_pieces_without_a_gap(seconds: float, lengths: list[float]) -> None:
    samples = noise(9, round(seconds * RATE)) + np.float32(1e-3)
    found = list(pieces(recording(samples)))
    assert [p.seconds for p in found] == pytest.approx(lengths)
    assert [p.start for p in found] == pytest.approx([30.0 * i for i in range(len(lengths))])
    assert np.array_equal(np.concatenate([p.samples for p in found]), samples)


def test_every_piece_has_its_own_loudest_cell() -> None:
    samples = np.concatenate([0.01 * noise(10, 30 * RATE), noise(10, 30 * RATE)])
    soft, loud = (log_mel(p.samples) for p in pieces(recording(samples)))
    assert max(abs(soft.max()), abs(loud.max())) < 1e-4 and np.abs(soft - loud)[loud > -40].max() < 0.01
    assert log_mel(recording(samples))[:, : 29 * RATE // HOP_LENGTH].max() < -35


def test_silence_between_two_songs_is_known() -> None:
    samples = np.concatenate([noise(11, 30 * RATE), np.zeros(30 * RATE, np.float32), noise(12, 30 * RATE)])
    found = list(pieces(recording(samples)))
    assert [p.silent for p in found] == [False, True, False]
    assert Piece(0.0, samples[:0]).silent


def test_errors_of_the_sound_come_through(tmp_path: Path) -> None:
    path = tmp_path / "late.flac"
    soundfile.write(path, np.zeros(40 * RATE), RATE)
    made = read_audio(path)  # the first seconds could be a rest
    for use in (lambda: log_mel(made), lambda: list(pieces(made)), lambda: mfcc(made)):
        with pytest.raises(FugatoError) as caught:
            use()
        assert (caught.value.kind, caught.value.input) == ("silent", str(path))


@pytest.mark.corpora
def test_the_stored_spectrograms_of_gtzan_are_reproduced_from_audio(corpora: Path) -> None:
    folder = corpora / "gtzan"
    with np.load(folder / "logmel7.npz", allow_pickle=False) as stored:
        clips, floors = stored["clip"].tolist(), stored["db_floor"]
        n_frames, steps = stored["n_frames"], stored["logmel7_dband"]
    paths = sorted((folder / "flac").glob("*.flac"))
    assert len(paths) == 15
    correlations = {}
    for path in paths:
        i = clips.index(path.stem)
        cells = np.cumsum(steps[i], axis=0, dtype=np.uint8)
        theirs = floors[i] * (1 - (cells + 0.5) / 128)  # dB under the clip's own loudest cell, shape=(128, 387)
        ours = log_mel(read_audio(path))
        total = int(n_frames[i])
        frames = np.clip(np.floor((np.arange(387) + 0.5) / 387.5 * total), 0, total - 1).astype(int)
        there = frames < ours.shape[1] - (2 if ours.shape[1] < total else 0)  # of most clips the first 8 s are at hand
        correlations[path.stem] = np.corrcoef(ours[:, frames[there]].ravel(), theirs[:, there].ravel())[0, 1]
        if there.all():
            assert (
                np.abs(ours[:, frames] - theirs).max() < 0.7
            )  # half a step of the stored seven bits, 0.3125 dB, and FLAC against WAV
    assert min(correlations.values()) >= 0.995, correlations
    assert np.mean(list(correlations.values())) >= 0.999
