"""Tagging on Ray: on one machine, on a cluster of which a node is killed, and again after a stop."""

import json
import os
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import pytest

from chaincrf import Tagger
from chaincrf.errors import ArgumentError, DataError
from chaincrf.tagging import scale
from chaincrf.tagging.files import FileTagger, Job
from chaincrf.tagging.scale import MANIFEST, ShardTagger, tag_shards
from tagging.models import random_bundle

JOB = Job(probabilities=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    Tagger(random_bundle()).save(folder)
    return folder


def write_shards(folder: Path, number: int, lines: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{i:03}.txt" for i in range(number)]
    for i, path in enumerate(paths):
        path.write_text("".join(f"Ann saw Rome {i} {line}.\n" for line in range(lines)))
    return paths


def check(model: Path, shards: list[Path], output: Path, manifest: dict) -> None:
    """Each text of each shard was tagged once, as one process alone would."""
    tagger = FileTagger(Tagger.load(model), JOB)
    assert sorted(path.name for path in output.iterdir()) == sorted(
        [".shards", MANIFEST, *(f"{path.stem}.jsonl" for path in shards)]
    )
    assert sorted(path.name for path in (output / ".shards").iterdir()) == [
        f"{path.stem}.jsonl.json" for path in shards
    ]
    for path in shards:
        alone = output.parent / "alone.jsonl"
        tagger.tag(path, alone)
        ours = [json.loads(line) for line in (output / f"{path.stem}.jsonl").read_text().splitlines()]
        assert [row["text"] for row in ours] == path.read_text().splitlines()
        assert ours == [json.loads(line) for line in alone.read_text().splitlines()]
    assert manifest == json.loads((output / MANIFEST).read_text())
    assert manifest["total"]["texts"] == sum(len(path.read_text().splitlines()) for path in shards)
    assert [shard["input"] for shard in manifest["shards"]] == [str(path) for path in shards]


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
    ray = pytest.importorskip("ray")
    utils = pytest.importorskip("ray.cluster_utils")
    cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    data = pytest.importorskip("ray.data")
    data.DataContext.get_current().wait_for_min_actors_s = 600  # both workers, however busy the machine
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def here(monkeypatch):
    """One worker, in this process."""

    def run(model, places, job, *_):
        worker = ShardTagger(str(model), asdict(job))
        for source, place in places.items():
            worker({"source": str(source), "place": str(place)})

    monkeypatch.setattr(scale, "_run", run)


def in_the_middle(monkeypatch, of, happens):
    """Let something happen, once, when a shard is half tagged."""
    tag, events = FileTagger.tag, [happens]

    def disturbed(self, source, destination):
        return tag(self, source, destination, on_text=lambda: source == of and events and events.pop()())

    monkeypatch.setattr(FileTagger, "tag", disturbed)


def test_a_run_killed_in_the_middle_of_a_shard_leaves_nothing_behind(model, tmp_path, here, monkeypatch):
    shards, output, killed = write_shards(tmp_path / "in", 3, lines=4), tmp_path / "out", tmp_path / "killed"
    in_the_middle(monkeypatch, shards[1], lambda: shutil.copytree(output, killed))
    check(model, shards, output, tag_shards(model, shards, output, JOB))
    left = [path for path in killed.rglob("*") if path.is_file()]
    assert len(left) == 3  # an output, its record, and half an output
    mine = killed / ".001.jsonl.original"
    mine.write_text("years of work")
    manifest = tag_shards(model, shards, killed, JOB)
    assert mine.read_text() == "years of work"
    mine.unlink()
    check(model, shards, killed, manifest)


def test_a_worker_thought_dead_goes_on_in_vain(model, tmp_path, here, monkeypatch):
    shards, output = write_shards(tmp_path / "in", 3, lines=4), tmp_path / "out"
    manifests = []
    in_the_middle(monkeypatch, shards[1], lambda: manifests.append(tag_shards(model, shards, output, JOB)))
    manifests.append(tag_shards(model, shards, output, JOB))
    for manifest in manifests:
        check(model, shards, output, manifest)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default")
def test_a_killed_node_loses_and_doubles_nothing(model, tmp_path, cluster):
    shards = write_shards(tmp_path / "in", 12, lines=300)
    output = tmp_path / "out"
    job = replace(JOB, batch_tokens=1)  # slowly
    killed = []

    def kill() -> None:
        deadline = time.monotonic() + 600
        while not list((output / ".shards").glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        cluster.remove_node(sorted(cluster.worker_nodes, key=str)[-1], allow_graceful=False)
        killed.append(len(list((output / ".shards").glob("*.json"))))

    thread = Thread(target=kill)
    thread.start()
    manifest = tag_shards(model, shards, output, job, workers=2)
    thread.join()
    assert killed
    assert 1 <= killed[0] < 12  # it fell while there was work
    check(model, shards, output, manifest)
    # started again, after one output was lost and two inputs changed: those alone are done anew, and a shard
    # that cannot be read is named
    (output / "003.jsonl").unlink()
    shards[5].write_text("Ann.\n")
    whole, times = shards[0].read_bytes(), shards[0].stat()
    shards[0].write_bytes(b"\xff\n")
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")}
    with pytest.raises(DataError, match=r"000\.txt:1:1: expected UTF-8"):
        tag_shards(model, shards, output, job, workers=1)
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")}
    assert {name for name in after if before.get(name) != after[name]} == {"003.jsonl", "005.jsonl"}
    # and when it is as it was, nothing is left to do
    shards[0].write_bytes(whole)
    os.utime(shards[0], ns=(times.st_atime_ns, times.st_mtime_ns))
    check(model, shards, output, tag_shards(model, shards, output, job, workers=1))
    assert after == {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")}


def test_arguments(model, tmp_path):
    with pytest.raises(DataError, match="found none"):
        tag_shards(model, [], tmp_path, Job())
    with pytest.raises(ArgumentError, match="workers"):
        tag_shards(model, [tmp_path / "a"], tmp_path, Job(), workers=0)
