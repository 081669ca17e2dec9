"""The commands as users call them: their output, their exit status; some in a process of their own."""

import json
import re
import signal

import pytest

from chaincrf import __version__
from chaincrf.labels import REPAIRS
from corpora import piece, toy_file

from .commands import SMALL, run, run_process, start


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    toy_file(path / "toy.tsv")
    toy = path / "toy.tsv"
    run_process("train", "--train", toy, "--dev", toy, "--out", path / "model", *SMALL)
    return path


def test_version_and_help():
    assert run("--version")[0] == run_process("--version")[0] == f"chaincrf {__version__}\n"
    commands = ("train", "eval", "tag", "compare")
    for command in (
        *commands,
        "corpus list",
        "corpus export",
        "corpus convert",
        "vectors convert",
        "recipe show",
    ):
        text = run(*command.split(), "--help")[0]
        assert f"chaincrf {command}" in " ".join(text.split()), "an example"
    assert "Commands" in run("--help")[0]


def test_train_says_what_it_read_and_did(folder, tmp_path):
    out, err = run(
        "train", "--train", folder / "toy.tsv", "--test", folder / "toy.tsv", "--out", tmp_path / "m", *SMALL
    )
    assert "toy.tsv: 20 sentences, 120 tokens, 40 spans (LOC 24, PER 16)" in err
    assert "guessed" in err
    assert "the last 2 sentences of the training data serve" in err
    assert "epoch   1  loss" in err
    assert "kept epoch" in err
    assert "all (conlleval)" in out
    assert f"next: chaincrf tag {tmp_path / 'm'}" in out


def test_train_json(folder, tmp_path):
    out, _ = run(
        "train", "--train", folder / "toy.tsv", "--dev", folder / "toy.tsv", "--test", folder / "toy.tsv",
        "--out", tmp_path / "m", "--json", *SMALL,
    )  # fmt: skip
    result = json.loads(out)
    assert result["dev_score"] == result["test"]["spans"]["conlleval"]["f1"] == 1


def test_options_and_toml_are_the_same_fields(folder, tmp_path):
    (tmp_path / "c.toml").write_text(
        f'train = "{folder / "toy.tsv"}"\n'
        'hidden = 7\nepochs = 1\nvectors = "none"\nword_dim = 9\ndevice = "cpu"\n'
        "freeze_vectors = true\n"
    )
    run("train", "--config", tmp_path / "c.toml", "--word-dim", 11, "--out", tmp_path / "m")
    recipe = json.loads((tmp_path / "m" / "config.json").read_text())["training"]["recipe"]
    assert (recipe["hidden"], recipe["word_dim"], recipe["epochs"]) == (7, 11, 1)
    assert recipe["freeze_vectors"]
    again = ("--config", tmp_path / "c.toml", "--no-freeze-vectors", "--out", tmp_path / "n")
    run("train", *again)
    recipe = json.loads((tmp_path / "n" / "config.json").read_text())["training"]["recipe"]
    assert not recipe["freeze_vectors"]


def test_eval(folder):
    out, _ = run("eval", folder / "model", folder / "toy.tsv")
    assert "PER" in out
    assert "accuracy 100.00" in out
    result = json.loads(run("eval", folder / "model", folder / "toy.tsv", "--json")[0])
    assert {name: score["f1"] for name, score in result["spans"].items()} == dict.fromkeys(REPAIRS, 1.0)
    assert result["per_label"]["LOC"]["gold"] == 24
    assert result["invalid_sentences"] == 0


def test_tag_text_json_and_columns(folder):
    text = "She went to New York.\nBob Ray left Oslo.\n"
    out, _ = run_process("tag", folder / "model", stdin=text)
    assert out.splitlines() == ["She went to [New York]LOC.", "[Bob Ray]PER left [Oslo]LOC."]
    lines = [json.loads(line) for line in run("tag", folder / "model", "--json", stdin=text)[0].splitlines()]
    assert [span["text"] for span in lines[1]["spans"]] == ["Bob Ray", "Oslo"]
    columns, _ = run("tag", folder / "model", "--output-format", "conll", stdin="Ann left\n")
    assert re.fullmatch(r"Ann\tS-\w+\nleft\tO\n\n", columns)
    tagged, _ = run("tag", folder / "model", folder / "toy.tsv", "--input-format", "conll")
    assert tagged.splitlines()[1] == "She went to [New York]LOC ."


