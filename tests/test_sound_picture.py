"""A recording is drawn in five views and a genre answer along its time; what is drawn is what was heard."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fugato
from fugato.answer import Answer, Guess, ModelName, Segment
from fugato.errors import FugatoError
from fugato.recording import Recording
from fugato.represent.logmel import HOP_LENGTH, log_mel
from fugato.represent.mfcc import mfcc
from fugato.represent.outline import COLUMNS, WAVE, outline, sound_view
from fugato.study.plot import plot_genre, plot_sound
from fugato.write.picture import COLOURS, NOTE
from fugato.write.sound_picture import Outline, draw_genre, facts, genre_colours

from .sound_files import RATE, beat, encoded, speech, tone

TEN = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")


def recorded(samples: np.ndarray, rate: int = RATE) -> Recording:
    return Recording.from_samples(samples, rate, name="folder/a song $1 and $2.wav")


def answer_of(*stretches: tuple[float, float, dict[str, float]], known: bool = True, names: tuple[str, ...] = TEN):
    """An answer whose whole is the mean of its stretches."""

    def ranking(given: dict[str, float]) -> tuple[Guess, ...]:
        rest = (1 - sum(given.values())) / (len(names) - len(given))
        return tuple(sorted((Guess(n, given.get(n, rest)) for n in names), key=lambda g: -g.probability))

    mean = {n: float(np.mean([dict(ranking(s[2]))[n] for s in stretches])) for n in names}
    whole = tuple(sorted((Guess(n, p) for n, p in mean.items()), key=lambda g: -g.probability))
    timeline = tuple(Segment(start, end, ranking(given)) for start, end, given in stretches)
    return Answer("a song $1.wav", None, "genre", whole, known, ModelName("genre", "1.0.0"), timeline=timeline)


SONG = answer_of((0, 3, {"jazz": 0.7, "blues": 0.25}), (3, 6, {"jazz": 0.5, "rock": 0.4}))


@pytest.fixture(scope="module")
def seen() -> Outline:
    return outline(recorded(beat(6.0)))


def test_an_outline_of_a_short_clip_is_its_spectrogram(seen: Outline) -> None:
    samples = beat(6.0)
    expected = log_mel(samples)
    assert seen.mel.shape == expected.shape and np.allclose(seen.mel, expected, atol=1e-3)
    assert seen.mel_column == HOP_LENGTH / RATE and seen.seconds == 6
    assert seen.wave.min() == samples.min() and seen.wave.max() == samples.max()
    assert WAVE <= seen.wave.shape[1] < 2 * WAVE
    assert seen.wave.shape[1] * seen.wave_column == pytest.approx(6, abs=seen.wave_column)
    assert (np.diff(seen.mel_hertz) > 0).all() and 10 < seen.mel_hertz[0] < 60 and 10_000 < seen.mel_hertz[-1] < 11_025


@pytest.mark.parametrize("seconds", [3.0, 31.0, 95.0])
def test_columns_stand_for_equal_times_however_long_it_lasts(seconds: float) -> None:
    samples = np.tile(tone(880.0, 1.0), round(seconds))
    at = round(0.6 * len(samples))
    samples[at:] *= 0.01  # 40 dB less
    found = outline(recorded(samples))
    columns = found.mel.shape[1]
    assert columns < 2 * COLUMNS and (seconds < 20 or columns >= COLUMNS)
    assert (columns - 1) * found.mel_column < seconds + 0.1 <= (columns + 2) * found.mel_column + 0.1
    band = int(np.abs(found.mel_hertz - 880).argmin())
    change = int((found.mel[band] < -20).argmax()) * found.mel_column
    assert change == pytest.approx(0.6 * seconds, abs=2.5 * found.mel_column + 0.1)
    assert found.mel[band, -3] == pytest.approx(-40, abs=1)
    quiet = int((found.wave[1] < 0.1).argmax()) * found.wave_column
    assert quiet == pytest.approx(0.6 * seconds, abs=2 * found.wave_column)
    assert found.wave[1].max() == pytest.approx(0.5, abs=1e-3) and found.wave[0].min() == pytest.approx(-0.5, abs=1e-3)


def test_the_views_have_their_units() -> None:
    full = recorded(np.stack([tone(3_000.0, 8.0, 1.0)] * 2, axis=1), 44_100)  # so it sounds as 6,000 Hz
    view = sound_view(full)
    loudest = int(view.spectrum.argmax())
    assert view.hertz[loudest] == pytest.approx(6_000, abs=44_100 / 2048)
    assert view.spectrum[loudest] == pytest.approx(0, abs=1.5), "a sine of full scale has 0 dB, less between two bins"
    assert view.hertz[-1] == 22_050 and view.stft.shape[0] == len(view.hertz) == 1025
    assert abs(view.stft.max()) < 1e-3 and view.stft.min() >= -80
    assert view.outline.seconds == 4 and view.stft.shape[1] * view.stft_column == pytest.approx(4, abs=0.03)
    own = sound_view(recorded(beat(4.0)))
    assert np.allclose(own.mfcc, mfcc(beat(4.0)), atol=0.01)


def test_a_recording_is_drawn(tmp_path: Path) -> None:
    out = fugato.plot(recorded(speech(4.0)), tmp_path / "speech.svg")
    text = out.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    for words in ("Waveform", "Power spectrum (FFT)", "STFT", "Mel spectrogram", "MFCC", "time (s)", "frequency (Hz)"):
        assert words in text
    for words in ("dB", "a song $1 and $2.wav", "4.0 s", "22,050 Hz", "mono"):
        assert words in text
    assert plot_sound(recorded(beat(4.0)), tmp_path / "beat.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(FugatoError) as refused:
        fugato.plot(recorded(beat(4.0)), tmp_path / "beat.gif")
    assert refused.value.kind == "bad-output"


def test_genres_stand_along_the_time_axis(seen: Outline, tmp_path: Path) -> None:
    text = draw_genre(SONG, seen, tmp_path / "out.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    for words in ("jazz  60 %", "60 % for the whole recording", "a song $1.wav", "time (s)", "frequency (Hz)"):
        assert words in text
    assert "blues" in text and "rock" in text and "none of these" not in text.lower()
    assert "metal" not in text and "7 others" in text, "what is unlikely everywhere is not named"
    colour = genre_colours(TEN)
    assert len(set(colour.values())) == 10 and set(colour.values()) == set(COLOURS)
    assert genre_colours(tuple(reversed(TEN))) == colour, "a genre keeps its colour in the next picture"
    assert text.count(f"fill: {colour['jazz']}") >= 2, "in the timeline and in the legend"


def test_none_of_these_is_said_and_shown_pale(seen: Outline, tmp_path: Path) -> None:
    text = draw_genre(replace(SONG, known=False), seen, tmp_path / "out.svg").read_text(encoding="utf-8")
    assert "None of these" in text and "nearest: jazz, 60 %" in text and "none of these: the nearest" in text
    assert "for the whole recording" not in text


def test_many_genres_gaps_and_long_recordings_can_be_drawn(seen: Outline, tmp_path: Path) -> None:
    names = tuple(f"genre {k:02d}" for k in range(40))
    stretches = [(3.0 * k, 3.0 * k + 3, {names[k // 4 % 12]: 0.9}) for k in range(0, 2400, 4)]
    long = replace(seen, seconds=7200.0, mel_column=7200 / seen.mel.shape[1], wave_column=7200 / seen.wave.shape[1])
    text = draw_genre(answer_of(*stretches, names=names), long, tmp_path / "long.svg").read_text(encoding="utf-8")
    assert "31 others" in text and f"fill: {NOTE}" in text and "time (min:s)" in text and "120:00" in text
    assert len(text) < 4_000_000
    bare = replace(SONG, timeline=None, warnings=("It was damaged.",))
    assert "It was damaged." in draw_genre(bare, seen, tmp_path / "bare.svg").read_text(encoding="utf-8")


def test_what_a_cut_ranking_leaves_is_grey(seen: Outline, tmp_path: Path) -> None:
    def drawn(answer: Answer) -> str:
        return draw_genre(answer, seen, tmp_path / "out.svg").read_text(encoding="utf-8")

    whole = answer_of((0, 6, {"jazz": 0.6, "rock": 0.4}), names=("jazz", "rock", "pop"))
    two = replace(whole, ranking=whole.ranking[:2])
    assert f"fill: {NOTE}" not in drawn(two) and "1 other" in drawn(whole)
    cut = replace(
        two, ranking=two.ranking[:1], timeline=tuple(s._replace(ranking=s.ranking[:1]) for s in two.timeline or ())
    )
    assert f"fill: {NOTE}" in drawn(cut) and "others" in drawn(cut) and "rock" not in drawn(cut)


def test_an_answer_finds_its_recording(tmp_path: Path) -> None:
    file = tmp_path / "song.wav"
    file.write_bytes(encoded(beat(6.0)))
    text = fugato.plot(replace(SONG, input=str(file)), tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "frequency (Hz)" in text
    alone = fugato.plot(replace(SONG, input=str(tmp_path / "gone.wav")), tmp_path / "b.svg").read_text(encoding="utf-8")
    assert "jazz" in alone and "frequency (Hz)" not in alone, "the ranking alone"
    given = fugato.plot(SONG, tmp_path / "c.svg", recording=recorded(beat(6.0)))
    assert given.read_text(encoding="utf-8") == plot_genre(SONG, recorded(beat(6.0)), tmp_path / "d.svg").read_text(
        encoding="utf-8"
    )


def test_facts_are_short(seen: Outline) -> None:
    assert facts(replace(seen, format="FLAC")) == "6.0 s · 22,050 Hz · mono · FLAC"
    assert facts(replace(seen, seconds=7322.0, channels=6)) == "122:02 min · 22,050 Hz · 6 channels"
