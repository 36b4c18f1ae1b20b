"""Genres: vectors of sound, the recipes over them, and answers from a model trained here on invented kinds of music."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fugato
from fugato.corpus.mel_archive import is_mel_archive, load_mel_archive
from fugato.errors import FugatoError
from fugato.genre import genre, genre_many
from fugato.genre.heard import n_stretches
from fugato.models import load_model
from fugato.recipes import mel_covariance, segment_kernel
from fugato.recipes.passages import load_passages
from fugato.recording import Recording
from fugato.represent.logmel import log_mel
from fugato.represent.sampled_mel import CLIP_FRAMES, CLIP_OF, from_levels, sampled, to_levels
from fugato.represent.segment_statistics import segment_vector, segments, width
from fugato.represent.sound_copies import changed_windows, copied
from fugato.represent.sound_covariance import BLOCKS, LEAST_FRAMES, covariance_vector, edges, log_vector
from fugato.study import benchmark_genre
from fugato.train import train

from .sound_files import KINDS, NO_MUSIC, RATE, beat, chords, encoded, melody, write_genres

SECONDS = 12.0


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_genres(tmp_path_factory.mktemp("genres"), each=5, seconds=SECONDS)


@pytest.fixture(scope="session")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("genre", folder, out=tmp_path_factory.mktemp("models") / "kinds", copies=2)


def heard(samples: Any) -> Any:
    return sampled(log_mel(samples))


# -- what is heard -----------------------------------------------------------------------------------------------------


def test_a_clip_is_sampled_where_the_shared_spectrograms_are() -> None:
    frames = np.tile(np.arange(CLIP_OF, dtype=np.float32), (2, 1))
    found = sampled(frames)[0]
    n = CLIP_OF
    expected = np.clip(np.floor((np.arange(387) + 0.5) / 387.5 * n), 0, n - 1)
    assert found.tolist() == expected.tolist() and len(found) == CLIP_FRAMES
    assert sampled(frames[:, :1]).shape == (2, 1)
    beginning = sampled(frames[:, :345])[0]
    assert beginning.tolist() == found[: len(beginning)].tolist(), "the beginning of a clip has the first of its frames"


def test_levels_keep_decibels_within_their_step() -> None:
    decibels = np.linspace(-80, 0, 999, dtype=np.float32)
    assert np.abs(from_levels(to_levels(decibels)) - decibels).max() <= 0.16
    assert to_levels(np.array([-200.0, 3.0])).tolist() == [0, 255]


def test_the_vector_is_logarithms_of_covariances() -> None:
    from scipy.linalg import logm

    series = np.random.default_rng(0).normal(size=(5, 400)) * np.arange(1, 6)[:, None]
    expected = logm(np.cov(series) + 0.5 * np.eye(5))
    found = log_vector(series, 0.5)
    rows, columns = np.triu_indices(5)
    np.testing.assert_allclose(
        found, expected[rows, columns] * np.where(rows == columns, 1, np.sqrt(2)), rtol=1e-5, atol=1e-5
    )


def test_every_block_has_its_place() -> None:
    vector = covariance_vector(heard(beat(4.0)))
    assert len(vector) == edges()[-1] == sum(block.width for block in BLOCKS)
    assert np.isfinite(vector).all()


def test_short_and_constant_passages_have_vectors_too() -> None:
    flat = np.full((128, LEAST_FRAMES), -80, np.float32)
    assert np.isfinite(covariance_vector(flat)).all()
    assert np.isfinite(segment_vector(flat[:, :8])).all() and len(segment_vector(flat)) == width()


def test_loudness_changes_nothing_and_another_instrument_much() -> None:
    one, soft, other = (covariance_vector(heard(s)) for s in (beat(9.0), 0.2 * beat(9.0), chords(9.0)))
    assert np.abs(one - soft).max() < 0.1
    assert np.linalg.norm(one - other) > 20 * np.linalg.norm(one - soft)


def test_segments_cover_a_passage_without_a_gap() -> None:
    for n in (8, 39, 100, 387):
        found = segments(n)
        assert found[0] == 0 and found[-1] == n and (np.diff(found) > 0).all()
    assert len(segments(387)) == 11
    assert n_stretches(1293) == 10 and n_stretches(130) == 1


def test_copies_differ_and_stay_in_range() -> None:
    rng = np.random.default_rng(1)
    plain = heard(melody(12.0))
    for _ in range(20):
        copy = copied(plain, rng)
        assert copy.shape[0] == 128 and 0.1 * plain.shape[1] < copy.shape[1] <= plain.shape[1]
        assert copy.min() >= -80 and np.isfinite(copy).all()
        assert copy.shape != plain.shape or not np.array_equal(copy, plain)
    windows = np.stack([to_levels(plain).T[:64]] * 3)
    changed = changed_windows(windows, rng)
    assert changed.dtype == np.uint8 and changed.shape == windows.shape and not np.array_equal(changed[0], changed[1])


# -- recipes -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def prepared(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> mel_covariance.Prepared:
    passages = load_passages(folder, tmp_path_factory.mktemp("passages") / "p")
    return mel_covariance.prepare(passages, copies=1)


def test_the_dual_solution_is_shrunken_linear_discriminant_analysis(prepared: mel_covariance.Prepared) -> None:
    """The same scores by inverting the covariance itself, on few enough cells."""
    labels = np.array(prepared.passages.genres)
    rows = np.arange(len(labels))
    fitted = mel_covariance.fit(prepared, rows, labels, labels, copies=1, shrinkage=2.0)
    x = np.concatenate(
        [mel_covariance.standardised(part, fitted.mean, fitted.scale) for part in prepared.vectors]
    ).astype(np.float64)
    index = np.tile(np.array([fitted.labels.index(label) for label in labels]), 2)
    centres = np.stack([x[index == k].mean(axis=0) for k in range(3)])
    rest = x - centres[index]
    _, s, v = np.linalg.svd(rest, full_matrices=False)
    floor = 2.0 * (s**2).sum() / min(900, len(x) - 3)

    def inverted(vectors: Any) -> Any:
        along = vectors @ v.T
        return (along / (s**2 + floor)) @ v + (vectors - along @ v) / floor

    weights = inverted(centres).T * len(x)
    expected = x[: len(rows)] @ weights - 0.5 * np.einsum("kd,dk->k", centres, weights)
    found = fitted.logits(prepared, rows)
    expected -= expected.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        found - found.mean(axis=1, keepdims=True), expected, rtol=2e-2, atol=2e-2 * np.abs(expected).max()
    )
    assert (np.array(fitted.labels)[found.argmax(axis=1)] == labels).all()


def test_the_kernel_machine_names_segments_it_has_not_seen(folder: Path, tmp_path: Path) -> None:
    passages = load_passages(folder, tmp_path / "p")
    made = segment_kernel.prepare(passages)
    labels = np.array(passages.genres)
    learn = np.flatnonzero(np.arange(len(labels)) % 5 > 0)
    judge = np.setdiff1d(np.arange(len(labels)), learn)
    fitted = segment_kernel.fit(made, learn, labels[learn], labels[learn])
    named = np.array(fitted.labels)[fitted.logits(made, judge).argmax(axis=1)]
    assert (named == labels[judge]).all()


@pytest.mark.parametrize("recipe", ["mel-covariance", "segment-kernel", "mel-cnn", "mfcc-cnn"])
def test_every_recipe_trains_exports_and_serves_without_torch(recipe: str, folder: Path, tmp_path: Path) -> None:
    small = {
        "mel-covariance": {"copies": 1},
        "segment-kernel": {},
        "mel-cnn": {"epochs": 3, "epoch_windows": 64, "width": 6, "mixup": 0.2},
        "mfcc-cnn": {"epochs": 2},
    }
    made = train("genre", folder, recipe=recipe, out=tmp_path / "model", **small[recipe])
    card = load_model(made).card
    assert card.task == "genre" and card.recipe == recipe and set(card.labels) == set(KINDS)
    assert {figure["name"] for figure in card.figures} >= {"accuracy", "balanced_accuracy"}
    (tmp_path / "beat.wav").write_bytes(encoded(beat(7.0, 77)))
    code = (
        "import sys, fugato, json\n"
        f"answer = fugato.genre({str(tmp_path / 'beat.wav')!r}, model={str(made)!r})\n"
        "assert not {'torch', 'sklearn', 'librosa', 'scipy'} & set(sys.modules)\n"
        "print(json.dumps(answer.to_dict()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["task"] == "genre" and abs(sum(g["probability"] for g in answer["ranking"]) - 1) < 1e-3
    assert not (tmp_path / "model.training").exists()


def test_mfcc_cnn_has_the_published_number_of_parameters() -> None:
    torch = pytest.importorskip("torch", reason="training needs the extra train")
    from fugato.recipes import mfcc_cnn
    from fugato.recipes.network import Statistics

    known = Statistics(np.arange(16), np.zeros(16, np.float32), np.ones(16, np.float32), np.zeros(128, np.float32))
    network = mfcc_cnn.build(10, known, mfcc_cnn.RECIPE.settings())
    moving = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert sum(p.numel() for p in network.parameters()) + moving == 86_314
    assert network(torch.zeros(2, 130, 16)).shape == (2, 10)


def test_a_genre_with_too_few_recordings_is_left_out_and_named(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    (data / "rare").mkdir()
    (data / "rare" / "one.wav").write_bytes(encoded(beat(5.0)))
    (data / "beat" / "broken.wav").write_bytes(b"RIFF....WAVEjunk")
    made = train("genre", data, out=tmp_path / "model", copies=0)
    assert set(load_model(made).card.labels) == set(KINDS)
    assert "rare (1)" in caplog.text and "broken.wav" in caplog.text


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: None, "bad-data"),
        (lambda path: (path / "only").mkdir(), "bad-data"),
    ],
)
def test_a_folder_that_nothing_can_be_learnt_from_is_refused(make: Any, kind: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    make(data)
    with pytest.raises(FugatoError) as error:
        train("genre", data, out=tmp_path / "model")
    assert error.value.kind == kind and not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "options", [{"shrinkage": 0}, {"copies": 1.5}, {"copie": 1}, {"folds": 1}, {"recipe": "nothing"}]
)
def test_wrong_options_are_refused_before_anything_is_heard(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FugatoError) as error:
        train("genre", tmp_path / "not there", out=tmp_path / "model", **options)
    assert error.value.kind == "bad-option"


def test_a_yardstick_makes_no_model(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FugatoError, match="yardstick"):
        train("genre", folder, recipe="feature-table", out=tmp_path / "model")


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("form", "rate"), [("WAV", RATE), ("FLAC", RATE), ("OGG", RATE), ("MP3", RATE), ("WAV", 44_100)]
)
def test_another_piece_of_a_kind_is_named_whatever_its_file(kind: str, form: str, rate: int, model: Path) -> None:
    import soxr

    samples = KINDS[kind](10.0, 99)
    stereo = np.repeat(soxr.resample(samples, RATE, rate)[:, None], 2, axis=1)
    answer = genre(encoded(stereo, form, rate), model=model)
    assert answer.name == kind and answer.music["channels"] == 2 and answer.music["rate"] == rate


def test_the_timeline_covers_what_sounds_and_follows_changes(model: Path) -> None:
    samples = np.concatenate([beat(30.0, 5), np.zeros(30 * RATE, np.float32), chords(30.0, 6)])
    answer = genre(Recording.from_samples(samples, RATE), model=model)
    assert answer.timeline is not None
    first = [s for s in answer.timeline if s.end <= 30]
    last = [s for s in answer.timeline if s.start >= 60]
    assert len(first) == len(last) == 10
    assert len(answer.timeline) == 20, "nothing is said of the silence between"
    assert {s.ranking[0].name for s in first} == {"beat"} and {s.ranking[0].name for s in last} == {"chords"}
    for segment in answer.timeline:
        assert 2.5 < segment.end - segment.start < 3.5
        assert sum(g.probability for g in segment.ranking) == pytest.approx(1)
    assert answer.music["seconds"] == 90 and answer.music["heard_seconds"] == 60


def test_top_cuts_every_ranking(model: Path) -> None:
    answer = genre(encoded(beat(5.0)), model=model, top=1)
    assert len(answer.ranking) == 1 and answer.timeline is not None
    assert all(len(s.ranking) == 1 for s in answer.timeline)


def test_a_piece_in_notes_is_rendered_and_said_to_be(model: Path) -> None:
    score = fugato.Score.from_notes(np.arange(16.0), np.ones(16), 60 + np.arange(16) % 12)
    answer = genre(score, model=model)
    assert any("synthesiser" in warning for warning in answer.warnings)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"no sound at all" * 99, "not-audio"),
        (encoded(np.zeros(5 * RATE, np.float32)), "silent"),
        (encoded(beat(1.0)), "too-short"),
        (b"", "empty"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_reason(data: bytes, kind: str, model: Path) -> None:
    with pytest.raises(FugatoError) as error:
        genre(data, model=model)
    assert error.value.kind == kind


def test_many_files_are_answered_in_order_and_a_bad_one_stops_nothing(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    files = [*sorted(folder.rglob("*.wav")), bad, *sorted(folder.rglob("*.flac"))]
    answers = list(genre_many(files, model=model, jobs=2))
    assert [a["input"] for a in answers] == [str(f) for f in files]
    assert "error" in answers[files.index(bad)]
    assert all(a["name"] == Path(a["input"]).parent.name for a in answers if "error" not in a)


def test_a_composer_model_is_refused(model: Path) -> None:
    with pytest.raises(FugatoError) as error:
        genre(encoded(beat(4.0)), model="composer")
    assert error.value.kind == "bad-model"
    with pytest.raises(FugatoError):
        fugato.identify(fugato.Score.from_notes([0.0], [1.0], [60]), model=str(model))


# -- the command -------------------------------------------------------------------------------------------------------


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fugato", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_command_answers_a_folder_writes_lines_and_goes_on(folder: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    done = run("genre", folder, "--model", model, "--out", out)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 15 and all(line["name"] == Path(line["input"]).parent.name for line in lines)
    kept = "".join(json.dumps(line) + "\n" for line in lines[:4])
    out.write_text(kept + '{"torn', encoding="utf-8")
    assert run("genre", folder, "--model", model, "--out", out, "--resume").returncode == 0
    again = [json.loads(line)["input"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert sorted(again) == sorted(line["input"] for line in lines) and len(set(again)) == 15


def test_the_command_draws_and_fails_clearly(folder: Path, model: Path, tmp_path: Path) -> None:
    file = sorted(folder.rglob("*.wav"))[0]
    done = run("genre", file, "--model", model, "--plot", tmp_path / "a.png", "--json")
    assert done.returncode == 0 and (tmp_path / "a.png").stat().st_size > 10_000
    assert json.loads(done.stdout)["task"] == "genre"
    assert run("genre", folder, "--model", model, "--plot", tmp_path / "b.png").returncode == 2
    (tmp_path / "empty").mkdir()
    nothing = run("genre", tmp_path / "empty", "--model", model)
    assert nothing.returncode == 2 and "no recording" in nothing.stderr
    bad = tmp_path / "x.wav"
    bad.write_bytes(b"junk")
    failed = run("genre", bad, "--model", model, "--json")
    assert failed.returncode == 1 and json.loads(failed.stdout)["error"]["kind"] == "not-audio"


# -- archives of spectrograms ------------------------------------------------------------------------------------------


def test_an_archive_is_read_with_its_splits(tmp_path: Path) -> None:
    decibels = np.stack(
        [
            np.pad(heard(KINDS[kind](30.0, seed)), ((0, 0), (0, 1)), mode="edge")[:, :387]
            for kind in KINDS
            for seed in range(4)
        ]
    )
    levels = np.clip(np.floor((decibels / 80 + 1) * 128), 0, 127).astype(np.uint8)
    steps = np.diff(levels, axis=1, prepend=np.uint8(0)).astype(np.uint8)
    names = np.array([f"{kind}.{seed:05d}" for kind in KINDS for seed in range(4)])
    np.savez(
        tmp_path / "logmel7.npz",
        clip=names,
        genre=np.repeat(np.arange(3, dtype=np.uint8), 4),
        genres=np.array(list(KINDS)),
        db_floor=np.full(12, -80, np.float32),
        logmel7_dband=steps,
    )
    (tmp_path / "splits").mkdir()
    for side, part in (("train", names[::4]), ("valid", names[1::4]), ("test", names[2::4])):
        lines = [f"{name.split('.')[0]}/{name}.wav" for name in part]
        (tmp_path / "splits" / f"{side}_filtered.txt").write_text("\n".join(lines), encoding="utf-8")
    assert is_mel_archive(tmp_path)
    archive = load_mel_archive(tmp_path)
    assert np.abs(archive.decibels - decibels).max() < 0.7
    assert [len(archive.split[side]) for side in ("train", "valid", "test")] == [3, 3, 3]
    passages = load_passages(tmp_path, tmp_path / "p")
    assert passages.genres[:4] == ("beat",) * 4 and passages.decibels(0).shape == (128, 387)
    some = passages.select(np.array([4, 0, 9]))
    assert some.split is not None and {side: part.tolist() for side, part in some.split.items()} == {
        "train": [1, 0],
        "valid": [2],
        "test": [],
    }
    repeated = load_passages(tmp_path, tmp_path / "p", every_frame=True)
    assert repeated.decibels(0).shape == (128, CLIP_OF)
    (tmp_path / "logmel7.npz").write_bytes(b"PK damaged")
    with pytest.raises(FugatoError, match="cannot be read"):
        load_mel_archive(tmp_path)


def test_a_file_object_can_be_heard(model: Path) -> None:
    assert genre(io.BytesIO(encoded(beat(6.0, 3))), model=model).name == "beat"


@pytest.mark.parametrize("name", NO_MUSIC)
def test_what_is_no_music_at_all_never_breaks_an_answer(name: str, model: Path) -> None:
    answer = genre(encoded(NO_MUSIC[name](6.0)), model=model)
    assert np.isfinite([g.probability for g in answer.ranking]).all()


def test_a_model_is_trained_judged_and_reported_by_commands(folder: Path, tmp_path: Path) -> None:
    done = run(
        "train", "genre", folder, "--out", tmp_path / "m", "--set", "copies=1", "--report", tmp_path / "held", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["task"] == "genre" and (tmp_path / "held" / "report.md").is_file()
    done = run("report", tmp_path / "m", folder, "--out", tmp_path / "report", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["levels"]
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "recording" in text and (tmp_path / "report" / "report.json").is_file()
    assert run("train", "genre", folder, "--out", tmp_path / "n", "--composers", "Bach").returncode == 2


def test_the_benchmark_judges_by_every_protocol_and_goes_on(folder: Path, tmp_path: Path) -> None:
    arguments = ("benchmark", "genre", folder, "--out", tmp_path / "b", "--recipes", "segment-kernel", "--json")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["recipes"]["segment-kernel"]
    assert set(row) == {"random-segments", "random-clips", "artists"}, "the folder has no filtered split"
    assert (
        row["random-segments"]["pieces"] == 12 and row["random-clips"]["pieces"] == 15
    )  # a fifth of four segments a clip
    assert set(row["artists"]["per_class"]) == set(KINDS)
    assert (tmp_path / "b" / "segment-kernel" / "artists" / "report" / "report.md").is_file()
    again = run(*arguments)
    assert json.loads(again.stdout) == json.loads(done.stdout), "nothing was done twice: the seconds are the same"
    assert run("benchmark", "genre", folder, "--out", tmp_path / "c", "--protocols", "honest").returncode == 2


def test_networks_stop_by_the_valid_part_and_else_by_artists_of_every_genre() -> None:
    genres = tuple(kind for kind in KINDS for _ in range(20))
    passages = SimpleNamespace(
        genres=genres,
        groups=tuple(f"{kind} artist {i // 2}" for kind in KINDS for i in range(20)),
        clips=tuple(SimpleNamespace(id=f"{kind}.{i}") for kind in KINDS for i in range(20)),
        split={"train": np.arange(0, 30), "valid": np.arange(30, 45), "test": np.arange(45, 60)},
    )
    judge = benchmark_genre._Network(SimpleNamespace(kind="mel"), SimpleNamespace(of=lambda every: passages, seed=0))  # type: ignore[arg-type]
    learn, stop = judge._apart("filtered-train", passages.split["train"])
    assert learn.tolist() == list(range(30)) and stop.tolist() == list(range(30, 45))
    learn, stop = judge._apart("artists", np.arange(60))
    assert sorted([*learn, *stop]) == list(range(60)) and {genres[i] for i in stop} == set(KINDS)
    assert not {passages.groups[i] for i in learn} & {passages.groups[i] for i in stop}


# -- the shipped model -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [9.0, 30.0])
@pytest.mark.parametrize("name", [name for name in NO_MUSIC if name != "silence between"])
def test_what_is_no_music_is_none_of_the_ten_genres(name: str, seconds: float) -> None:
    answer = genre(encoded(NO_MUSIC[name](seconds)))
    assert not answer.known and any("unlike" in warning for warning in answer.warnings)


def test_the_shipped_model_is_small_and_knows_the_ten_genres() -> None:
    found = load_model("genre")
    assert list(found.labels) == [
        "blues",
        "classical",
        "country",
        "disco",
        "hiphop",
        "jazz",
        "metal",
        "pop",
        "reggae",
        "rock",
    ]
    assert sum(file.bytes for file in found.card.files.values()) < 6_000_000
    assert found.card.corpora[0]["licence"] == "none granted: research only"


@pytest.mark.corpora
def test_true_audio_is_named_as_its_stored_spectrogram_and_in_every_format(corpora: Path) -> None:
    from fugato.genre.hearing import hearer

    archive = load_mel_archive(corpora / "gtzan")
    place = {clip.id: i for i, clip in enumerate(archive.clips)}
    model = hearer("genre")
    for name in ("blues.00000", "jazz.00054", "pop.00000"):
        path = corpora / "gtzan" / "flac" / f"{name}.flac"
        answer = genre(path)
        assert answer.known and answer.name == name.split(".")[0]
        stored = archive.decibels[place[name]][:, np.arange(CLIP_OF) * CLIP_FRAMES // CLIP_OF]
        assert model.labels[int(model.hear(stored).logits.argmax())] == answer.name
        import soundfile

        samples, rate = soundfile.read(path, dtype="float32")
        assert genre(encoded(np.stack([samples, samples], 1), "MP3", rate)).name == answer.name
