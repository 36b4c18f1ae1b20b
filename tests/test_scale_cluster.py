"""Batches and workers: what is lost, slow, deadly or unfit, by a client that does as it is told; and a real cluster in this process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fugato.errors import FugatoError
from fugato.scale.asking import answers, featurise_shards, read_chunks
from fugato.scale.cluster import Done, connected, outcomes
from fugato.scale.shards import Shards, read_manifest
from fugato.scale.work import Input, Outcome, Task, card_digest, check, do

dask = pytest.importorskip("dask", reason="needs the extra scale")
pytest.importorskip("distributed", reason="needs the extra scale")


class KilledWorker(Exception):
    """As Dask names a task under which several workers died."""


class Future:
    """Ends when its function has been called, if ever."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._calls: list[Callable[[Any], None]] = []
        self.value: Any = None

    def end(self, value: Any) -> None:
        self.value = value
        self._ended.set()
        for call in self._calls:
            call(self)

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        self._calls.append(call)
        if self._ended.is_set():
            call(self)

    def result(self, timeout: float | None = None) -> Any:
        if not self._ended.wait(timeout):
            raise TimeoutError
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value

    def release(self) -> None:
        pass


class Cluster:
    """Two workers, "a" and "b"; `fate` says what becomes of a batch on a worker: a value, an exception, or None for never."""

    def __init__(self, fate: Callable[[str, Sequence[Input]], Any], silent: Sequence[str] = ()) -> None:
        self.fate, self.silent, self.status = fate, silent, "running"
        self.sent: list[tuple[str, list[str]]] = []
        self._keys: dict[str, list[str]] = {"a": [], "b": []}
        self._turn = 0

    def wait_for_workers(self, number: int, timeout: float) -> None:
        pass

    def submit(self, function: Any, task: Task, inputs: Sequence[Input] = (), **options: Any) -> Future:
        future = Future()
        workers = options["workers"] or ["a", "b"]
        worker = workers[self._turn % len(workers)]
        self._turn += 1
        self.sent.append((worker, [given.name for given in inputs]))
        self._keys[worker].append(options["key"])
        value = self.fate(worker, inputs)
        if value is not None:
            threading.Timer(0.01, future.end, [value]).start()
        return future

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        seen = {name: 0.0 if name in self.silent else time.time() for name in self._keys}
        return {"workers": {name: {"nthreads": 1, "last_seen": sign} for name, sign in seen.items()}}

    def processing(self, workers: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {worker: tuple(self._keys[worker]) for worker in workers}

    def cancel(self, futures: Any, asynchronous: bool) -> None:
        pass


INPUTS = [Input(f"{n}.mid", f"/music/{n}.mid") for n in range(12)]
TASK = Task("identify")


def well(worker: str, inputs: Sequence[Input]) -> list[Outcome]:
    return [Outcome(given.name, "", None, (b"{}",)) for given in inputs]


def run(cluster: Cluster, **options: Any) -> list[Done]:
    with dask.config.set({"fugato.silent": "0.4s", "fugato.lost": "2s"}):
        return list(outcomes(cluster, TASK, INPUTS, **{"batch": 3, **options}))


def names(done: Sequence[Done]) -> list[str]:
    return sorted(one.outcome.name for one in done)


ALL = sorted(given.name for given in INPUTS)


def test_every_input_once_in_batches_and_in_order_where_asked() -> None:
    cluster = Cluster(well)
    assert names(run(cluster)) == ALL and [len(sent) for _, sent in cluster.sent] == [3, 3, 3, 3]
    assert [d.outcome.name for d in run(Cluster(well), in_order=True)] == [given.name for given in INPUTS]
    assert len(Cluster(well).sent) == 0 and not run(Cluster(well), batch=None)[0].outcome.error


def test_what_a_silent_worker_holds_is_done_by_another() -> None:
    cluster = Cluster(lambda worker, inputs: None if worker == "a" else well(worker, inputs), silent=["a"])
    done = run(cluster)
    assert names(done) == ALL
    assert {d.attempt for d in done} == {1, 2}
    assert all(worker == "b" for worker, sent in cluster.sent[-1:])


def test_a_copy_that_comes_late_is_not_taken_twice() -> None:
    futures: list[Future] = []

    class Late(Cluster):
        def submit(self, function: Any, task: Task, inputs: Sequence[Input] = (), **options: Any) -> Future:
            future = super().submit(function, task, inputs, **options)
            if function is do and self.sent[-1][0] == "a":
                futures.append(future)
                threading.Timer(1.2, future.end, [well("a", inputs)]).start()  # after the other worker
            return future

    done = run(Late(lambda worker, inputs: None if worker == "a" else well(worker, inputs), silent=["a"]))
    assert names(done) == ALL and futures


def test_an_input_that_kills_workers_is_named_and_alone_in_it() -> None:
    def deadly(worker: str, inputs: Sequence[Input]) -> Any:
        return KilledWorker("died") if any(g.name == "7.mid" for g in inputs) else well(worker, inputs)

    done = run(Cluster(deadly), in_order=True)
    assert names(done) == ALL
    (failed,) = [d for d in done if d.outcome.error]
    assert failed.outcome.name == "7.mid" and failed.outcome.error[0] == "corrupt"  # type: ignore[index]
    assert json.loads(failed.outcome.body[0])["input"] == "7.mid"


def test_a_result_that_is_lost_is_asked_for_again() -> None:
    once: set[str] = set()

    def lost(worker: str, inputs: Sequence[Input]) -> Any:
        first = inputs[0].name not in once
        once.add(inputs[0].name)
        return TimeoutError() if first else well(worker, inputs)

    done = run(Cluster(lost))
    assert names(done) == ALL and {d.attempt for d in done} == {2}


def test_a_worker_that_is_not_fit_ends_the_run() -> None:
    for trouble, kind in (
        (FugatoError("bad-model", "Another model."), "bad-model"),
        (ModuleNotFoundError("No module named 'fugato'"), "bad-option"),
    ):
        with pytest.raises(FugatoError) as caught:
            run(Cluster(lambda worker, inputs, trouble=trouble: trouble))  # type: ignore[misc]
        assert caught.value.kind == kind


def test_a_scheduler_that_goes_and_workers_that_all_go_end_the_run() -> None:
    def closing(worker: str, inputs: Sequence[Input]) -> Any:
        cluster.status = "closed"
        return RuntimeError("cancelled")

    cluster = Cluster(closing)
    with pytest.raises(FugatoError, match="--resume") as caught:
        run(cluster)
    assert caught.value.kind == "timeout"
    with pytest.raises(FugatoError, match="No worker") as caught:
        run(Cluster(lambda worker, inputs: None, silent=["a", "b"]))
    assert caught.value.kind == "timeout"


def test_another_version_or_model_is_refused_by_the_worker() -> None:
    with pytest.raises(FugatoError, match="same version") as caught:
        check(Task("identify", version="0.0.1"))
    assert caught.value.kind == "bad-option"
    with pytest.raises(FugatoError, match="another model") as caught:
        check(Task("identify", models={"composer": "0" * 64}))
    assert caught.value.kind == "bad-model"
    assert check(Task("identify", models={"composer": card_digest("composer")}))


def test_nobody_at_an_address_is_said() -> None:
    with dask.config.set({"fugato.connect": "1s"}):
        for address in ("tcp://127.0.0.1:9", "nonsense://x"):
            with pytest.raises(FugatoError) as caught, connected(address):
                pass
            assert caught.value.kind == "bad-option" and caught.value.input == address


# -- a real one --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers, all in threads of this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_answers_what_this_process_answers(
    scheduler: str, styled_folder: Path, small_model: Path, tmp_path: Path
) -> None:
    from fugato.composer import identify_many

    (tmp_path / "broken.mid").write_bytes(b"MThd")
    paths = [*sorted(map(str, styled_folder.rglob("*.mid")))[::3], str(tmp_path / "broken.mid")]

    def plain(found: Any) -> list[dict[str, Any]]:
        return sorted(({**a, "elapsed": 0} for a in found), key=lambda a: a["input"])

    there = plain(answers("identify", paths, scheduler=scheduler, model=small_model, top=2))
    assert there == plain(identify_many(paths, model=small_model, top=2, jobs=1))
    assert sum("error" in a for a in there) == 1


