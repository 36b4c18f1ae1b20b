"""A piece is heard: by a soundfont where there is one, by the package's synthesiser where not, and never as silence."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import fugato
from fugato.errors import FugatoError
from fugato.score import Part, Score, Tempo
from fugato.write import outside, soundfont
from fugato.write.soundfont import BUILT_IN, DEBIAN, VARIABLE, find_soundfont, play

RATE = 44_100


@pytest.fixture
def font() -> Path:
    """The soundfont that comes with pretty_midi."""
    pretty_midi = pytest.importorskip("pretty_midi")
    return Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"


@pytest.fixture
def piece() -> Score:
    """Two bars of two voices and a drum at 90 to the minute: 16/3 seconds."""
    return Score.from_notes(
        [*range(8), 0, 4, 0],
        [1] * 8 + [4, 4, 1],
        [72, 74, 76, 77, 79, 77, 74, 72, 48, 43, 38],
        part=[0] * 8 + [1, 1, 2],
        drum=[False] * 10 + [True],
        parts=[Part("", 73), Part("", 0), Part("", 0, True)],
        tempos=[Tempo(0.0, 90.0)],
    )


def samples_of(path: Path) -> tuple[NDArray[np.int16], int]:
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return data.reshape(-1, file.getnchannels()), file.getframerate()


def test_a_soundfont_plays_in_time_and_below_full_scale(piece: Score, font: Path, tmp_path: Path) -> None:
    samples, rate = samples_of(fugato.write(piece, tmp_path / "a.wav", soundfont=font))
    assert rate == RATE and samples.shape[1] == 2
    peak = int(np.abs(samples.astype(int)).max())
    assert 0.9 * 32767 < peak < 0.96 * 32767, "loud, and not clipped"
    assert abs(len(samples) / RATE - (piece.seconds + 1.5)) < 0.2, "the last note rings"
    assert np.abs(samples[-20:].astype(int)).max() < 300, "and fades out"
    for beat in range(8):
        at = round(beat * 60 / 90 * RATE)
        assert np.abs(samples[at : at + RATE // 5].astype(int)).max() > 1000, f"beat {beat} is silent"


def test_pitch_and_instrument_are_those_of_the_piece(font: Path) -> None:
    def strongest(pitch: int, program: int) -> float:
        score = Score.from_notes([0], [4], [pitch], parts=[Part("", program)])
        mono = play(score, RATE, soundfont=font)[: 2 * RATE, 0].astype(float)
        return float(np.abs(np.fft.rfft(mono * np.hanning(len(mono)))).argmax()) / 2

    for pitch, hertz in ((69, 440.0), (57, 220.0), (84, 1046.5)):
        partial = strongest(pitch, 73) / hertz
        assert abs(partial - round(partial)) < 0.02 * round(partial), "a partial of the note, to a third of a semitone"
    loud = [play(Score.from_notes([0], [2], [60], parts=[Part("", p)]), RATE, soundfont=font) for p in (0, 48)]
    assert not np.array_equal(loud[0], loud[1])


def test_the_same_piece_is_the_same_sound(piece: Score, font: Path) -> None:
    assert np.array_equal(play(piece, RATE, soundfont=font), play(piece, RATE, soundfont=font))


def test_where_a_soundfont_is_looked_for(font: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    found = find_soundfont()
    assert found is not None and (str(found) in DEBIAN or found == font)
    monkeypatch.setenv(VARIABLE, str(font))
    assert find_soundfont() == font
    monkeypatch.setenv(VARIABLE, BUILT_IN)
    assert find_soundfont() is None
    monkeypatch.setenv(VARIABLE, "/nowhere.sf2")
    with pytest.raises(FugatoError) as caught:
        find_soundfont()
    assert caught.value.kind == "bad-option"


def test_without_a_soundfont_the_package_plays(piece: Score, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(soundfont, "find_soundfont", lambda: None)
    samples, _ = samples_of(fugato.write(piece, tmp_path / "a.wav"))
    other, _ = samples_of(fugato.write(piece, tmp_path / "b.wav", soundfont="built-in"))
    assert samples.shape[1] == 1 and np.array_equal(samples, other) and samples.any()


def damaged(font: Path, out: Path) -> Path:
    """A soundfont whose list of presets and samples is overwritten here and there."""
    data = bytearray(font.read_bytes())
    rng = np.random.default_rng(1)
    for place in rng.integers(len(data) - 200_000, len(data), 300).tolist():
        data[place] = int(rng.integers(256))
    out.write_bytes(data)
    return out


def test_a_damaged_soundfont_never_takes_the_program_down(
    piece: Score, font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.sf2").write_text("this is no soundfont")
    (tmp_path / "cut.sf2").write_bytes(font.read_bytes()[:100_000])
    broken = damaged(font, tmp_path / "broken.sf2")
    for path in (tmp_path / "text.sf2", tmp_path / "cut.sf2", tmp_path / "nowhere.sf2"):
        with pytest.raises(FugatoError) as caught:
            play(piece, RATE, soundfont=path)
        assert caught.value.kind in ("bad-option", "unsupported") and caught.value.input == str(path)
    try:  # it may crash or play rubbish, in its own process
        assert play(piece, RATE, soundfont=broken).any()
    except FugatoError as error:
        assert error.kind in ("bad-option", "unsupported")
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(soundfont, "find_soundfont", lambda: tmp_path / "cut.sf2")
    assert np.abs(play(piece, RATE)).max() > 0.9, "one that was not asked for is left aside"


def test_a_piece_without_notes_is_refused(font: Path) -> None:
    with pytest.raises(FugatoError) as caught:
        play(Score.from_notes([], [], []), RATE, soundfont=font)
    assert caught.value.kind == "empty"


def test_a_synthesiser_that_never_comes_back_is_replaced_in_seconds(
    font: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """This note of a pan flute keeps symusic's synthesiser for ever, with this soundfont."""
    stuck = Score.from_notes([0.0, 1.0], [1 / 12, 1.0], [104, 72], parts=[Part("", 75)], tempos=[Tempo(0.0, 42.0)])
    monkeypatch.setattr(soundfont, "find_soundfont", lambda: font)
    monkeypatch.setattr(soundfont, "SECONDS", 2.0)
    began = time.monotonic()
    with caplog.at_level(logging.INFO):
        samples = play(stuck, 22_050)
    assert time.monotonic() - began < 30
    assert np.abs(samples).max() > 0.5
    if "processor time" in caplog.text:
        assert samples.dtype == np.float32, "the synthesiser of the package"


@pytest.mark.skipif(outside.OUT_OF_TIME is None, reason="the system limits no processor time")
def test_a_job_outlives_nobody_for_long() -> None:
    code = "from fugato.read.lowered import lower_limit; lower_limit('RLIMIT_CPU', 1)\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == outside.OUT_OF_TIME
