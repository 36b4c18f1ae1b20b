"""A model folder that is damaged, foreign or not all there: one clear sentence and a kind, whoever asks for it and for what."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import fugato
from fugato.cli.app import app
from fugato.errors import FugatoError
from fugato.models import find_model

from .read_files import midi, scale
from .sound_files import beat, encoded

PARTS = {"composer": "weights.safetensors", "genre": "covariance.safetensors", "compose": "network.onnx"}


def put_right(folder: Path) -> None:
    """Let the card say what its files are now, as somebody would who damages on purpose."""
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    for entry in card["files"].values():
        data = (folder / entry["file"]).read_bytes()
        entry.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def a_byte_changed(folder: Path, part: str) -> None:
    data = bytearray((folder / part).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / part).write_bytes(data)


def cut(folder: Path, part: str) -> None:
    data = (folder / part).read_bytes()
    (folder / part).write_bytes(data[: len(data) // 2])


def cut_and_put_right(folder: Path, part: str) -> None:
    cut(folder, part)
    put_right(folder)


def other_contents(folder: Path, part: str) -> None:
    """Arrays of something else, or no network, with a card that agrees."""
    from safetensors.numpy import save

    (folder / part).write_bytes(save({"other": np.zeros(3, np.float32)}))
    put_right(folder)


def a_part_missing(folder: Path, part: str) -> None:
    (folder / part).unlink()


def a_pickle_beside(folder: Path, part: str) -> None:
    (folder / "model.pkl").write_bytes(b"\x80\x04.")


def edited(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    (folder / "card.json").write_text(json.dumps({**card, **changes}), encoding="utf-8")


def another_format(folder: Path, part: str) -> None:
    edited(folder, format=99)


def parts_of_another_recipe(folder: Path, part: str) -> None:
    edited(folder, recipe="of-tomorrow", files={})
    for path in folder.iterdir():
        if path.name != "card.json":
            path.unlink()


def another_task(folder: Path, part: str) -> None:
    task = json.loads((folder / "card.json").read_text(encoding="utf-8"))["task"]
    edited(folder, task="genre" if task != "genre" else "composer")


def a_torn_card(folder: Path, part: str) -> None:
    text = (folder / "card.json").read_text(encoding="utf-8")
    (folder / "card.json").write_text(text[: len(text) // 2], encoding="utf-8")


def no_card(folder: Path, part: str) -> None:
    (folder / "card.json").unlink()


DAMAGES: dict[Callable[[Path, str], None], str] = {
    a_byte_changed: "was changed",
    cut: "its card says",
    cut_and_put_right: "cannot",
    other_contents: "",
    a_part_missing: "is missing",
    a_pickle_beside: "model.pkl",
    another_format: "format 99",
    parts_of_another_recipe: "",
    another_task: "",
    a_torn_card: "card.json cannot be read",
    no_card: "",
}


def damaged(task: str, damage: Callable[[Path, str], None], folder: Path) -> Path:
    shutil.copytree(find_model(task), folder)
    damage(folder, PARTS[task])
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("inputs")
    (place / "x.mid").write_bytes(midi(scale() * 20))
    (place / "x.wav").write_bytes(encoded(beat(4.0)))
    return {"composer": place / "x.mid", "genre": place / "x.wav", "compose": place / "x.mid"}


@pytest.mark.parametrize("task", PARTS)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_the_command_and_the_library_say_what_is_wrong(
    damage: Callable[[Path, str], None], task: str, inputs: dict[str, Path], tmp_path: Path
) -> None:
    folder = damaged(task, damage, tmp_path / "model")
    kind = "no-model" if damage is no_card else "bad-model"
    with pytest.raises(FugatoError) as caught:
        if task == "composer":
            fugato.identify(inputs[task], model=folder)
        elif task == "genre":
            fugato.genre(inputs[task], model=folder)
        else:
            fugato.compose(bars=2, model=str(folder))
    assert caught.value.kind == kind and DAMAGES[damage] in caught.value.message, caught.value
    earlier = tmp_path / "answers.jsonl"
    earlier.write_text('{"input": "precious"}\n')
    commands = {
        "composer": ["identify", str(inputs[task]), "--out", str(earlier), "--overwrite", "--model", str(folder)],
        "genre": ["genre", str(inputs[task]), "--out", str(earlier), "--overwrite", "--model", str(folder)],
        "compose": ["compose", "--bars", "2", "--out", str(tmp_path / "new"), "--model", str(folder)],
    }
    done = CliRunner().invoke(app, commands[task])
    assert done.exit_code == 2 and DAMAGES[damage] in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "fault of Fugato" not in done.stderr and done.stdout == ""
    assert not (tmp_path / "new").exists(), "a folder that nothing came into is not left behind"
    assert earlier.read_text() == '{"input": "precious"}\n' and not list(tmp_path.glob("new/*"))


def test_the_list_of_models_goes_on_past_damaged_ones(fugato_home: Path) -> None:
    for damage in (another_format, a_torn_card, a_byte_changed):
        damaged("genre", damage, fugato_home / "models" / damage.__name__)
    done = CliRunner().invoke(app, ["models", "--json"])
    listed = {entry["name"]: entry for entry in map(json.loads, done.stdout.splitlines())}
    assert done.exit_code == 0 and {"another_format", "a_torn_card", "a_byte_changed"} <= listed.keys()
    assert "composer" in listed and "format 99" in json.dumps(listed["another_format"])


def test_the_server_says_it_too_and_goes_on(inputs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the server needs the extra serve")
    httpx = pytest.importorskip("httpx", reason="the server needs the extra serve")
    from .api_server import sent, serving

    for damage in DAMAGES:
        damaged("composer", damage, tmp_path / "home" / "models" / damage.__name__)
    with (
        serving(tmp_path / "home", workers=1) as running,
        httpx.Client(base_url=running.address, timeout=120, trust_env=False) as client,
    ):
        for damage in DAMAGES:
            asked = {"files": sent(inputs["composer"]), "data": {"model": damage.__name__}}
            response = client.post("/api/identify", **asked)
            said = response.json()
            kind, message = said["kind"], said["detail"]
            assert kind == ("no-model" if damage is no_card else "bad-model"), (damage.__name__, said)
            assert 400 <= response.status_code < 500 and (DAMAGES[damage] in message or damage is no_card)
            assert "Traceback" not in response.text
        assert client.post("/api/identify", files=sent(inputs["composer"])).json()[0]["ranking"]
        listed = {entry["name"]: entry for entry in client.get("/api/models").json()}
        assert listed["a_torn_card"]["error"]["kind"] == "bad-model" and "composer" in listed
        assert running.process.poll() is None
