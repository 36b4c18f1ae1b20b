"""Recordings: whatever libsndfile reads comes in blocks; what is damaged is read as far as it goes, or refused by kind."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import fugato.recording
from fugato.errors import FugatoError
from fugato.read import audio, decode
from fugato.read.audio import read_audio
from fugato.read.decode import AudioLimits
from fugato.recording import Recording

RATE = 22_050
SECONDS = 8
N = SECONDS * RATE
FORMATS = ("WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "RF64")
MP3_FRAME = b"\xff\xf3"  # MPEG-2 layer III, as written at 22,050 Hz
BROKEN_OFF = "breaks off"


@cache
def sound(seed: int = 0, n: int = N) -> NDArray[np.float32]:
    """A chord in noise that is loud in one half and soft in the other, so that its MP3 frames differ in length."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / RATE
    tones = sum(np.sin(2 * np.pi * hertz * t) for hertz in (220.0, 277.2, 329.6))
    level = np.where(t < t[-1] / 2, 0.02, 1.0)
    return (0.15 * level * (tones + rng.standard_normal(n))).astype(np.float32)


def encoded(form: str, samples: NDArray[Any] | None = None, rate: int = RATE, subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, sound() if samples is None else samples, rate, format=form, subtype=subtype)
    return out.getvalue()


def read_out(recording: Recording) -> NDArray[np.float32]:
    return np.concatenate(list(recording.blocks()))


def refusal(call: Callable[[], object]) -> FugatoError:
    with pytest.raises(FugatoError) as caught:
        call()
    return caught.value


def wav(**fields: int) -> bytes:
    """A WAV file with other numbers in its header."""
    places = {"codec": (20, "<H"), "channels": (22, "<H"), "rate": (24, "<I")}
    out = bytearray(encoded("WAV"))
    places["length"] = (out.find(b"data") + 4, "<I")
    for name, value in fields.items():
        at, form = places[name]
        struct.pack_into(form, out, at, value)
    return bytes(out)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_read_whatever_its_format(form: str) -> None:
    recording = read_audio(encoded(form))
    assert (recording.rate, recording.channels, recording.format) == (RATE, 1, form)
    samples = read_out(recording)
    assert samples.shape == (N, 1) and samples.dtype == np.float32
    assert recording.seconds == SECONDS and not recording.warnings
    assert np.corrcoef(samples[:, 0], sound())[0, 1] > (0.9 if form in ("OGG", "MP3") else 0.99999)


def test_opus_is_read() -> None:
    samples = sound(0, 4 * 48_000)
    found = read_out(read_audio(encoded("OGG", samples, 48_000, "OPUS")))[:, 0]
    assert (
        len(found) == len(samples) and np.corrcoef(found, samples)[0, 1] > 0.8
    )  # half of it is noise, which Opus invents anew


@pytest.mark.parametrize("sandbox", [True, False])
def test_path_bytes_and_file_object_give_the_same(sandbox: bool, tmp_path: Path) -> None:
    path = tmp_path / "Étude no. 1.wav"
    path.write_bytes(encoded("FLAC"))  # the bytes decide, not the name
    with path.open("rb") as file:
        recordings = [
            read_audio(source, sandbox=sandbox)
            for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), file)
        ]
    assert [r.name for r in recordings] == [str(path), str(path), None, None, str(path)]
    for recording in recordings:
        assert recording.format == "FLAC"
        assert np.array_equal(read_out(recording), read_out(recordings[0]))


def test_a_recording_is_read_again_and_in_any_blocks() -> None:
    recording = read_audio(encoded("OGG"))
    whole = read_out(recording)
    for size in (1000, 4096, 50_000, 10**6):
        blocks = list(recording.blocks(size))
        assert {len(b) for b in blocks[:-1]} <= {size} and len(blocks[-1]) <= size
        assert np.array_equal(np.concatenate(blocks), whole)
    first = next(iter(recording.blocks(100)))
    assert np.array_equal(first, whole[:100]), "a walk may be left at any time"
    together = zip(recording.blocks(999), recording.blocks(999), strict=True)
    assert all(np.array_equal(a, b) for a, b in together), "two walks at once do not disturb each other"


