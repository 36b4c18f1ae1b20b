"""Training by two processes that share the work, and a search by two processes that share its storage: a journal file, PostgreSQL."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="tuning needs the extra train")
pytest.importorskip("lightning", reason="training needs the extra train")

from fugato.models import load_model

from .music_styles import write_collection

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="two processes by gloo and sockets are POSIX"),
]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
PATIENCE = 900
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three composers with six pieces each."""
    return write_collection(tmp_path_factory.mktemp("music"), range(6))


@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_two_processes_train_one_model(launcher: str, music: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if launcher == "torchrun" else []
    command = [sys.executable, *start, "-m", "fugato", "train", "composer", str(music), "--recipe", "lstm"]
    command += ["--epochs", "2", "--devices", "2", "--out", str(out)]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("the model is in") == 1 and len(done.stdout.splitlines()) == 1, done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"], "what was kept while training is gone"
    model = load_model(out)
    history = json.loads((out / "history.json").read_text())
    assert set(model.labels) == {"Bach", "Chopin", "Joplin"} and len(history) >= 1


def test_two_processes_train_one_model_that_composes(music: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    command = [sys.executable, "-m", "fugato", "train", "compose", str(music), "--devices", "2", "--out", str(out)]
    for setting in ("units=64", "layers=1", "head_units=32", "batch_size=2", "epochs=2", "min_works=3"):
        command += ["--set", setting]
    done = subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("the model is in") == 1, done.stderr
    assert load_model(out).card.task == "compose" and [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "search.journal")


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server that this fixture starts and ends; it listens on a socket alone."""
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg2", reason="PostgreSQL needs psycopg2")
    as_owner: dict[str, Any] = {}
    place = Path(tempfile.mkdtemp(prefix="fugato-pg-", dir="/tmp"))
    if os.geteuid() == 0:  # the server refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(place, owner.pw_uid, owner.pw_gid)
        as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": place, **as_owner}
    data, binaries = place / "data", POSTGRES[-1]
    subprocess.run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "fugato"], check=True, **quiet)
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", place, "-c", "listen_addresses=", "-c", "fsync=off"], **quiet
    )
    try:
        ready = [str(binaries / "pg_isready"), "-h", str(place), "-U", "fugato"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, check=False, **quiet).returncode and time.monotonic() < deadline:
            time.sleep(0.2)
        yield f"postgresql+psycopg2://fugato@/postgres?host={place}"
    finally:
        server.send_signal(signal.SIGINT)  # at once, whoever is still connected
        server.wait(timeout=60)
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("kept", ["journal", "postgres"])
def test_two_processes_search_together(kept: str, music: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = request.getfixturevalue(kept)
    command = [sys.executable, "-m", "fugato", "tune", "composer", str(music), "--recipe", "lstm", "--epochs", "1"]
    command += ["--trials", "6", "--storage", storage]
    both = [
        subprocess.Popen(
            [*command, "--out", str(tmp_path / name)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        for name in ("one", "other")
    ]
    said = [process.communicate(timeout=PATIENCE)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    where = optuna.storages.JournalStorage(JournalFileBackend(storage)) if kept == "journal" else storage
    (name,) = optuna.get_all_study_names(where)
    trials = optuna.load_study(study_name=name, storage=where).trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    ended = [trial for trial in trials if trial.state.is_finished()]
    assert 6 <= len(ended) <= 7, "the two know of each other's trials"
    assert len({json.dumps(trial.params, sort_keys=True) for trial in ended}) == len(ended), "no values are tried twice"
    assert (tmp_path / "one" / "tuned.json").exists() and (tmp_path / "other" / "tuned.json").exists()
