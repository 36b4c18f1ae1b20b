"""A linear head on an encoder from a folder: fitted on its frozen states, saved without it, and asked again with it.

The encoders are tiny and know nothing: random weights, saved as transformers saves them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="needs the extra encoder: TEST_EXTRAS=dev,train,encoder make test")

import torch
import transformers

from fugato.corpus.sounds import load_sounds
from fugato.errors import FugatoError
from fugato.models import load_model, save_model
from fugato.models.card import Card
from fugato.models.encoder_head import EncoderHead, head_logits
from fugato.read import read_audio
from fugato.recipes import pretrained_encoder as recipe
from fugato.recording import Recording
from fugato.represent.encoder import Encoder, fingerprint

from .sound_files import RATE, beat, chords, speech, write_genres

SIZES: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
LABELS = ("beat", "chords", "melody")


pytestmark = pytest.mark.usefixtures("one_thread")


def save_ast(folder: Path) -> Path:
    torch.manual_seed(0)
    transformers.ASTModel(transformers.ASTConfig(**SIZES, max_length=1024)).save_pretrained(folder)
    transformers.ASTFeatureExtractor().save_pretrained(folder)
    return folder


def save_hubert(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = transformers.HubertConfig(
        **SIZES, conv_dim=(8,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2
    )
    transformers.HubertModel(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=True).save_pretrained(folder)
    return folder


def as_mert(folder: Path, **more: Any) -> Path:
    """The configuration that MERT's folders have, which names code of their own."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), "model_type": "mert_model", "architectures": ["MERTModel"]}
    config |= {"auto_map": {"AutoModel": "modeling_MERT.MERTModel"}, "attention_relax": 32.0, "deepnorm": False}
    path.write_text(json.dumps({**config, "feature_extractor_cqt": False, "sample_rate": 24_000, **more}))
    (folder / "modeling_MERT.py").write_text("raise SystemExit('code from a folder was run')\n")
    return folder


@pytest.fixture(scope="module")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hubert(tmp_path_factory.mktemp("hubert"))


@pytest.fixture(scope="module")
def prepared(hubert: Path, tmp_path_factory: pytest.TempPathFactory) -> recipe.Prepared:
    """Five recordings of each of three kinds, and one that is none."""
    root = write_genres(tmp_path_factory.mktemp("genres"), each=5, seconds=3.5)
    (root / "beat" / "words.wav").write_text("no sound")
    return recipe.prepare(load_sounds(root), hubert)


def recorded(samples: np.ndarray, rate: int = RATE) -> Recording:
    return Recording.from_samples(samples, rate)


# -- the encoder -------------------------------------------------------------------------------------------------------


def test_windows_follow_one_another(hubert: Path) -> None:
    encoder = Encoder(hubert)
    assert (encoder.kind, encoder.rate) == ("hubert", 24_000)
    heard = list(encoder.windows(recorded(beat(47.0)), seconds=10.0))
    assert [round(h.start, 3) for h in heard] == [0, 10, 20, 30, 40] and heard[-1].end == pytest.approx(47, abs=1e-3)
    assert all(h.vector.shape == (3, 16) and h.vector.dtype == np.float32 for h in heard)
    assert [round(h.end - h.start, 3) for h in encoder.windows(recorded(beat(12.0)), seconds=10.0)] == [12.0]
    mean = encoder.embed(recorded(beat(47.0)))
    expected = np.average([h.vector for h in heard], axis=0, weights=[10, 10, 10, 10, 7])
    assert np.allclose(mean, expected, atol=1e-4)