def test_featurise_on_a_cluster_is_the_table_of_this_process_whole_or_in_shards(
    scheduler: str, styled_folder: Path, tmp_path: Path
) -> None:
    from pyarrow import parquet

    from fugato.corpus import load_corpus
    from fugato.study.featurise import featurise

    corpus = load_corpus(styled_folder)[:9]
    here = featurise(corpus, tmp_path / "here.parquet", size=20, jobs=1)
    there = featurise(
        corpus, tmp_path / "there.parquet", size=20, reads=read_chunks(corpus, scheduler=scheduler, size=20)
    )
    table = parquet.read_table(here.path)
    assert parquet.read_table(there.path).equals(table) and here.composers == there.composers
    asked = {"task": "featurise", "level": "chunk", "size": 20}
    with Shards(tmp_path / "run", asked) as shards:
        featurise_shards(corpus[:4], shards, size=20, scheduler=scheduler)
    with Shards(tmp_path / "run", asked, resume=True) as shards:
        assert featurise_shards(corpus, shards, size=20, scheduler=scheduler) == (9, 0)
    assert sorted(row["input"] for row in read_manifest(tmp_path / "run")) == sorted(corpus.ids)
    keys = [("piece", "ascending"), ("part", "ascending"), ("chunk", "ascending")]
    sharded = parquet.read_table(tmp_path / "run" / "rows")
    assert sharded.sort_by(keys).equals(table.sort_by(keys))