def test_tag_stops_when_its_reader_does(folder, tmp_path):
    (tmp_path / "long.txt").write_text("Bob Ray left Oslo .\n" * 20_000)
    with start("tag", folder / "model", tmp_path / "long.txt") as process:
        assert process.stdout.readline() == "[Bob Ray]PER left [Oslo]LOC .\n"
        process.stdout.close()
        assert process.wait(200) == 1
        assert process.stderr.read() == ""


def test_compare_writes_a_report(folder, tmp_path):
    toy = folder / "toy.tsv"
    out, err = run(
        "compare", "--train", toy, "--dev", toy, "--test", toy, "--seeds", 1, "--out", tmp_path / "r",
        *SMALL, "--epochs", 2,
    )  # fmt: skip
    assert "softmax" in out
    assert "run 1 of 3" in err
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert [variant["name"] for variant in report["variants"]] == [
        "softmax",
        "softmax-constrained",
        "crf",
        "crf-constrained",
    ]
    assert (tmp_path / "r" / "report.html").read_text().lower().startswith("<!doctype html>")
    assert run("tag", tmp_path / "r" / "model", stdin="Ann\n")[0]
    assert report["command"].startswith("chaincrf compare --train")
    assert all(variant["runs"][0]["peak_memory"] > 10**7 for variant in report["variants"])
    _, err = run(
        "compare", "--train", toy, "--dev", toy, "--test", toy, "--seeds", 1, "--out", tmp_path / "r",
        *SMALL, "--epochs", 2,
    )  # fmt: skip
    assert "run 1 of" not in err  # all are done


def test_compare_predicts_from_the_data_alone(folder):
    out, _ = run("compare", "--predict", "--train", folder / "toy.tsv")
    assert "tokens to which the constraints leave one tag" in out
    assert "no measurement" in out
    found = json.loads(run("compare", "--predict", "--train", folder / "toy.tsv", "--json")[0])
    assert 0 <= found["strictly_dominated"] <= 1


def test_compare_against_an_old_model_is_a_gate(folder, tmp_path):
    toy = folder / "toy.tsv"
    run(
        "train", "--train", toy, "--dev", toy, "--out", tmp_path / "poor", *SMALL, "--epochs", 1,
        "--learning-rate", 0.0001,
    )  # fmt: skip
    poor = tmp_path / "poor"
    out, _ = run("compare", "--against", folder / "model", "--model", poor, "--test", toy, status=1)
    assert "significantly worse" in out
    out, _ = run("compare", "--against", poor, "--model", folder / "model", "--test", toy, "--json")
    assert json.loads(out)["worse"] is False
    _, err = run("compare", "--against", poor, "--test", toy, status=2)
    assert "--against and --model: expected as many of one as of the other" in err


def test_pos_with_the_same_commands(tmp_path):
    sentences = piece("ewt-pos", "dev", 40).sentences
    file = tmp_path / "pos.tsv"
    file.write_text(
        "\n".join("".join(f"{t}\t{g}\n" for t, g in zip(s.tokens, s.tags, strict=True)) for s in sentences)
    )
    run("train", "--task", "pos", "--train", file, "--dev", file, "--out", tmp_path / "m", *SMALL)
    out, _ = run("eval", tmp_path / "m", file)
    assert "NOUN" in out
    assert "forbids" not in out
    assert re.search(r"the/DET", run("tag", tmp_path / "m", stdin="the house\n")[0])


