"""What stands before the API: who may ask, how much and how many at once; and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server needs the extra serve")
httpx = pytest.importorskip("httpx", reason="the server needs the extra serve")

from fugato.errors import KINDS, FugatoError  # noqa: E402
from fugato.serve import Client, Settings  # noqa: E402
from fugato.serve.folder import WorkFolder, suffix_of, sweep  # noqa: E402

from .api_server import Served, example_file, hostile, http, sent, served, serving, start, wait_for  # noqa: E402, F401

TOKEN = "a-token-for-tests"
CHORALE = example_file("bach-bwv66-6")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a token and small limits."""
    limits = {
        "files": 3,
        "request_bytes": 200_000,
        "requests": 2,
        "workers": 1,
        "map_files": 4,
        "names": ("fugato.example",),
    }
    with serving(tmp_path_factory.mktemp("strict"), token=TOKEN, **limits) as running:
        yield running


@pytest.fixture
def asked(strict: Served) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=strict.address, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/health", "/", "/docs", "/openapi.json", "/api/models", "/static/index.html", "/nothing"]
)
def test_every_route_asks_for_the_token(strict: Served, path: str) -> None:
    response = httpx.get(strict.address + path)
    assert response.status_code == 401 and response.headers["www-authenticate"].startswith("Bearer")
    wrong = httpx.get(strict.address + path, headers={"Authorization": f"Bearer {TOKEN}x"})
    assert wrong.status_code == 401 and TOKEN not in wrong.text


def test_the_page_is_opened_with_the_token_once(strict: Served) -> None:
    with httpx.Client(base_url=strict.address) as browser:
        assert browser.get("/?token=wrong-token-it-is").status_code == 401
        response = browser.get(f"/?token={TOKEN}")
        assert response.status_code == 303 and response.headers["location"] == "/"
        cookie = response.headers["set-cookie"]
        assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and TOKEN not in cookie
        assert browser.get("/health").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "10.1.2.3", "a b", "[::1", "evil.example:80@localhost"]
)
def test_names_that_are_not_the_servers_are_refused(asked: httpx.Client, host: str) -> None:
    response = asked.get("/health", headers={"Host": host})
    assert response.status_code in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "LOCALHOST:99", "[::1]:8000", "fugato.example"])
def test_its_own_names_are_not(asked: httpx.Client, host: str) -> None:
    assert asked.get("/health", headers={"Host": host}).status_code == 200


