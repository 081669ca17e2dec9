"""Tagging on Ray: on one machine, on a cluster of which a node is killed, and again after a stop."""

import json
import time
from pathlib import Path
from threading import Thread

import pytest

from chaincrf import Tagger
from chaincrf.errors import ArgumentError, DataError
from chaincrf.tagging.files import FileTagger, Job
from chaincrf.tagging.scale import MANIFEST, tag_shards
from tagging.models import random_bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]
LINES = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    Tagger(random_bundle()).save(folder)
    return folder


def write_shards(folder: Path, number: int, lines: int = LINES) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{i:03}.txt" for i in range(number)]
    for i, path in enumerate(paths):
        path.write_text("".join(f"Ann saw Rome {i} {line}.\n" for line in range(lines)))
    return paths


def check(model: Path, shards: list[Path], output: Path, manifest: dict) -> None:
    """Each text of each shard was tagged once, as one process alone would."""
    tagger = FileTagger(Tagger.load(model), Job())
    assert sorted(path.name for path in output.iterdir()) == sorted(
        [".shards", MANIFEST, *(f"{path.stem}.jsonl" for path in shards)]
    )
    for path in shards:
        alone = output.parent / "alone.jsonl"
        tagger.tag(path, alone)
        ours = [json.loads(line)["text"] for line in (output / f"{path.stem}.jsonl").read_text().splitlines()]
        assert ours == [json.loads(line)["text"] for line in alone.read_text().splitlines()]
        assert ours == path.read_text().splitlines()
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
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_killed_node_loses_and_doubles_nothing(model, tmp_path, cluster):
    shards = write_shards(tmp_path / "in", 16, lines=3000)
    output = tmp_path / "out"
    killed = []

    def kill() -> None:
        deadline = time.monotonic() + 300
        while not list((output / ".shards").glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        cluster.remove_node(sorted(cluster.worker_nodes, key=str)[-1], allow_graceful=False)
        killed.append(len(list((output / ".shards").glob("*.json"))))

    thread = Thread(target=kill)
    thread.start()
    manifest = tag_shards(model, shards, output, Job(probabilities=False), workers=2)
    thread.join()
    assert killed
    assert 1 <= killed[0] < 16  # it fell while there was work
    check(model, shards, output, manifest)
    # started again, after one output was lost and one input changed: those two alone are done anew
    (output / "003.jsonl").unlink()
    shards[5].write_text("Ann.\n")
    before = {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")}
    manifest = tag_shards(model, shards, output, Job(probabilities=False), workers=1)
    check(model, shards, output, manifest)
    after = {path.name: path.stat().st_mtime_ns for path in output.glob("*.jsonl")}
    assert {name for name in after if before.get(name) != after[name]} == {"003.jsonl", "005.jsonl"}
    # a shard that cannot be read is named
    shards[0].write_bytes(b"\xff\n")
    with pytest.raises(DataError, match=r"000\.txt:1:1: expected UTF-8"):
        tag_shards(model, shards, output, Job(), workers=1)


def test_arguments(model, tmp_path):
    with pytest.raises(DataError, match="found none"):
        tag_shards(model, [], tmp_path, Job())
    with pytest.raises(ArgumentError, match="workers"):
        tag_shards(model, [tmp_path / "a"], tmp_path, Job(), workers=0)