def test_what_an_encoder_hears_is_what_transformers_gives(hubert: Path) -> None:
    samples = beat(5.0)
    encoder = Encoder(hubert)
    at_its_rate = recorded(samples, 24_000)  # its own rate: nothing is resampled
    network = transformers.HubertModel.from_pretrained(hubert).eval()
    inputs = transformers.AutoFeatureExtractor.from_pretrained(hubert)(
        samples, sampling_rate=24_000, return_tensors="pt"
    )
    with torch.inference_mode():
        states = network(**inputs, output_hidden_states=True).hidden_states
    expected = torch.stack(states).mean(dim=2)[:, 0].numpy()
    assert np.allclose(encoder.embed(at_its_rate), expected, atol=1e-5)


def test_a_spectrogram_transformer_is_heard_too(tmp_path: Path) -> None:
    encoder = Encoder(save_ast(tmp_path / "ast"))
    assert (encoder.kind, encoder.rate) == ("audio-spectrogram-transformer", 16_000)
    a, b = encoder.embed(recorded(beat(4.0))), encoder.embed(recorded(chords(4.0)))
    assert a.shape == (3, 16) and np.abs(a - b).max() > 1e-3


def test_mert_is_read_without_its_code(hubert: Path, tmp_path: Path) -> None:
    folder = as_mert(save_hubert(tmp_path / "mert"))
    found = Encoder(folder)
    assert found.kind == "mert_model"
    assert np.allclose(found.embed(recorded(beat(4.0))), Encoder(hubert).embed(recorded(beat(4.0))), atol=1e-6)
    with pytest.raises(FugatoError, match="only code from its own folder can compute") as refused:
        Encoder(as_mert(folder, deepnorm=True))
    assert refused.value.kind == "bad-model"