def test_corpus(tmp_path):
    names = {corpus["name"] for corpus in json.loads(run("corpus", "list", "--json")[0])}
    assert names == {"ncbi-disease", "ewt-pos"}
    assert "public domain" in run("corpus", "list")[0]
    run("corpus", "export", "ewt-pos", tmp_path / "pos")
    assert {path.name for path in (tmp_path / "pos").iterdir()} >= {"train.conllu", "LICENSE"}
    _, err = run("corpus", "export", "ewt-pos", tmp_path / "pos", status=1)
    assert "error:" in err


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("train", 2, "say --train FILE or --corpus NAME"),
        ("train --corpus ncbi-disease --dev x.tsv", 2, "--corpus brings its own"),
        ("train --corpus nothing", 2, "ncbi-disease, ewt-pos"),
        ("train --train missing.tsv", 1, "missing.tsv"),
        ("train --corpus ncbi-disease --device cuda --vectors none", 2, "device: expected one"),
        ("train --corpus ncbi-disease --input-scheme XYZ", 2, "--input-scheme: "),
        ("train --corpus ncbi-disease --threads 100000000", 2, "--threads: "),
        ("tag model --threads 100000000", 2, "--threads"),
        ("train --train . ", 1, "error: ."),
        ("train --corpus ncbi-disease --hidden 0", 2, "--hidden: Input should be greater"),
        ("train --corpus ncbi-disease --scheme XYZ", 2, "--scheme: "),
        ("train --corpus ncbi-disease --hiden 5", 2, "No such option: --hiden"),
        ("train --corpus ncbi-disease --config missing.toml", 2, "missing.toml"),
        ("train --corpus ncbi-disease --vectors missing.safetensors", 2, "'none' or a file, got 'missing"),
        ("compare --train a.tsv", 2, "a comparison needs --test FILE"),
        ("compare --train a.tsv --test b.tsv --also crf2", 2, "--also: expected one of crf-greedy"),
        ("compare --train a.tsv --test b.tsv --scheme BIO,XY", 2, "--scheme: "),
        ("eval missing a.tsv", 1, "missing: not a model folder"),
        ("tag missing", 1, "missing: not a model folder"),
        ("nothing", 2, "No such command"),
    ],
)
def test_mistakes_are_explained(tmp_path, arguments, status, message):
    _, err = run(*arguments.split(), status=status, cwd=tmp_path)
    assert message in err


@pytest.mark.parametrize(("arguments", "status"), [("train", 2), ("tag missing", 1)])
def test_a_process_ends_with_its_status(tmp_path, arguments, status):
    assert "rror" in run_process(*arguments.split(), status=status, cwd=tmp_path)[1]


