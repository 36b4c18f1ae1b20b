"""Tests that need the shared collections, minutes or the internet are marked so, and skipped by name where those are not at hand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

UNPACK = Path(__file__).resolve().parents[2] / "shared" / "data" / "unpack.py"
NO_CORPORA = (
    f"the shared corpora are not at hand: neither FUGATO_CORPORA nor {UNPACK.name} beside the repository gives them"
)


@cache
def corpora_folder() -> Path | None:
    """Where the shared collections lie: FUGATO_CORPORA, ~/.cache/fugato/corpora, or unpacked now by ../shared/data/unpack.py."""
    folder = Path(os.environ.get("FUGATO_CORPORA") or Path.home() / ".cache" / "fugato" / "corpora")
    if not (folder / "index.csv").is_file() and UNPACK.is_file():
        done = subprocess.run([sys.executable, str(UNPACK)], capture_output=True, text=True, check=False)
        folder = Path(done.stdout.strip()) if done.returncode == 0 else folder
    return folder if (folder / "index.csv").is_file() else None


def pytest_configure() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:  # workers fill the cores; threads of theirs would only wait for each other
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so in jobs that a script started in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanted = any(item.get_closest_marker("corpora") for item in items)
    reasons = {
        "corpora": NO_CORPORA if wanted and corpora_folder() is None else None,
        "slow": None if os.environ.get("FUGATO_LONG") else "slow: set FUGATO_LONG=1 or run make test-long",
        "network": None if os.environ.get("FUGATO_NETWORK") else "needs the internet: set FUGATO_NETWORK=1",
    }
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of the shared collections, with its index.csv."""
    folder = corpora_folder()
    if folder is None:
        pytest.skip(NO_CORPORA)
    return folder


@pytest.fixture
def fugato_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty FUGATO_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FUGATO_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def styled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of twelve invented pieces in the manner of each of three composers."""
    from .music_styles import write_collection

    return write_collection(tmp_path_factory.mktemp("collection"), range(12))


@pytest.fixture(scope="session")
def small_model(styled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder trained on it."""
    pytest.importorskip("scipy", reason="training needs the extra train")
    from fugato.train import train

    home = tmp_path_factory.mktemp("home")
    before = os.environ.get("FUGATO_HOME")
    os.environ["FUGATO_HOME"] = str(home)
    try:
        return train("composer", styled_folder, out=home / "small", jobs=1)
    finally:
        if before is None:
            del os.environ["FUGATO_HOME"]
        else:
            os.environ["FUGATO_HOME"] = before


@pytest.fixture(scope="session")
def small_composer(styled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that composes, hardly trained: its music is nearly random, so that everything rests on the grammar and the guards."""
    pytest.importorskip("torch", reason="training needs the extra train")
    from fugato.train.compose import train_compose

    home = tmp_path_factory.mktemp("composer")
    settings = {"units": 64, "layers": 1, "head_units": 32, "batch_size": 2, "epochs": 3, "min_works": 3}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUGATO_HOME", str(home / "home"))
        return train_compose(styled_folder, out=home / "small", jobs=1, **settings)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: more would only wait for one another."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
