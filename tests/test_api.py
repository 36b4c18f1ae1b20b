"""The API answers what the command line answers: every route on real files."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import wave
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
httpx = pytest.importorskip("httpx", reason="the server needs the extra serve")

import fugato  # noqa: E402
from fugato.errors import KINDS, FugatoError  # noqa: E402
from fugato.serve import Client  # noqa: E402
from fugato.serve.schemas import Answer, Refusal  # noqa: E402

from .api_server import Served, example_file, http, sent, served  # noqa: E402, F401
from .sound_files import tone  # noqa: E402

CHORALE, MAZURKA, RAG = (example_file(n) for n in ("bach-bwv66-6", "chopin-mazurka06-2", "joplin-maple-leaf-rag"))


def without_time(answer: dict) -> dict:
    return {key: value for key, value in answer.items() if key not in ("elapsed", "input")}


@pytest.fixture(scope="module")
def recording(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    path = tmp_path_factory.mktemp("sound") / "rag.wav"
    with Client(served.address) as client:
        path.write_bytes(client.example("joplin-maple-leaf-rag-played"))
    return path


def test_it_is_well(http: httpx.Client) -> None:  # noqa: F811
    limits = {"files": 64, "map_files": 400, "bytes": 256_000_000}
    assert http.get("/health").json() == {"status": "ok", "version": fugato.__version__, "limits": limits}


def test_the_answers_are_those_of_the_library(http: httpx.Client, tmp_path: Path) -> None:  # noqa: F811
    nothing = tmp_path / "nothing.mid"
    nothing.write_bytes(b"MThd")
    response = http.post("/api/identify", files=sent(MAZURKA, nothing, RAG), data={"explain": "true", "top": "3"})
    first, refused, last = response.json()
    assert without_time(first) == without_time(fugato.identify(MAZURKA, explain=True, top=3).to_dict())
    assert [first["input"], refused["input"], last["input"]] == [MAZURKA.name, "nothing.mid", RAG.name]
    assert refused["error"]["kind"] in KINDS and str(tmp_path) not in refused["error"]["message"]
    assert last["name"] == "Joplin" and last["evidence"]["bars"]


def test_candidates_and_wrong_ones(http: httpx.Client) -> None:  # noqa: F811
    (answer,) = http.post("/api/identify", files=sent(CHORALE), data={"candidates": "Haydn, Mozart"}).json()
    assert {guess["name"] for guess in answer["ranking"]} == {"Haydn", "Mozart"}
    response = http.post("/api/identify", files=sent(CHORALE), data={"candidates": "Haydn,Nobody"})
    assert response.status_code == 400 and response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["kind"] == "bad-option" and "Nobody" in said["detail"] and said["status"] == 400


def test_a_model_is_named_and_no_folder(http: httpx.Client) -> None:  # noqa: F811
    from fugato.models import find_model

    for name in ("nowhere", str(find_model("composer"))):
        response = http.post("/api/identify", files=sent(CHORALE), data={"model": name})
        assert response.status_code in (404, 422) and response.json()["kind"] in ("no-model", "bad-option")


def test_compare_and_map(http: httpx.Client, tmp_path: Path) -> None:  # noqa: F811
    found = http.post("/api/compare", files=sent(MAZURKA, RAG)).json()
    assert found == {**fugato.compare(MAZURKA, RAG).to_dict(), "inputs": [MAZURKA.name, RAG.name]}
    assert http.post("/api/compare", files=sent(MAZURKA)).status_code == 400
    bad = tmp_path / "bad.krn"
    bad.write_bytes(b"nothing")
    drawn = http.post("/api/map", files=sent(MAZURKA, bad, RAG, CHORALE)).json()
    assert [p["input"] for p in drawn["points"]] == [MAZURKA.name, RAG.name, CHORALE.name]
    assert all(-1 <= p[axis] <= 1 for p in drawn["points"] for axis in "xy")
    assert drawn["points"][0]["name"] == "Chopin" and [e["input"] for e in drawn["left_out"]] == ["bad.krn"]
    assert http.post("/api/map", files=sent(MAZURKA, bad, RAG)).json()["kind"] == "bad-data"


def test_notes_for_a_roll(http: httpx.Client) -> None:  # noqa: F811
    found = http.post("/api/notes", files=sent(MAZURKA)).json()
    score = fugato.read(MAZURKA)
    assert len(found["notes"]) == len(found["beats"]) == len(score) and len(found["bars"]) == len(score.bars)
    assert found["notes"][5] == [
        round(float(score.notes["onset_seconds"][5]), 4), round(float(score.notes["duration_seconds"][5]), 4),
        int(score.notes["pitch"][5]), int(score.notes["velocity"][5]), int(score.notes["part"][5]),
    ]  # fmt: skip
    assert found["notated"] and found["seconds"] == pytest.approx(score.seconds, abs=1e-3)
    refused = http.post("/api/notes", files=[("files", ("tune.abc", b"no tune"))])
    assert refused.status_code == 422 and refused.json()["input"] == "tune.abc"


def test_conversions_are_read_back(http: httpx.Client, tmp_path: Path) -> None:  # noqa: F811
    score = fugato.read(CHORALE)
    for form in ("mid", "musicxml"):
        response = http.post(f"/api/convert?to={form}", files=sent(CHORALE))
        assert f'filename="{CHORALE.stem}.{form}"' in response.headers["content-disposition"]
        back = fugato.read(response.content, name=f"x.{form}")
        assert sorted(back.notes["pitch"]) == sorted(score.notes["pitch"])
    picture = http.post("/api/convert?to=png", files=sent(CHORALE))
    assert picture.content.startswith(b"\x89PNG") and picture.headers["content-type"] == "image/png"
    assert http.post("/api/convert?to=exe", files=sent(CHORALE)).status_code == 422


def test_a_recording(http: httpx.Client, recording: Path) -> None:  # noqa: F811
    with wave.open(str(recording)) as file:
        seconds = file.getnframes() / file.getframerate()
    (answer,) = http.post("/api/genre", files=sent(recording), data={"top": "2"}).json()
    assert without_time(answer) == without_time(fugato.genre(recording, top=2).to_dict())
    seen = http.post("/api/sound", files=sent(recording)).json()
    assert seen["seconds"] == pytest.approx(seconds, abs=0.01)
    low, high, rate = (seen["waveform"][key] for key in ("min", "max", "rate"))
    assert len(low) == len(high) <= 2000 and len(low) / rate == pytest.approx(seconds, rel=0.02)
    assert min(low) >= -1.1 and max(high) <= 1.1 and max(high) > 0.1
    assert base64.b64decode(seen["mel"]["png"].partition(",")[2]).startswith(b"\x89PNG")
    assert seen["mel"]["low_hz"] < 100 and seen["mel"]["high_hz"] > 5000


def test_a_tone_has_its_band(http: httpx.Client, tmp_path: Path) -> None:  # noqa: F811
    import io

    import soundfile
    from matplotlib.image import imread

    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1000.0), 22_050)
    seen = http.post("/api/sound", files=sent(path)).json()
    picture = imread(io.BytesIO(base64.b64decode(seen["mel"]["png"].partition(",")[2])))[..., :3].sum(axis=2)
    row = int(picture.mean(axis=1).argmax())
    assert 60 < row < 110  # 1 kHz: a third of the mel scale up, counted from the top of 128 rows
    (refused,) = http.post("/api/genre", files=[("files", ("x.mp3", b"ID3 nothing"))]).json()
    assert refused["input"] == "x.mp3" and refused["error"]["kind"] in KINDS


def test_what_there_is(http: httpx.Client) -> None:  # noqa: F811
    cards = http.get("/api/models").json()
    assert {"composer", "genre", "compose"} <= {card["task"] for card in cards}
    assert http.get("/api/models/composer").json()["labels"]["Chopin"] > 100
    assert http.get("/api/models/..%2F..%2Fetc").status_code == 404
    assert http.get("/api/models/nowhere").json()["kind"] == "no-model"
    table = http.get("/api/composers").json()
    chopin = next(c for c in table["composers"] if c["name"] == "Chopin")
    assert chopin["known"] and chopin["style"] and chopin["years"] == "1810–1849" and chopin["seeds"] >= 1
    assert "Chopin" in table["styles"] and "Baroque" in table["periods"]
    listed = http.get("/api/examples").json()
    assert len(listed) >= 15 and {e["kind"] for e in listed} == {"score", "recording"}
    for found in listed:
        if found["kind"] == "score":
            assert len(fugato.read(http.get(found["url"]).content, name=found["file"])) > 20
    assert http.get("/api/examples/nothing").status_code == 404
    soundfont = http.get("/api/soundfont")  # this server was told to use none
    assert soundfont.status_code == 204 and not soundfont.content


def test_the_document_describes_every_route(http: httpx.Client) -> None:  # noqa: F811
    document = http.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            assert about["description"] and "Problem" in json.dumps(about["responses"]), f"{method} {path}"
    assert {"/api/identify", "/api/genre", "/api/compose", "/api/compose/stream", "/api/compare", "/api/models"} <= set(
        document["paths"]
    )
    assert document["components"]["schemas"]["Answer"]["examples"][0]["name"] == "Chopin"
    page = http.get("/docs").text
    assert "http://" not in page and "https://" not in page and "onclick" not in page


def test_the_page_and_the_api_come_from_one_place(http: httpx.Client) -> None:  # noqa: F811
    page = http.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "unsafe-eval'" in policy
    assert "'unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
    for name in ("x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "x-frame-options"):
        assert name in page.headers
    assert http.get("/health").headers["content-security-policy"] == policy
    assert http.get("/static/../api.py").status_code == 404
    assert http.get("/static/%2e%2e/api.py").status_code == 404


def test_the_client_gives_objects(served: Served, tmp_path: Path) -> None:  # noqa: F811
    nothing = tmp_path / "nothing.mid"
    nothing.write_bytes(b"")
    with Client(served.address) as client:
        assert client.health().status == "ok"
        answer, refused = client.identify(MAZURKA, nothing, candidates=["Chopin", "Liszt"])
        assert isinstance(answer, Answer) and answer.name == "Chopin" and len(answer.ranking) == 2
        assert isinstance(refused, Refusal) and refused.error.kind == "empty"
        assert client.compare(MAZURKA, MAZURKA).same_work
        assert len(client.notes(MAZURKA).notes) == len(fugato.read(MAZURKA))
        assert client.convert(MAZURKA, "mid").startswith(b"MThd")
        assert any(found.seed for found in client.examples()) and client.composers().styles and client.models()
        with pytest.raises(FugatoError) as caught:
            client.notes(nothing)
        assert caught.value.kind == "empty" and caught.value.input == "nothing.mid"
        with pytest.raises(FugatoError):
            client.notes(tmp_path / "not-there.mid")
    with pytest.raises(FugatoError):
        Client("http://127.0.0.1:9").health()


def test_the_command_serves(tmp_path: Path) -> None:
    environment = {"FUGATO_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fugato", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    address = line.split()[3]
    port = address.rstrip("/").rpartition(":")[2]
    taken = [sys.executable, "-m", "fugato", "serve", "--port", port]
    second = subprocess.run(taken, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert second.returncode == 2 and "Another program listens there" in second.stderr
    process.terminate()
    process.communicate(timeout=20)
    assert not list((tmp_path / "serve").glob("run-*"))


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--host", "0.0.0.0", "--token", "short"]])
def test_other_machines_only_with_a_token(options: list[str], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from fugato.cli.app import app

    result = CliRunner().invoke(app, ["serve", *options])
    assert result.exit_code == 2 and "token" in result.stderr.lower()