def test_a_place_that_is_taken_is_found_out_before_training(folder, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    data = ("--train", folder / "toy.tsv", "--test", folder / "toy.tsv")
    for command, out in (("train", tmp_path / "thesis"), ("compare", tmp_path / "thesis" / "chapter.txt")):
        _, err = run(command, *data, "--out", out, *SMALL, status=1)
        assert "epoch" not in err
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_what_is_printed_is_not_interpreted(tmp_path):
    """No markup in labels, no emoji in line numbers."""
    block = "Ann\tB-[/b]\nleft\tO\n\n"
    (tmp_path / "t.tsv").write_text(block * 40)
    file = tmp_path / "t.tsv"
    out, _ = run("train", "--train", file, "--dev", file, "--test", file, "--out", tmp_path / "m", *SMALL)
    assert "[/b]" in out
    (tmp_path / "bad.tsv").write_text(block * 33 + "Ann\n")
    assert "bad.tsv:100:" in run("train", "--train", tmp_path / "bad.tsv", status=1)[1]


def test_columns_are_the_same_in_all_files(tmp_path):
    (tmp_path / "a.tsv").write_text("Ann\tNNP\tB-X\nleft\tVBD\tO\n")
    (tmp_path / "b.tsv").write_text("Ann\tB-X\tNNP\nleft\tO\tVBD\n")
    _, err = run("train", "--train", tmp_path / "a.tsv", "--dev", tmp_path / "b.tsv", status=1)
    assert "b.tsv: guessed tag_column=2" in err
    assert "say --token-column and --tag-column" in err


def test_bytes_that_are_no_text(folder, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"Ann left\nin \xff\n")
    assert (
        "latin.txt:2:4: expected UTF-8" in run("tag", folder / "model", tmp_path / "latin.txt", status=1)[1]
    )
    assert (
        "<stdin>:1:1: expected UTF-8"
        in run_process("tag", folder / "model", stdin="\udcff", status=1, errors="surrogateescape")[1]
    )


def test_standard_input_is_a_file(folder):
    assert (
        run("tag", folder / "model", stdin="\ufeffBob Ray left Oslo .\n")[0]
        == "[Bob Ray]PER left [Oslo]LOC .\n"
    )
    columns = run("tag", folder / "model", "-", "--input-format", "conll", stdin="Bob\nRay\nleft\nOslo\n.\n")[
        0
    ]
    assert columns == "[Bob Ray]PER left [Oslo]LOC .\n"
    assert run("tag", folder / "model", stdin="")[0] == ""


def test_bad_toml(tmp_path):
    for content, message in [
        ("hidden = ", "c.toml: "),
        ('hiden = 5\ncorpus = "ewt-pos"', "hiden: no such setting"),
        ("hidden = true", "hidden: expected a number or a text, got true or false"),
    ]:
        (tmp_path / "c.toml").write_text(content)
        assert message in run("train", "--config", tmp_path / "c.toml", status=2)[1]


def test_a_malformed_file_names_its_line(tmp_path):
    (tmp_path / "bad.tsv").write_text("Ann\tB-PER\nsaw\tO\nBob\n")
    assert "bad.tsv:3" in run("train", "--train", tmp_path / "bad.tsv", status=1)[1]


def test_interrupting_training_keeps_the_best_model(folder, tmp_path):
    toy = folder / "toy.tsv"
    endless = (*SMALL, "--epochs", 100_000, "--patience", 100_000)
    with start("train", "--train", toy, "--dev", toy, "--out", tmp_path / "m", *endless) as process:
        assert any("epoch   2" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    assert "interrupted; kept epoch" in err
    assert "next: chaincrf tag" in out
    assert run("tag", tmp_path / "m", stdin="Ann\n")[0]
    assert (tmp_path / "m.run" / "checkpoint.safetensors").exists()
    _, err = run("train", "--train", toy, "--dev", toy, "--out", tmp_path / "m", *endless, status=1)
    assert "m.run: holds a run that did not end; go on with --resume" in err
    _, err = run("train", "--train", toy, "--out", tmp_path / "m", *SMALL, "--resume", status=1)
    assert "epochs was 100000 and is 12" in err


def test_interrupting_a_comparison_reports_the_seeds_that_are_done(folder, tmp_path):
    toy = folder / "toy.tsv"
    data = ("--train", toy, "--dev", toy, "--test", toy, "--seeds", 1000, "--out", tmp_path / "r")
    with start("compare", *data, *SMALL, "--epochs", 1) as process:
        assert any("run 4 of 3000" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    assert "interrupted: the report covers" in err
    assert "the report:" in out
    assert json.loads((tmp_path / "r" / "report.json").read_text())["seeds"][0] == 1


def test_vectors_are_converted_and_put_side_by_side(folder, tmp_path):
    (tmp_path / "a.txt").write_text("oslo 1 2\nparis 3 4\n")
    out, _ = run("vectors", "convert", tmp_path / "a.txt", tmp_path / "a.safetensors")
    assert "2 words, 2 numbers each" in out
    toy = folder / "toy.tsv"
    both = ("--vectors", tmp_path / "a.safetensors", "--vectors", tmp_path / "a.txt")
    run("train", "--train", toy, "--dev", toy, "--out", tmp_path / "m", *SMALL[2:], *both, "--epochs", 1)
    assert json.loads((tmp_path / "m" / "config.json").read_text())["architecture"]["word_dim"] == 4
    _, err = run("vectors", "convert", tmp_path / "a.txt", tmp_path / "a.safetensors", status=1)
    assert "expected no file here" in err


def test_a_recipe_is_shown_and_overridden(folder, tmp_path):
    text, _ = run("recipe", "show", "chunk")
    (tmp_path / "r.toml").write_text(text.replace("word_dim = 100", "word_dim = 7"))
    toy = folder / "toy.tsv"
    data = ("--train", toy, "--dev", toy, "--out", tmp_path / "m", "--vectors", "none", "--epochs", 1)
    run("train", *data, "--config", tmp_path / "r.toml", "--recipe", "ner", "--hidden", 9)
    recipe = json.loads((tmp_path / "m" / "config.json").read_text())["training"]["recipe"]
    assert (recipe["word_dim"], recipe["hidden"], recipe["epochs"]) == (7, 9, 1)
    (tmp_path / "r.toml").write_text('recipe = "srl"\n')
    _, err = run("train", *data, "--config", tmp_path / "r.toml", status=2)
    assert "recipe: expected one of ner, pos, chunk or a TOML file, got 'srl'" in err
