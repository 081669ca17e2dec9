"""The service over a real socket: every answer is the tagger's."""

import re
from concurrent.futures import ThreadPoolExecutor
from math import inf
from pathlib import Path

import pytest
import torch

from chaincrf.crf import LinearChain
from chaincrf.tagging import Constraint
from chaincrf.tagging.trellis import trellis

httpx = pytest.importorskip("httpx")
jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytestmark = pytest.mark.slow

TEXTS = [
    "Bob Ray left Oslo.",
    "She went to New York. Ann saw Rome.",
    "",
    "  \t\n ",
    "🙂 Ann\u200d saw 𝕏 in New York 👩‍👩‍👧. שלום Bob Ray مرحبا.",
    "\x00Ann\x07 left\r\nRome \x1b[31m",
    "Ann " * 300,
    "e\u0301clair Zoë",
]


@pytest.fixture(scope="module")
def client(server):
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def same(found, wanted):
    """Equal, but for the last digits of probabilities: they depend on what is computed together."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted:
            same(found[key], wanted[key])
    elif isinstance(wanted, (list, tuple)):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            same(one, other)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, abs=1e-5)
    else:
        assert found == wanted


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("options", [{}, {"threshold": 0.9}, {"probabilities": False}], ids=str)
def test_answers_are_the_taggers(client, names, text, options):
    found = client.post("/v1/tag", json={"text": text} | options)
    assert found.status_code == 200
    (result,) = found.json()["results"]
    same(result, names.tag(text, **options).to_json())
    for span in result["spans"]:
        assert result["text"][span["start"] : span["end"]] == span["text"]


def test_many_texts_tokens_k_best_and_constraints(client, names, pos):
    texts = ["Bob Ray left Oslo.", ["Ann", "saw", "New", "York"], "Rome"]
    known = {"text": 1, "start": 2, "end": 3, "label": "LOC", "unit": "tokens"}
    body = {"texts": texts, "k_best": 3, "constraints": [known, {"start": 0, "end": 3, "kind": "outside"}]}
    results = client.post("/v1/tag", json=body).json()["results"]
    own = [[Constraint(0, 3, kind="outside")], [Constraint(2, 3, "LOC", unit="tokens")], []]
    for text, constraints, result in zip(texts, own, results, strict=True):
        paths = result.pop("k_best")
        same(result, names.tag(text, constraints=constraints).to_json())
        for path, wanted in zip(paths, names.k_best(text, 3, constraints=constraints), strict=True):
            assert path["tags"] == list(wanted.tags)
            assert path["probability"] == pytest.approx(wanted.probability, abs=1e-5)
            assert [span["text"] for span in path["spans"]] == [span.text for span in wanted.spans]
    result = client.post("/v1/tag", json={"text": "Ann left.", "model": "pos"}).json()["results"][0]
    same(result, pos.tag("Ann left.").to_json())


def test_everybody_gets_their_own_answer(client, names):
    """Many at once: what is computed together is not mixed up."""
    texts = [
        f"{name} left {place} {n}."
        for n, name in enumerate(["Ann", "Bob Ray"] * 20)
        for place in ("Oslo", "Rome")
    ]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda text: client.post("/v1/tag", json={"text": text}).json(), texts))
    for text, answer in zip(texts, answers, strict=True):
        same(answer["results"][0], names.tag(text).to_json())
    sizes = re.search(
        r'chaincrf_batch_texts_bucket\{le="1.0",model="names"\} (\S+)', client.get("/metrics").text
    )
    count = re.search(r'chaincrf_batch_texts_count\{model="names"\} (\S+)', client.get("/metrics").text)
    assert float(sizes[1]) < float(count[1]), "some were batched"


def test_explain_is_the_taggers_chain(client, names):
    text = "She went to New York. Bob Ray left Oslo."
    found = client.post("/v1/explain", json={"text": text, "sentence": 1, "k_best": 3}).json()
    tagged = names.tag(text).sentences[1]
    assert found["tokens"] == list(tagged.tokens)
    assert found["offsets"] == [list(place) for place in tagged.offsets]
    assert [text[start:end] for start, end in found["sentences"]] == [
        "She went to New York.",
        "Bob Ray left Oslo.",
    ]
    assert tuple(found["tags"][tag] for tag in found["best"][0]["tags"]) == tagged.tags
    assert found["best"][0]["probability"] == pytest.approx(tagged.probability, abs=1e-5)
    marginals = [row[tag] for row, tag in zip(found["marginals"], found["best"][0]["tags"], strict=True)]
    assert marginals == pytest.approx(tagged.token_probabilities, abs=1e-5)
    paths = names.k_best(list(tagged.tokens), 3)
    assert [path["probability"] for path in found["best"]] == pytest.approx(
        [p.probability for p in paths], abs=1e-5
    )
    for row, move in zip(found["transitions"], found["legal"], strict=True):
        assert all((score is None) == (not legal) for score, legal in zip(row, move, strict=True))


def test_explain_with_tags_forced(client):
    body = {"text": "Bob left Oslo.", "allowed": [{"token": 0, "tags": ["O"]}]}
    found = client.post("/v1/explain", json=body).json()
    assert found["best"][0]["tags"][0] == found["tags"].index("O")
    assert sum(found["allowed"][0]) == 1
    body["allowed"] = [{"token": 0, "tags": ["I-PER"]}]  # which cannot begin a sentence
    found = client.post("/v1/explain", json=body).json()
    assert (found["best"], found["log_partition"]) == ([], None)


def test_models_health_and_metrics(client, names):
    models = client.get("/v1/models").json()
    assert [model["name"] for model in models] == ["names", "pos", "many"]
    assert client.get("/v1/model").json() == models[0]
    assert client.get("/v1/model", params={"name": "pos"}).json() == models[1]
    assert models[0]["tags"] == list(names.bundle.vocabulary.tags)
    assert (models[0]["labels"], models[1]["scheme"]) == (["LOC", "PER"], None)
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.post("/v1/tag", json={"text": TEXTS[0]}).status_code == 200  # so that there is a batch
    metrics = client.get("/metrics").text
    for name in (
        "requests_total",
        "request_seconds_bucket",
        "batch_texts_count",
        "queue_texts",
        "tokens_total",
    ):
        assert f"chaincrf_{name}" in metrics
    assert 'chaincrf_queue_texts{model="names"} 0.0' in metrics


def test_without_spans(client, names):
    options = {"threshold": 0.1, "k_best": 2}
    whole = client.post("/v1/tag", json={"text": TEXTS[1]} | options).json()["results"]
    bare = client.post("/v1/tag", json={"text": TEXTS[1], "spans": False} | options).json()["results"]
    for tagged in (*whole, *whole[0]["k_best"]):
        assert tagged.pop("spans")
    same(bare, whole)
    assert bare[0]["tags"] == list(names.tag(TEXTS[1], threshold=0.1).tags)


def test_openapi_has_examples_that_work(client):
    api = client.get("/openapi.json").json()
    for path, schema in (("/v1/tag", "TagRequest"), ("/v1/explain", "ExplainRequest")):
        for example in api["components"]["schemas"][schema]["examples"]:
            assert client.post(path, json=example).status_code == 200
        assert {"401", "413", "422", "503"} <= set(api["paths"][path]["post"]["responses"])
    assert "securitySchemes" not in api["components"]


def test_openapi_has_an_example_of_every_answer(client):
    api = client.get("/openapi.json").json()
    answers = [
        content
        for path in api["paths"].values()
        for operation in path.values()
        for answer in operation["responses"].values()
        for content in answer["content"].values()
    ]
    assert len(answers) > 30
    for content in answers:
        schema = content.get("schema", {}) | {"components": api["components"]}
        jsonschema.validate(content["example"], schema)


def test_the_trellis_of_the_documentation_is_one():
    from chaincrf.serve.examples import EXPLAINED, TAGGED

    def tensor(name):
        scores = [[-inf if one is None else one for one in row] for row in rows(EXPLAINED[name])]
        return torch.tensor(scores, dtype=torch.float64)

    def rows(value):
        return value if isinstance(value[0], list) else [value]

    start, end = tensor("start_transitions")[0], tensor("end_transitions")[0]
    found = trellis(LinearChain(tensor("emissions")[None], tensor("transitions"), start, end))
    assert found.log_partition == pytest.approx(EXPLAINED["log_partition"], abs=1e-4)
    assert found.marginals.tolist() == [pytest.approx(row, abs=1e-4) for row in EXPLAINED["marginals"]]
    assert [list(edge) for edge in found.edges] == [pytest.approx(e, abs=1e-4) for e in EXPLAINED["edges"]]
    (best,) = EXPLAINED["best"]
    assert (list(found.best[0].tags), found.broken) == (best["tags"], tuple(EXPLAINED["broken"]))
    assert found.best[0].probability == pytest.approx(best["probability"], abs=1e-4)
    (tagged,) = TAGGED["results"]
    assert tagged["tags"] == [EXPLAINED["tags"][tag] for tag in best["tags"]]


def test_what_the_documentation_asks(client):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "serve.md").read_text(encoding="utf-8")
    asked = re.findall(r"curl localhost:8000(\S+) .*-d '(.*)'", page)
    assert len(asked) == 3
    for path, body in asked:
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text


def test_answers_keep_to_their_schema(client):
    from chaincrf.serve.schemas import ExplainResponse, TagResponse

    for options in ({}, {"probabilities": False}, {"k_best": 2}):
        answer = client.post("/v1/tag", json={"text": TEXTS[4]} | options).json()
        TagResponse.model_validate(answer)
    ExplainResponse.model_validate(client.post("/v1/explain", json={"text": "Ann."}).json())


def test_the_page_is_sent_under_a_strict_policy(client):
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|style=|\son\w+=|https?://", page.text)
    for file in re.findall(r'(?:src|href)="(/page/[^"]+)"', page.text):
        assert client.get(file).status_code == 200
    assert client.get("/page/../settings.py").status_code == 404
    assert client.get("/page/%2e%2e/settings.py").status_code == 404


def test_the_log_has_no_text(client, server):
    def named(name: str) -> dict[str, dict[str, str]]:
        return {"headers": {"x-request-id": name}}

    client.post("/v1/tag", json={"text": "Xyzzy secretly left Oslo"}, **named("first"))
    client.post("/v1/tag", json={"text": "Xyzzy", "nothing": "Xyzzy"}, **named("second"))
    client.post("/v1/tag", content=b'{"text": "Xyzzy', **named("third"))
    client.get("/Xyzzy", **named("fourth"))
    lines = [server.wait_for("request", request=name) for name in ("first", "second", "third", "fourth")]
    assert "Xyzzy" not in "".join(server.lines)
    assert [line["status"] for line in lines] == [200, 422, 422, 404]
    own = lines[0]
    assert (own["texts"], own["tokens"], own["model"]) == (1, 4, "names")


def test_what_is_compiled_is_so_before_the_first_request(names, monkeypatch):
    """The kernel for scores far apart is used by few sentences: the first of them must not wait for it."""
    numba_cpu = pytest.importorskip("chaincrf.crf.kernels.numba_cpu")
    models = pytest.importorskip("chaincrf.serve.models")
    solve, used = numba_cpu._solve, set()

    def noted(kernel, *rest):
        used.add(kernel)
        return solve(kernel, *rest)

    monkeypatch.setattr(numba_cpu, "_solve", noted)
    models._warm_up(names)
    assert used == {numba_cpu.forward_backward, numba_cpu.viterbi_, numba_cpu.log_space}
