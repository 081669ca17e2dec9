"""The exported graph against PyTorch, run as its users do: without either package."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chaincrf.data import get_corpus, read_corpus
from chaincrf.data.batching import encode_tokens
from chaincrf.data.shapes import word_shape
from chaincrf.errors import ModelError
from chaincrf.tagging import Bundle, Calibration, onnx_runner
from chaincrf.tagging.export import export_onnx
from chaincrf.tagging.onnx_runner import OnnxTagger
from tagging.models import WORDS, random_bundle

HEADS = [("crf", True, "cnn"), ("crf", False, "lstm"), ("softmax", True, "cnn"), ("softmax", False, "cnn")]


def compare(bundle: Bundle, runner: OnnxTagger, sentences: list[list[str]], temperature: float = 1.0) -> None:
    """Paths equal unless two scores lie within 1e-4; scores and marginals within rounding."""
    results = runner.tag(sentences)
    full = [i for i, tokens in enumerate(sentences) if tokens]
    batch = encode_tokens([sentences[i] for i in full], bundle.vocabulary).batch(np.arange(len(full)))
    with torch.no_grad():
        chain = bundle.model.head.chain(bundle.model.emissions(**batch.inputs), batch.mask, constrained=True)
        chain = chain.scaled(1 / temperature)
        tags, scores = chain.viterbi()
        log_z, marginals = chain.log_partition(), chain.marginals()
        _, best, count = chain.k_best(2)
    for n, i in enumerate(full):
        length = len(sentences[i])
        assert results[i].score == pytest.approx(float(scores[n]), abs=1e-3, rel=1e-5)
        assert results[i].log_partition == pytest.approx(float(log_z[n]), abs=1e-3, rel=1e-5)
        np.testing.assert_allclose(results[i].marginals, marginals[n, :length], atol=2e-4)
        if count[n] == 1 or best[n, 0] - best[n, 1] > 1e-4:
            assert results[i].tags == [bundle.vocabulary.tags[tag] for tag in tags[n, :length].tolist()]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("head", "constrained", "chars"), HEADS)
def test_small_models(tmp_path, head, constrained, chars):
    pytest.importorskip("onnxruntime")
    bundle = random_bundle(head=head, constrained=constrained, chars=chars)
    config = bundle.config.model_copy(update={"calibration": Calibration(temperature=1.7)})
    export_onnx(Bundle(bundle.model, bundle.vocabulary, config), tmp_path / "onnx")
    runner = OnnxTagger(tmp_path / "onnx")
    generator = np.random.default_rng(0)
    for lengths in ([1], [3, 0, 1], [7, 2, 5, 5], [130, 1]):
        sentences = [generator.choice([*WORDS, "Unknown", "x" * 60], size=n).tolist() for n in lengths]
        compare(bundle, runner, sentences, temperature=1.7)
    assert runner.tag([[]])[0].tags == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_every_sentence_of_the_built_in_corpus(tmp_path):
    pytest.importorskip("onnxruntime")
    from chaincrf.training import Recipe, train

    splits = get_corpus("ncbi-disease").splits
    data = read_corpus(splits["train"])
    small = type(data)(data.sentences[:300], data.report)
    tagger, _ = train(small, small, Recipe(epochs=1, hidden=32, device="cpu"))
    export_onnx(tagger.bundle, tmp_path / "onnx", int8=True)
    runner = OnnxTagger(tmp_path / "onnx")
    sentences = [list(sentence.tokens) for sentence in read_corpus(splits["test"]).sentences]
    for first in range(0, len(sentences), 64):
        compare(tagger.bundle, runner, sentences[first : first + 64])
    quantised = OnnxTagger(tmp_path / "onnx", "model.int8.onnx").tag(sentences[:64])
    exact = runner.tag(sentences[:64])
    same = [
        a == b for x, y in zip(quantised, exact, strict=True) for a, b in zip(x.tags, y.tags, strict=True)
    ]
    assert np.mean(same) > 0.97


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_folder_runs_without_chaincrf_and_torch(tmp_path):
    pytest.importorskip("onnxruntime")
    bundle = random_bundle()
    export_onnx(bundle, tmp_path / "onnx")
    block = "import sys; sys.modules['torch'] = sys.modules['chaincrf'] = None; sys.argv = ['run.py']; "
    code = block + f"import runpy; runpy.run_path({str(tmp_path / 'onnx' / 'run.py')!r}, run_name='__main__')"
    result = subprocess.run(
        [sys.executable, "-c", code], input="Ann saw Rome\n\n", capture_output=True, text=True, check=True
    )
    tags = OnnxTagger(tmp_path / "onnx").tag([["Ann", "saw", "Rome"]])[0].tags
    assert result.stdout == " ".join(map("/".join, zip(["Ann", "saw", "Rome"], tags, strict=True))) + "\n\n"
    (tmp_path / "onnx" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"found notes\.txt"):
        export_onnx(bundle, tmp_path / "onnx")


@given(st.text(min_size=1, max_size=60).filter(str.strip))
def test_the_runner_reads_words_as_the_package_does(token):
    assert onnx_runner.word_shape(token) == word_shape(token)
    bundle = random_bundle()
    runner = OnnxTagger.__new__(OnnxTagger)
    content = bundle.vocabulary.to_json()
    runner._words = {word: i for i, word in enumerate(content["words"], start=2)}
    runner._chars = {char: i for i, char in enumerate(content["chars"], start=2)}
    runner._inputs = {"words", "chars", "shapes", "types", "lengths"}
    ours = runner.encode([[token, "Ann"]])
    batch = encode_tokens([[token, "Ann"]], bundle.vocabulary).batch(np.array([0]))
    assert (ours["words"][0] == batch.words[0].numpy()).all()
    for i in range(2):
        row, own = ours["chars"][ours["types"][0, i]], batch.chars[batch.types[0, i]].numpy()
        assert (row == own).all()
