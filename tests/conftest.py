"""Tests that need the shared collections, minutes or the internet are marked so, and skipped by name where those are not at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def corpora_folder() -> Path | None:
    """Where the shared collections are unpacked: FUGATO_CORPORA, or ~/.cache/fugato/corpora; None without them."""
    folder = Path(os.environ.get("FUGATO_CORPORA") or Path.home() / ".cache" / "fugato" / "corpora")
    return folder if (folder / "index.csv").is_file() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {
        "corpora": None if corpora_folder() else "the shared corpora are not unpacked (FUGATO_CORPORA)",
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
        pytest.skip("the shared corpora are not unpacked (FUGATO_CORPORA)")
    return folder


@pytest.fixture
def fugato_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty FUGATO_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FUGATO_HOME", str(folder))
    return folder