def test_pages_of_others_may_not_ask(asked: httpx.Client) -> None:
    host = asked.base_url.netloc.decode()
    for origin in ("http://evil.example", "null", f"http://{host}.evil.example", "http://localhost:1", "file://"):
        assert asked.get("/api/models", headers={"Origin": origin}).status_code == 403, origin
        assert asked.post("/api/identify", files=sent(CHORALE), headers={"Origin": origin}).status_code == 403, origin
    assert asked.get("/api/models", headers={"Origin": f"http://{host}"}).status_code == 200
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert asked.get("/api/models", headers=foreign).status_code == 403
    assert asked.get("/api/compose/stream", headers={**foreign, "Sec-Fetch-Mode": "navigate"}).status_code == 403
    assert asked.get("/", headers={**foreign, "Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_settings_that_open_the_server_to_others_need_a_token() -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "somewhere.example"):
        with pytest.raises(FugatoError, match="token"):
            Settings(host=host)
    with pytest.raises(FugatoError):
        Settings(token="short")
    wide = Settings(host="0.0.0.0", token=TOKEN)
    assert wide.allows("192.168.1.5") and not wide.allows("evil.example")
    assert all(Settings(host=host).is_loopback for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))


def test_limits_on_bytes_and_files(asked: httpx.Client) -> None:
    many = asked.post("/api/identify", files=[("files", (f"{i}.mid", b"x")) for i in range(4)])
    assert many.status_code == 413 and many.json()["kind"] == "too-large" and "1 to 3" in many.json()["detail"]
    placed = [("files", (f"{i}.mid", b"x")) for i in range(5)]
    assert asked.post("/api/map", files=placed).status_code == 413
    assert (
        asked.post("/api/map", files=placed[:4]).json()["kind"] == "bad-data"
    )  # more than three may be sent; these are no music
    large = asked.post("/api/identify", files=[("files", ("x.mid", b"x" * 300_000))])
    assert large.status_code == 413 and large.json()["kind"] == "too-large"

    def chunks() -> Iterator[bytes]:  # a body that does not say how long it is
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.mid"\r\n\r\n'
        for _ in range(40):
            yield b"x" * 10_000

    response = asked.post(
        "/api/identify", content=chunks(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert response.status_code == 413
    assert asked.post("/api/identify").status_code == 422
    assert (
        asked.post("/api/identify", content=b"nothing", headers={"Content-Type": "multipart/form-data"}).status_code
        < 500
    )


def test_too_many_at_once_come_again(strict: Served, asked: httpx.Client) -> None:
    port = int(strict.address.rpartition(":")[2])
    head = f"POST /api/identify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    try:
        for connection in slow:
            connection.sendall(head.encode())  # and never the body

        def refused() -> bool:
            response = asked.post("/api/identify", files=sent(CHORALE))
            return response.status_code == 429 and int(response.headers["retry-after"]) >= 1

        assert wait_for(refused)
        assert asked.get("/health").status_code == 200
    finally:
        for connection in slow:
            connection.close()
    assert wait_for(lambda: asked.post("/api/identify", files=sent(CHORALE)).status_code == 200)


def test_the_client_waits_while_the_server_is_busy(strict: Served) -> None:
    found = []

    def ask() -> None:
        with Client(strict.address, token=TOKEN) as client:
            found.append(client.identify(CHORALE)[0])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [answer.name for answer in found] == ["Bach"] * 6


def long_midi(notes: int = 90_000) -> bytes:
    """A file on which identifying takes seconds."""
    import numpy as np

    from fugato.score import Score
    from fugato.write.midi import midi_bytes

    rng = np.random.default_rng(0)
    return midi_bytes(Score.from_notes(np.arange(notes) / 4, np.full(notes, 0.5), rng.integers(30, 90, notes)))


def test_the_work_stops_when_the_client_goes_away(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1, writers=1) as running:
        httpx.post(running.address + "/api/identify", files=sent(CHORALE), timeout=60)
        assert wait_for(lambda: len(running.children()) == 2)  # one that answers, one that composes
        before = running.children()
        data = long_midi()
        for patience in (0.7, 3.0, 10.0):  # on a busy machine the work has to have begun
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(
                    running.address + "/api/identify",
                    files=[("files", (f"{i}.mid", data)) for i in range(20)],
                    timeout=httpx.Timeout(30, read=patience),
                )
            if wait_for(lambda: before - running.children() != set(), 5 * patience):  # the worker was ended
                break
        else:
            pytest.fail("the worker goes on")
        assert wait_for(lambda: not running.files()), running.files()  # and its files are gone
        started = time.perf_counter()
        answer = httpx.post(running.address + "/api/identify", files=sent(CHORALE), timeout=60).json()
        assert (
            answer[0]["name"] == "Bach" and time.perf_counter() - started < 20
        )  # twenty of those files would take minutes


def test_a_file_that_takes_too_long_is_refused_and_the_next_one_answered(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1, writers=1, answer_seconds=1.5) as running, Client(running.address) as client:
        path = tmp_path / "long.mid"
        path.write_bytes(long_midi(299_000))
        refused = client.identify(path)[0]
        assert refused.error.kind == "timeout" and refused.input == "long.mid"
        assert client.identify(CHORALE)[0].name == "Bach"


def test_a_worker_that_gets_no_processor_has_its_time_all_the_same(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1, writers=1, answer_seconds=3.0) as running, Client(running.address) as client:
        client.identify(CHORALE)
        for pid in running.children():
            os.kill(pid, signal.SIGSTOP)
        go_on = threading.Timer(4.0, lambda: [os.kill(pid, signal.SIGCONT) for pid in running.children()])
        go_on.start()
        answer = client.identify(CHORALE)[0]
        go_on.join()
        assert getattr(answer, "name", None) == "Bach", answer


def test_nothing_is_written_outside_its_folder_and_nothing_left_in_it(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {"HOME": str(elsewhere), "TMPDIR": str(elsewhere), "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    with serving(home, environment, writers=1) as running:
        with httpx.Client(base_url=running.address, timeout=120) as client:
            assert client.post("/api/convert?to=png", files=sent(CHORALE)).status_code == 200
            assert client.post("/api/convert?to=wav", files=sent(CHORALE)).status_code == 200
            big = [("files", (f"{i}.wav", b"RIFF" + bytes(2_000_000))) for i in range(3)]
            assert all("error" in a for a in client.post("/api/genre", files=big).json())
            abc = b"X:1\nT:a\nL:1/4\nM:4/4\nK:C\n" + b"CDEF|GABc|" * 20
            (answer,) = client.post("/api/identify", files=[("files", ("a.abc", abc))]).json()
            assert answer.get("task") == "composer", answer
        assert wait_for(lambda: not running.files())
        assert stat.S_IMODE(running.folder.stat().st_mode) == 0o700
    assert not list(elsewhere.rglob("*")), list(elsewhere.rglob("*"))
    assert [p.name for p in (home / "serve").iterdir()] == ["matplotlib"]


def test_a_crash_leaves_nothing_that_the_next_start_does_not_remove(tmp_path: Path) -> None:
    crashed = start(tmp_path, workers=1, writers=1)
    data = long_midi()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            crashed.address + "/api/identify",
            files=[("files", (f"{i}.mid", data)) for i in range(30)],
            timeout=httpx.Timeout(30, read=0.3),
        )
    children = crashed.children()
    crashed.stop(signal.SIGKILL)
    assert list(crashed.folder.glob("run-*"))

    def alive(pid: int) -> bool:
        return Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]

    assert wait_for(lambda: not any(alive(pid) for pid in children))  # workers do not outlive it
    with serving(tmp_path, workers=1, writers=1) as running:
        assert len(list(running.folder.glob("run-*"))) == 1 and not running.files()
    assert not list(running.folder.glob("run-*"))


def test_folders_of_others_that_run_are_left_alone(tmp_path: Path) -> None:
    one, other = WorkFolder(tmp_path / "serve"), WorkFolder(tmp_path / "serve")
    assert one.run.is_dir() and sweep(tmp_path / "serve") == 0
    (tmp_path / "serve" / "run-left").mkdir()
    (tmp_path / "serve" / "run-link").symlink_to(tmp_path)
    assert sweep(tmp_path / "serve") == 1 and tmp_path.is_dir() and one.run.is_dir()
    one.close(), other.close()
    assert not one.run.exists() and not other.run.exists()
    unwritable = tmp_path / "file"
    unwritable.write_text("")
    with pytest.raises(FugatoError, match="folder"):
        WorkFolder(unwritable / "serve")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.mid", ".mid"),
        ("A.MXL", ".mxl"),
        ("../../x.krn", ".krn"),
        ("a.b/c", ""),
        ("a.mid\0", ""),
        ("x." + "a" * 99, ""),
        ("", ""),
    ],
)
def test_of_a_name_only_a_plain_suffix_is_used(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "a" * 5000 + ".mid", "nul\u0000.mid", "ü 音.mid", '"; rm -rf.mid']
)
def test_names_of_uploads_do_no_harm(http: httpx.Client, name: str) -> None:  # noqa: F811
    response = http.post("/api/identify", files=[("files", (name, CHORALE.read_bytes()))])
    if len(name) > 4000:
        assert response.status_code == 400  # more than a header may hold
    else:
        assert response.status_code == 200 and response.json()[0].get("name", "Bach") == "Bach"


def test_hostile_uploads_leave_it_running(http: httpx.Client, served: Served) -> None:  # noqa: F811
    for route, suffix in (("identify", "mid"), ("genre", "wav")):
        files = [("files", (f"{i}.{suffix}", data)) for i, data in enumerate(hostile(20, random_seed=5))]
        answers = http.post(f"/api/{route}", files=files).json()
        assert len(answers) == 20
        for answer in answers:
            assert "ranking" in answer or answer["error"]["kind"] in KINDS
    for data in hostile(3, random_seed=6):
        for route in ("notes", "sound", "convert?to=mid", "convert?to=wav"):
            response = http.post(f"/api/{route}", files=[("files", ("x.mid", data))])
            assert response.status_code < 500, response.text
    assert http.get("/health").status_code == 200 and served.process.poll() is None
    assert wait_for(lambda: not [f for f in served.files() if "/uploads/" in f])


def test_the_server_ends_its_workers(tmp_path: Path) -> None:
    running = start(tmp_path, workers=2, writers=1)
    httpx.post(running.address + "/api/identify", files=sent(CHORALE), timeout=60)
    children = running.children()
    said = running.stop(signal.SIGTERM)
    assert children and "Traceback" not in said
    assert wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children))