def test_mono_is_the_mean_of_the_channels() -> None:
    stereo = np.stack([sound(1), sound(2), sound(3)], axis=1)
    recording = read_audio(encoded("WAV", stereo, subtype="FLOAT"))
    assert recording.channels == 3
    assert np.allclose(np.concatenate(list(recording.mono())), stereo.mean(axis=1), atol=1e-7)
    opposite = read_audio(encoded("WAV", np.stack([sound(), -sound()], axis=1), subtype="FLOAT"))
    error = refusal(lambda: list(opposite.mono()))
    assert error.kind == "silent" and "cancel" in error.message


def test_a_temporary_file_goes_with_its_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio.tempfile, "tempdir", str(tmp_path))
    recording = read_audio(encoded("WAV"))
    assert len(list(tmp_path.iterdir())) == 1
    del recording
    assert not list(tmp_path.iterdir())
    refusal(lambda: read_audio(b"no sound at all"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (bytes, "empty", "empty"),
        (lambda: encoded("WAV", sound()[:0]), "empty", "no samples"),
        (lambda: bytes(100_000), "not-audio", "no recording"),
        (lambda: b"Just some text, renamed.\n" * 500, "not-audio", "no recording"),
        (lambda: np.random.default_rng(0).bytes(100_000), "not-audio", "no recording"),
        (lambda: b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk" + bytes(400), "not-audio", "MIDI"),
        (lambda: b"\0\0\0\x20ftypM4A " + bytes(5000), "unsupported", "M4A"),
        (lambda: b"0&\xb2u\x8ef\xcf\x11" + bytes(5000), "unsupported", "WMA"),
        (lambda: wav(codec=0x55), "unsupported", "0x55"),
        (lambda: wav(rate=0), "corrupt", "damaged"),
        (lambda: wav(rate=1), "unsupported", "samples a second"),
        (lambda: wav(rate=2_000_000), "too-large", "samples a second"),
        (lambda: wav(channels=0), "corrupt", "damaged"),
        (lambda: wav(channels=64), "too-large", "64 channels"),
        (lambda: encoded("WAV")[:44], "corrupt", "breaks off"),
        (lambda: encoded("WAV")[:30], "corrupt", "damaged"),
        (lambda: encoded("WAV")[:3000], "corrupt", "only 0.067 s"),
        (lambda: encoded("FLAC")[:20_000], "corrupt", "damaged"),
        (lambda: encoded("MP3")[:3000], "corrupt", "damaged"),
        (lambda: encoded("OGG")[:3000], "corrupt", "damaged"),
        (lambda: encoded("OGG")[:20], "corrupt", "damaged"),
        (lambda: encoded("CAF")[:N], "corrupt", "damaged"),
        (lambda: encoded("WAV", sound()[: 2 * RATE]), "too-short", "at least 3 s"),
        (lambda: encoded("WAV", np.zeros(N)), "silent", "silence"),
        (lambda: encoded("WAV", np.full(N, 0.5)), "silent", "silence"),
        (lambda: encoded("WAV", np.full(N, np.nan, np.float32), subtype="FLOAT"), "corrupt", "100%"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_heard_is_refused_by_kind(make: Callable[[], bytes], kind: str, says: str) -> None:
    error = refusal(lambda: read_out(read_audio(make(), name="my song.wav")))
    assert (error.kind, error.input) == (kind, "my song.wav") and says in error.message


@pytest.mark.parametrize(
    ("make", "seconds", "warning"),
    [
        (lambda: encoded("WAV")[: N + 44], SECONDS / 2, BROKEN_OFF),
        (lambda: encoded("AIFF")[: N + 54], SECONDS / 2, BROKEN_OFF),
        (lambda: encoded("FLAC")[:-40_000], None, BROKEN_OFF),
        (lambda: encoded("OGG")[:-20_000], None, BROKEN_OFF),
        (lambda: encoded("MP3")[:-15_000], None, BROKEN_OFF),
        (lambda: wav(length=0), SECONDS, "wrong length"),
        (lambda: wav(length=1000), SECONDS, "wrong length"),
        (lambda: wav(length=0xFFFFFFFF), SECONDS, None),
        (lambda: encoded("WAV") + b"LIST\x04\0\0\0abcd", SECONDS, None),
        (lambda: b"ID3\x03\0\0\0\0\x0f\x76" + bytes(2038) + encoded("MP3"), SECONDS, None),
    ],
)
def test_what_is_there_of_a_damaged_file_is_read(
    make: Callable[[], bytes], seconds: float | None, warning: str | None
) -> None:
    recording = read_audio(make())
    samples = read_out(recording)[:, 0]
    length = len(samples) / RATE
    assert recording.seconds == length
    assert length == pytest.approx(seconds, abs=0.01) if seconds else 4 < length < SECONDS - 0.1
    assert np.corrcoef(samples, sound()[: len(samples)])[0, 1] > 0.9
    if warning:
        (said,) = recording.warnings
        assert warning in said
    else:
        assert not recording.warnings


def test_an_error_in_the_middle_costs_the_rest_and_not_what_was_before() -> None:
    data = encoded("FLAC")
    middle = len(data) // 2
    recording = read_audio(data[:middle] + bytes(3000) + data[middle + 3000 :])
    samples = read_out(recording)[:, 0]
    assert len(samples) > 0.5 * N and BROKEN_OFF in recording.warnings[0]
    assert np.allclose(samples, sound()[: len(samples)], atol=1e-4)


def test_an_mp3_without_a_count_of_its_frames_is_read_to_its_end() -> None:
    data = encoded("MP3")
    bare = data[data.find(MP3_FRAME, 4) :]
    believed = soundfile.info(io.BytesIO(bare)).frames
    assert abs(believed - N) > RATE, "libsndfile guesses wrong here, or this test shows nothing"
    recording = read_audio(bare)
    assert recording.seconds == 0, "nobody knows yet"
    samples = read_out(recording)
    assert abs(len(samples) - N) < 0.1 * RATE and recording.seconds == len(samples) / RATE


def test_a_flac_stream_of_unknown_length_is_read_to_its_end() -> None:
    data = bytearray(encoded("FLAC"))
    data[21] &= 0xF0  # the count of samples: the last 36 bits before the checksum
    data[22:26] = bytes(4)
    recording = read_audio(bytes(data))
    assert recording.frames is None
    assert np.allclose(read_out(recording)[:, 0], sound(), atol=1e-4) and not recording.warnings


def test_samples_that_are_no_numbers_become_silence() -> None:
    samples = sound().copy()
    samples[1000:1010], samples[-1], samples[50_000] = np.nan, np.inf, -1e30
    recording = read_audio(encoded("WAV", samples, subtype="FLOAT"))
    found = read_out(recording)[:, 0]
    assert np.isfinite(found).all() and "no numbers" in recording.warnings[0]
    good = np.isfinite(samples) & (samples > -1e29)
    assert np.array_equal(found[good], samples[good]) and not found[~good].any()


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (AudioLimits(seconds=5), "hours"),
        (AudioLimits(decoded_bytes=4 * N - 1), "bytes"),
        (AudioLimits(file_bytes=1000), "1,000 bytes"),
        (AudioLimits(rate=16_000), "samples a second"),
    ],
)
def test_limits_are_checked_before_decoding(limits: AudioLimits, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(decode.SoundFile, "read", never)
    error = refusal(lambda: read_audio(encoded("WAV"), limits=limits, sandbox=False))
    assert error.kind == "too-large" and says in error.message


def test_a_header_that_hides_the_length_does_not_pass_the_limit() -> None:
    data = bytearray(encoded("FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    error = refusal(lambda: read_out(read_audio(bytes(data), limits=AudioLimits(seconds=5))))
    assert error.kind == "too-large"


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.wav", "no such file"), (tmp_path, "folder")):
        error = refusal(lambda path=path: read_audio(path))
        assert error.kind == "bad-data" and says in error.message and error.input == str(path)
    error = refusal(lambda: read_audio(io.StringIO("text")))  # type: ignore[arg-type]
    assert error.kind == "bad-data" and "'rb'" in error.message
    text = tmp_path / "renamed.mp3"
    text.write_text("hello " * 1000)
    error = refusal(lambda: read_audio(text))
    assert error.kind == "not-audio" and "although its name ends in .mp3" in error.message


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="signals of POSIX")
def test_a_decoder_that_hangs_or_dies_costs_its_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded("WAV")
    recording = read_audio(data)
    blocks = recording.blocks(1000)
    next(blocks)
    audio.end_decoders()  # none is idle, and the one in use lives on
    next(blocks)
    remote = audio._Remote
    monkeypatch.setattr(remote, "read", lambda self, size: self._process._popen.kill() or self._ask({"read": size}))
    error = refusal(lambda: read_out(recording))
    assert error.kind in ("too-large", "corrupt")  # killed from outside reads like a lack of memory
    monkeypatch.undo()
    assert len(read_out(recording)) == N
    monkeypatch.setattr(
        remote, "read", lambda self, size: self._process._popen.send_signal(signal.SIGSTOP) or self._ask({"read": size})
    )
    stopped = refusal(lambda: read_audio(data, limits=AudioLimits(wait=0.5)))
    assert stopped.kind == "timeout" and "0.5 seconds" in stopped.message


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU"])
def test_no_damage_brings_anything_but_a_refusal_or_sound(form: str) -> None:
    data, rng = encoded(form, sound(0, 5 * RATE)), np.random.default_rng(FORMATS.index(form))
    outcomes = []
    for number in range(24):
        damaged = bytearray(data)
        for at in rng.integers(300 if number % 2 else len(data), size=8):
            damaged[at] = rng.integers(256)
        if number % 3 == 0:
            del damaged[rng.integers(len(data)) :]
        try:
            samples = read_out(read_audio(bytes(damaged), limits=AudioLimits(wait=10)))
        except FugatoError as e:
            outcomes.append(e.kind)
        else:
            assert np.isfinite(samples).all()
            outcomes.append("read")
    assert not {"timeout", "bad-data"} & set(outcomes) and len(outcomes) == 24


def test_processes_are_used_again() -> None:
    audio.end_decoders()
    for _ in range(3):
        read_out(read_audio(encoded("WAV")))
    assert len(audio._idle) == 1


def test_recordings_of_arrays() -> None:
    recording = Recording.from_samples(sound(), RATE, name="made up")
    assert np.array_equal(read_out(recording)[:, 0], sound()) and recording.seconds == SECONDS
    assert repr(recording) == "<Recording made up: 8.0 s, 22050 Hz, mono>"
    for samples, kind in ((np.zeros(N), "silent"), (sound()[:RATE], "too-short"), (np.zeros((2, 2, 2)), "bad-option")):
        assert refusal(lambda samples=samples: Recording.from_samples(samples, RATE)).kind == kind


def test_the_least_is_three_seconds() -> None:
    least = round(fugato.recording.LEAST_SECONDS * RATE)
    assert len(read_out(read_audio(encoded("WAV", sound()[:least])))) == 3 * RATE
    assert refusal(lambda: read_audio(encoded("WAV", sound()[: least - 1]))).kind == "too-short"


SCRIPT = """
import sys
from fugato.read.audio import read_audio
from fugato.represent.logmel import log_mel
for path in sys.argv[1:]:
    recording = read_audio(path)
    log_mel(recording)
    assert recording.seconds > 3
assert "soundfile" not in sys.modules and "librosa" not in sys.modules
"""


def test_damaged_mp3_is_read_without_a_word_on_standard_error(tmp_path: Path) -> None:
    data = encoded("MP3", np.repeat(sound(), 2), 44_100)
    (tmp_path / "whole.mp3").write_bytes(data)
    (tmp_path / "cut.mp3").write_bytes(data[: 3 * len(data) // 4])
    paths = [str(tmp_path / name) for name in ("whole.mp3", "cut.mp3")]
    source = str(Path(fugato.recording.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *paths],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.corpora
def test_jazz_00054_intact_and_damaged(corpora: Path, tmp_path: Path) -> None:
    """Most copies of GTZAN hold this clip as a WAV file that no program recognises."""
    intact = corpora / "gtzan" / "flac" / "jazz.00054.flac"
    recording = read_audio(intact)
    samples = read_out(recording)
    assert samples.shape == (662_112, 1) and not recording.warnings
    as_wav = encoded("WAV", samples[:, 0])
    damaged = tmp_path / "jazz.00054.wav"
    for data, kind in (
        (bytes(4096) + as_wav[4096:], "not-audio"),
        (as_wav[1000:], "not-audio"),
        (as_wav[:12] + bytes(100) + as_wav[112:], "corrupt"),
        (bytes(len(as_wav)), "not-audio"),
        (as_wav[:40], "corrupt"),
        (b"", "empty"),
    ):
        damaged.write_bytes(data)
        error = refusal(lambda: read_audio(damaged))
        assert error.kind == kind and error.input == str(damaged)
    damaged.write_bytes(intact.read_bytes()[: intact.stat().st_size // 2])
    half = read_audio(damaged)
    assert np.array_equal(read_out(half), samples[: half.frames]) and 10 < half.seconds < 20
    assert BROKEN_OFF in half.warnings[0]
