import pytest
from pydantic import ValidationError

from chaincrf.training import Recipe


def test_every_field_is_described():
    assert all(field.description for field in Recipe.model_fields.values())


def test_the_scheme_is_checked_and_named_in_one_way():
    assert Recipe(scheme="iobes").scheme == "BIOES"
    with pytest.raises(ValidationError, match="XYZ"):
        Recipe(scheme="XYZ")


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"dropout": 1}, {"hiden": 3}, {"head": "hmm"}])
def test_wrong_values(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Recipe(**wrong)


def test_half_precision_needs_a_gpu():
    with pytest.raises(ValidationError, match="needs a GPU"):
        Recipe(device="cpu", precision="16-mixed")


def test_one_table_or_several():
    assert Recipe(vectors=["builtin"]) == Recipe()
    assert Recipe(vectors=["builtin", "x.vec"]).vectors == ["builtin", "x.vec"]
    for wrong in ([], ["none", "builtin"]):
        with pytest.raises(ValidationError, match="expected tables, or 'none' alone"):
            Recipe(vectors=wrong)


def test_a_character_bilstm_has_two_halves():
    with pytest.raises(ValidationError, match="expected an even number, got 31"):
        Recipe(char_encoder="lstm", char_filters=31)


def test_a_warm_up_ends_before_training_does():
    with pytest.raises(ValidationError, match="warmup: expected less than the 3 epochs, got 3"):
        Recipe(warmup=3, epochs=3)
