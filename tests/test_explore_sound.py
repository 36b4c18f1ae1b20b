"""A folder of recordings is measured and drawn on one page; what cannot be used is named, and the texts say what the figures say."""

from __future__ import annotations

import base64
import json
import re
from html import escape
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fugato.cli.app import app
from fugato.corpus.sounds import is_sound, load_sounds
from fugato.errors import FugatoError
from fugato.recording import Recording
from fugato.represent.logmel import log_mel
from fugato.study.explore import Exploration
from fugato.study.explore_sound import explore_recording, explore_sound, told_apart
from fugato.study.explore_sound_page import sentence
from fugato.study.sound_facts import sound_facts

from .sound_files import RATE, beat, chords, encoded, melody, noise, tone, write_genres

PICTURES = ["classes", "form", "level", "spectra", "example-01", "example-02", "example-03"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three genres of three and four recordings, with four files that cannot be used and one that is no sound."""
    root = write_genres(tmp_path_factory.mktemp("music <& more>"), each=3)
    (root / "beat" / "words.wav").write_text("no sound at all")
    (root / "chords" / "silent.wav").write_bytes(encoded(np.zeros(4 * RATE, np.float32)))
    (root / "chords" / "short.wav").write_bytes(encoded(chords(1.0)))
    (root / "melody" / "cut.flac").write_bytes(encoded(melody(6.0), "FLAC")[:9_000])
    (root / "melody" / "stereo.mp3").write_bytes(encoded(np.stack([melody(8.0, 5)] * 2, axis=1), "MP3", 44_100))
    (root / "notes.txt").write_text("by hand")
    return root


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    return explore_sound(folder, tmp_path_factory.mktemp("out") / "pictures")


def recorded(samples: np.ndarray, rate: int = RATE) -> Recording:
    return Recording.from_samples(samples, rate)


# -- measuring ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("peak", "lufs"), [(1.0, -3.01), (10**-0.5, -13.01), (10**-1.0, -23.01)])
def test_loudness_is_that_of_the_recommendation(peak: float, lufs: float) -> None:
    """BS.1770-4: a sine of 997 Hz at full scale in one channel reads -3.01."""
    assert sound_facts(recorded(tone(997.0, 4.0, peak))).loudness == pytest.approx(lufs, abs=0.02)


def test_loudness_is_weighted_and_gated() -> None:
    low, middle, high = (sound_facts(recorded(tone(hertz, 4.0))).loudness for hertz in (40.0, 997.0, 4_000.0))
    assert middle - low == pytest.approx(6.9, abs=0.7) and high - middle == pytest.approx(3.3, abs=0.4)
    sound = tone(997.0, 5.0)
    gap = np.concatenate([sound, np.zeros_like(sound), sound])
    assert sound_facts(recorded(gap)).loudness == pytest.approx(sound_facts(recorded(sound)).loudness, abs=0.25)
    assert sound_facts(recorded(tone(997.0, 4.0, 1e-4))).loudness == -70


def test_levels_and_frequencies_are_measured() -> None:
    facts = sound_facts(recorded(np.stack([tone(500.0, 8.0)] * 2, axis=1), 44_100))  # sounds as 1,000 Hz
    assert (facts.seconds, facts.rate, facts.channels) == (4.0, 44_100, 2)
    assert facts.peak == pytest.approx(-6.02, abs=0.05) and facts.clipped == 0 and facts.quiet == 0
    assert facts.centroid == pytest.approx(1_000, abs=15) and 950 < facts.bandwidth < 1_100
    half = np.concatenate([tone(300.0, 3.0, 1.0), np.zeros(3 * RATE, np.float32)])
    square = np.clip(2 * half, -1, 1)
    assert sound_facts(recorded(square)).clipped == pytest.approx(1 / 3, abs=0.01)
    assert sound_facts(recorded(half)).quiet == pytest.approx(0.5, abs=0.02)
    assert sound_facts(recorded(noise(0.0, 4.0))).bandwidth > 10_500
    for samples in (beat(4.0), 0.01 * chords(4.0)):
        facts = sound_facts(recorded(samples))
        assert np.allclose(facts.profile, log_mel(samples).mean(axis=1), atol=0.1)


def test_what_chance_gives_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(10), 2)
    shares = [told_apart(rng.normal(size=20), label) for _ in range(50)]
    assert np.mean(shares) < 0.2, "the plain share would be 0.47 with two of each"
    assert told_apart(label.astype(float), label) == 1
    assert np.isnan(told_apart(np.arange(3.0), np.arange(3))) and np.isnan(told_apart(np.arange(3.0), np.zeros(3)))


# -- listing -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_listed_with_what_is_not_taken(folder: Path) -> None:
    sounds = load_sounds(folder)
    assert sounds.genres() == {"chords": 5, "melody": 5, "beat": 4} and len(sounds) == 14
    assert sounds.skipped == (("notes.txt", "no sound: .txt"),)
    assert sounds.clips[0].id == "beat/beat.00000.wav" and Path(sounds.clips[0].path).is_file()


def test_an_index_is_listed(folder: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    rows = [f"{folder}/beat/beat.00000.wav,loud,A", f"{folder}/chords/chords.00000.wav,,", "score.mid,loud,"]
    index.write_text("path,genre,group\n" + "\n".join(rows) + "\n")
    sounds = load_sounds(tmp_path)
    assert [(c.genre, c.group) for c in sounds.clips] == [("loud", "A")]
    assert [reason for _, reason in sounds.skipped] == ["no label: its genre is empty", "no sound: .mid"]
    index.write_text("path,composer\na.wav,Bach\n")
    with pytest.raises(FugatoError, match="path and genre") as refused:
        load_sounds(index)
    assert refused.value.kind == "bad-data"


def test_sound_and_scores_are_told_apart(folder: Path, styled_folder: Path, tmp_path: Path) -> None:
    assert is_sound(folder) and is_sound(folder / "beat" / "beat.00000.wav") and is_sound(folder / "beat" / "words.wav")
    assert not is_sound(styled_folder) and not is_sound("music21") and not is_sound(tmp_path / "no such")
    for name in ("empty", "loose"):
        (tmp_path / name).mkdir()
    (tmp_path / "loose" / "a.wav").write_bytes(encoded(beat(3.5)))
    with pytest.raises(FugatoError, match="1 recordings lie in it, but without a label"):
        load_sounds(tmp_path / "loose")
    with pytest.raises(FugatoError, match="no recordings in it"):
        load_sounds(tmp_path / "empty")


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_every_picture_is_written_and_the_page_holds_them(made: Exploration) -> None:
    assert [p.stem for p in made.pictures] == PICTURES and made.left_out == ()
    text = made.page.read_text(encoding="utf-8")
    for path in made.pictures:
        data = path.read_bytes()
        assert int.from_bytes(data[16:20], "big") > 900
        assert base64.b64encode(data).decode() in text
        assert escape(made.sentences[path.stem]) in text
    assert not re.search(r"https?://|src=\"(?!data:)|<script|@import", text)
    assert "music &lt;&amp; more&gt;" in text and "<& more>" not in text
    assert json.loads((made.folder / "explore.json").read_text(encoding="utf-8")) == made.to_dict()


def test_what_cannot_be_used_is_named_and_counted(made: Exploration) -> None:
    kinds = {f["file"]: f["kind"] for f in made.figures["unusable"]}
    assert kinds == {
        "beat/words.wav": "not-audio",
        "chords/silent.wav": "silent",
        "chords/short.wav": "too-short",
        "melody/cut.flac": "corrupt",
    }
    counted = {c["genre"]: (c["used"], c["skipped"], c["reasons"]) for c in made.figures["classes"]}
    assert counted["chords"] == (3, 2, {"too-short": 1, "silent": 1})
    assert counted["melody"][:2] == (4, 1) and counted["beat"] == (3, 1, {"not-audio": 1})
    page = made.page.read_text(encoding="utf-8")
    assert all(name in page for name in [*kinds, "notes.txt"])
    assert "4 of 14 files cannot be used" in made.sentences["classes"]


def test_sentences_are_made_from_the_figures(made: Exploration) -> None:
    said, figures = made.sentences, made.figures
    assert "melody has 4 of the 10 recordings that can be heard (40 %)" in said["classes"]
    assert figures["form"]["rates"] == {"22050": 9, "44100": 1} and "most often 22,050 Hz" in said["form"]
    assert figures["form"]["channels"] == {"1": 9, "2": 1} and "4 formats" in said["form"]
    median = figures["level"]["loudness"]["median"]
    assert min(median, key=median.get) == "chords" and max(median, key=median.get) == "beat"
    assert "in chords to" in said["level"] and "a model of genres should not hear it" in said["level"]
    assert f"around {figures['spectra']['best']['hertz']:,.0f} Hz" in said["spectra"]
    assert [e["genre"] for e in figures["examples"]] == ["melody", "beat", "chords"]
    for k, example in enumerate(figures["examples"], 1):
        assert example["file"] in said[f"example-{k:02d}"] and example["file"].startswith(example["genre"])


def test_a_label_that_the_form_gives_away_is_told() -> None:
    form = {
        "seconds": {"shortest": 30, "5 %": 30, "median": 30, "95 %": 30, "longest": 30, "total": 3000},
        "rates": {"44100": 50, "22050": 50},
        "formats": {"MP3": 50, "WAV": 50},
        "commonest": 0.5,
        "told_by_form": 0.98,
    }
    assert "name 98 % of the genres" in sentence("form", {"form": form})
    assert "Bring all" not in sentence("form", {"form": {**form, "told_by_form": 0.55}})


def test_one_genre_with_one_recording_is_explored(tmp_path: Path) -> None:
    (tmp_path / "$a <b>").mkdir()
    (tmp_path / "$a <b>" / "one.wav").write_bytes(encoded(beat(3.5)))
    made = explore_sound(tmp_path, tmp_path / "out")
    assert made.sentences["classes"].startswith("There is one genre, $a <b>, with 1 recording that can be heard")
    assert "All last about 3.5 s" in made.sentences["form"] and "bandwidth is 10,0" in made.sentences["level"]
    assert made.sentences["spectra"].startswith("Nothing can be said") and len(made.pictures) == 5
    assert "1 recording of 1 genre," in made.page.read_text(encoding="utf-8")


def test_one_recording_is_drawn(folder: Path, tmp_path: Path) -> None:
    made = explore_recording(folder / "melody" / "stereo.mp3", tmp_path / "one")
    assert [p.name for p in made.pictures] == ["recording.png"]
    facts = made.figures["recording"]
    assert (facts["rate"], facts["channels"], facts["format"]) == (44_100, 2, "MP3")
    assert "4 s, 44,100 Hz, stereo, MP3" in made.sentences["recording"]
    with pytest.raises(FugatoError) as refused:
        explore_recording(folder / "chords" / "silent.wav", tmp_path / "two")
    assert refused.value.kind == "silent"


def test_the_command_explores_folders_and_files(folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(app, ["explore", str(folder), "--out", str(tmp_path / "p"), "--classes", "1", "--json"])
    assert result.exit_code == 0, result.stderr
    assert "5 pictures in" in result.stderr and "chords/silent.wav: " in result.stderr
    figures = json.loads(result.stdout)["figures"]
    assert [c["genre"] for c in figures["classes"] if c["shown"]] == ["melody"] and len(figures["classes"]) == 3
    result = runner.invoke(app, ["explore", str(folder / "beat" / "beat.00001.flac"), "--out", str(tmp_path / "q")])
    assert result.exit_code == 0 and "1 picture in" in result.stderr and (tmp_path / "q" / "recording.png").is_file()
    result = runner.invoke(app, ["explore", str(folder / "beat" / "words.wav"), "--out", str(tmp_path / "r")])
    assert result.exit_code == 1 and "damaged or misnamed" in result.stderr
    (tmp_path / "bad" / "noise").mkdir(parents=True)
    (tmp_path / "bad" / "noise" / "a.wav").write_text("x")
    result = runner.invoke(app, ["explore", str(tmp_path / "bad"), "--out", str(tmp_path / "s")])
    assert result.exit_code == 2 and "None of its 1 recordings can be heard (1 not-audio)" in result.stderr