def test_a_folder_without_an_encoder_is_refused(hubert: Path, tmp_path: Path) -> None:
    for kind, says, files in (
        ("no-model", "There is no encoder", {}),
        ("no-model", "There are no weights", {"config.json": "{}"}),
        ("bad-model", "cannot be read", {"config.json": "{", "model.safetensors": ""}),
        ("bad-model", "no JSON object", {"config.json": "[]", "model.safetensors": ""}),
        ("bad-model", "transformers cannot load", {"config.json": "{}", "model.safetensors": ""}),
    ):
        folder = tmp_path / "bad"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        with pytest.raises(FugatoError, match=says) as refused:
            Encoder(folder)
        assert refused.value.kind == kind
    other = save_hubert(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(FugatoError, match="weights of the encoder are missing") as refused:
        Encoder(other)
    assert refused.value.kind == "bad-model"


def test_another_encoder_has_another_fingerprint(hubert: Path, tmp_path: Path) -> None:
    same, other = save_hubert(tmp_path / "same"), save_hubert(tmp_path / "other", seed=1)
    assert fingerprint(same) == fingerprint(hubert) != fingerprint(other)


# -- the head ----------------------------------------------------------------------------------------------------------


def test_recordings_are_heard_once_and_failures_are_kept(prepared: recipe.Prepared) -> None:
    assert prepared.vectors.shape == (15, 3, 16) and [e.kind for e in prepared.failed] == ["not-audio"]
    assert prepared.encoder["rate"] == 24_000 and prepared.encoder["layers"] == 3
    part = prepared.select(np.array([1, 3]))
    assert [c.id for c in part.clips] == [prepared.clips[1].id, prepared.clips[3].id]


def test_a_head_names_recordings_that_it_has_not_heard(prepared: recipe.Prepared) -> None:
    labels = [c.genre for c in prepared.clips]
    held_out = np.arange(15) % 5 == 4
    fitted = recipe.fit(prepared, np.flatnonzero(~held_out), labels)
    assert fitted.labels == LABELS
    answered = [LABELS[k] for k in fitted.logits(prepared, np.flatnonzero(held_out)).argmax(axis=1)]
    assert answered == [labels[i] for i in np.flatnonzero(held_out)], "even random states tell these apart"
    again = recipe.fit(prepared, np.flatnonzero(~held_out), labels)
    assert np.array_equal(again.weights, fitted.weights)
    stiff = recipe.fit(prepared, np.arange(15), labels, {"penalty": 1e6})
    assert np.abs(stiff.logits(prepared, np.arange(15))).max() < 0.01, "a heavy penalty leaves nothing but chance"


def test_genres_count_the_same_whatever_their_number(prepared: recipe.Prepared) -> None:
    labels = [c.genre for c in prepared.clips]
    few = np.array([i for i, name in enumerate(labels) if name != "beat"] + [labels.index("beat")])
    stiff = recipe.fit(prepared, few, labels, {"penalty": 1e6})
    assert np.ptp(stiff.bias) < 0.02, "with nothing learnt every genre is as likely"


def test_what_makes_no_sense_is_refused(prepared: recipe.Prepared, hubert: Path) -> None:
    labels = [c.genre for c in prepared.clips]
    for settings, says in (
        ({"penalties": 1.0}, "no setting"),
        ({"penalty": 0.0}, "above 0"),
        ({"seconds": 1.0}, "3 s"),
    ):
        with pytest.raises(FugatoError, match=says) as refused:
            recipe.fit(prepared, np.arange(15), labels, settings)
        assert refused.value.kind == "bad-option"
    with pytest.raises(FugatoError, match="two genres") as refused:
        recipe.fit(prepared, np.array([0, 1]), labels)
    assert refused.value.kind == "bad-data"


def test_a_model_is_saved_without_its_encoder_and_asked_with_it(
    prepared: recipe.Prepared, hubert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [c.genre for c in prepared.clips]
    fitted = recipe.fit(prepared, np.arange(15), labels)
    card = Card("mine", "1.0.0", "genre", recipe.NAME, dict.fromkeys(fitted.labels, 5), recipe.representation(prepared))
    save_model(tmp_path / "mine", card, recipe.export(prepared, fitted))
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == ["card.json", "head.safetensors"]
    model = load_model(tmp_path / "mine")
    head = EncoderHead(model)
    recording = read_audio(prepared.clips[7].path)
    assert np.allclose(head.logits(recording), fitted.logits(prepared, np.array([7]))[0], atol=1e-4)
    windows = list(head.windows(recorded(np.concatenate([beat(20.0), speech(13.0)]))))
    assert len(windows) == 4 and all(scores.shape == (3,) for _, scores in windows)
    assert np.allclose(windows[0][1], head_logits(windows[0][0].vector[None], model.arrays("head"))[0])
    monkeypatch.setenv("FUGATO_ENCODER", str(save_hubert(tmp_path / "moved")))
    assert np.allclose(EncoderHead(model).logits(recording), head.logits(recording), atol=1e-6)
    with pytest.raises(FugatoError, match="another encoder") as refused:
        _ = EncoderHead(model, save_hubert(tmp_path / "other", seed=1)).encoder
    assert refused.value.kind == "bad-model"
    with pytest.raises(FugatoError, match="FUGATO_ENCODER says where") as refused:
        _ = EncoderHead(model, tmp_path / "gone").encoder
    assert refused.value.kind == "no-model"
    with pytest.raises(FugatoError, match="no head on a pretrained encoder"):
        EncoderHead(load_model("composer"))


def test_the_commands_train_a_head_and_name_genres_with_it(hubert: Path, tmp_path: Path) -> None:
    folder = write_genres(tmp_path / "genres", each=4, seconds=4.0)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fugato", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    made = ("train", "genre", folder, "--recipe", "pretrained-encoder", "--out", tmp_path / "head")
    assert run(*made).returncode == 2, "it needs an encoder"
    done = run(*made, "--encoder", hubert, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["representation"]["name"] == "encoder-states"
    done = run("genre", folder, "--model", tmp_path / "head", "--json")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 12 and all(answer["timeline"] for answer in answers)
    right = sum(answer["name"] == Path(answer["input"]).parent.name for answer in answers)
    assert right >= 10, "it has learnt from them"
    assert run("train", "genre", folder, "--encoder", hubert, "--out", tmp_path / "other").returncode == 2
