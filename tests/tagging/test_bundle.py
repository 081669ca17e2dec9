import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from chaincrf.errors import ModelError
from chaincrf.tagging import Bundle, Calibration, load_bundle, save_bundle
from chaincrf.tagging.bundle import file_sha256
from chaincrf.training import Recipe, build_model, prepare
from corpora import toy


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    corpus = toy(tmp_path_factory.mktemp("data"))
    recipe = Recipe(vectors="none", word_dim=8, hidden=8)
    return build_model(prepare(corpus, corpus, recipe), recipe)


@pytest.fixture
def folder(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(bundle, folder):
    again = load_bundle(folder)
    assert again.config == bundle.config
    assert again.vocabulary == bundle.vocabulary
    state = again.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in bundle.model.state_dict().items())
    assert not again.model.training
    assert torch.equal(again.model.head.allowed_transitions, bundle.model.head.allowed_transitions)


def test_only_safe_files(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "vocabulary.json",
    ]


def test_a_model_is_replaced_and_nothing_else_is(bundle, folder, tmp_path):
    save_bundle(bundle, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    (folder / "notes.txt").write_text("years of work")
    with pytest.raises(
        ModelError, match=r"expected an empty or new folder or a model to replace, found notes.txt"
    ):
        save_bundle(bundle, folder)
    assert (folder / "notes.txt").read_text() == "years of work"
    with pytest.raises(ModelError, match="expected a folder, found a file"):
        save_bundle(bundle, folder / "notes.txt")
    with pytest.raises(ModelError, match="cannot be written"):
        save_bundle(bundle, folder / "notes.txt" / "model")


def test_a_link_stays_a_link(bundle, folder, tmp_path):
    (tmp_path / "latest").symlink_to(folder)
    save_bundle(bundle, tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    assert load_bundle(tmp_path / "latest").config == bundle.config


def test_all_files_can_be_read_by_the_same_people(folder):
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_a_failed_rename_brings_the_old_model_back(bundle, folder, monkeypatch):
    rename, calls = Path.rename, []

    def fail_second(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise OSError("interrupted")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(OSError, match="interrupted"):
        save_bundle(bundle, folder)
    assert load_bundle(folder).config == bundle.config


def test_a_failed_save_leaves_the_old_model(bundle, folder, tmp_path, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("chaincrf.tagging.bundle.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        save_bundle(bundle, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def change(folder, file, **values):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    if file != "config.json":
        rehash(folder)


def rehash(folder):
    """As somebody would who changes a file on purpose."""
    names = ("model.safetensors", "vocabulary.json")
    change(folder, "config.json", sha256={name: file_sha256(folder / name) for name in names})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "vocabulary.json").unlink(), "not a model folder, vocabulary.json missing"),
        (shutil.rmtree, "config.json and model.safetensors and vocabulary.json missing"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: Expecting"),
        (lambda f: (f / "config.json").write_text("[]"), "config.json: config: Input should be"),
        (lambda f: (f / "config.json").write_text("[" * 100_000), "config.json"),
        (
            lambda f: change(f, "config.json", format_version=3),
            "format version 3 is newer than this chaincrf",
        ),
        (lambda f: change(f, "config.json", format_version=0), "config.json: format_version"),
        (lambda f: change(f, "config.json", sha256={}), "sha256: expected model.safetensors, vocab"),
        (
            lambda f: change(f, "config.json", calibration={"isotonic": [[0.5, 0.9], [0.6, 0.1]]}),
            "calibration: isotonic: expected ascending probabilities",
        ),
        (lambda f: change(f, "config.json", task="parse"), "config.json: task"),
        (lambda f: change(f, "config.json", code="import os"), "config.json: code: Extra inputs"),
        (lambda f: change(f, "config.json", scheme="XYZ"), "XYZ"),
        (lambda f: change(f, "config.json", scheme=None), "task 'ner' does not go with scheme None"),
        (
            lambda f: change(f, "vocabulary.json", words=3),
            "vocabulary.json: words: expected a list of strings",
        ),
        (
            lambda f: change(f, "vocabulary.json", tags=["O"]),
            "config.json says num_tags = 9, vocabulary.json has 1",
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b"junk"), "model.safetensors"),
        (
            lambda f: (save_file({"a": torch.zeros(1)}, f / "model.safetensors"), rehash(f)),
            "model.safetensors: a: config.json says no such tensor",
        ),
    ],
)
def test_damage_is_named(folder, damage, message):
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load_bundle(folder)


def test_sizes_are_bounded(folder):
    config = json.loads((folder / "config.json").read_text())
    config["architecture"]["hidden"] = 10**12
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"architecture.hidden: Input should be less than or equal to 8192"):
        load_bundle(folder)


def test_sizes_that_the_weights_do_not_have_are_refused_before_they_are_allocated(folder):
    config = json.loads((folder / "config.json").read_text())
    config["architecture"] |= {"hidden": 8192, "layers": 8}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"config\.json says"):
        load_bundle(folder)


def test_a_weight_of_another_shape(folder):
    state = load_file(folder / "model.safetensors")
    state["projection.bias"] = torch.zeros(3)
    save_file(state, folder / "model.safetensors")
    rehash(folder)
    with pytest.raises(ModelError, match=r"projection.bias: config.json says \[9\], the file has \[3\]"):
        load_bundle(folder)


def test_all_features_come_back(tmp_path):
    corpus = toy(tmp_path)
    recipe = Recipe(
        vectors="none", word_dim=4, hidden=4, char_encoder="lstm", shape_dim=3, dropout_mask="sentence"
    )
    bundle = build_model(prepare(corpus, corpus, recipe), recipe)
    save_bundle(bundle, tmp_path / "model")
    again = load_bundle(tmp_path / "model")
    assert again.config == bundle.config
    state = again.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in bundle.model.state_dict().items())


def test_a_folder_of_before_these_features(bundle, folder):
    config = json.loads((folder / "config.json").read_text())
    for name in ("char_encoder", "num_shapes", "shape_dim", "dropout_mask", "recurrent_dropout"):
        del config["architecture"][name]
    (folder / "config.json").write_text(json.dumps(config))
    assert load_bundle(folder).config == bundle.config


@pytest.mark.parametrize("wrong", [{"num_shapes": 3}, {"char_encoder": "lstm", "char_filters": 31}])
def test_features_that_cannot_be(folder, wrong):
    config = json.loads((folder / "config.json").read_text())
    config["architecture"] |= wrong
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=rf"config.json says {list(wrong)[-1]} = "):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.json"])
def test_one_changed_byte_is_seen(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}: expected the SHA-256 .* that config.json says"):
        load_bundle(folder)


def test_a_folder_of_version_1_is_read_and_written_as_the_newest(bundle, folder):
    config = json.loads((folder / "config.json").read_text())
    del config["sha256"], config["calibration"]
    (folder / "config.json").write_text(json.dumps(config | {"format_version": 1}))
    again = load_bundle(folder)
    assert again.config == bundle.config
    save_bundle(again, folder)
    assert json.loads((folder / "config.json").read_text())["format_version"] == 2


def test_a_calibration_comes_back(bundle, folder):
    calibration = Calibration(temperature=1.5, isotonic=((0.1, 0.2), (0.9, 0.8)), points=((0.5, 0.9, 7),))
    config = bundle.config.model_copy(update={"calibration": calibration})
    save_bundle(Bundle(bundle.model, bundle.vocabulary, config), folder)
    assert load_bundle(folder).config.calibration == calibration
    assert load_bundle(folder).config.calibration.points[0].kept == 7
