import pytest

mlflow = pytest.importorskip("mlflow")

import pandas

from chaincrf.errors import ArgumentError
from chaincrf.integrations.mlflow import log_model, save_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TEXTS = ["Ann saw Bob Ray in Rome.", "It rained."]


def texts_of(answer):
    return [[span["text"] for span in one["spans"]] for one in answer]


def test_saved_and_loaded_without_pickle(tagger, tmp_path):
    save_model(tagger, tmp_path / "model")
    assert not [path for path in (tmp_path / "model").rglob("*") if path.suffix in (".pkl", ".pt", ".bin")]
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    answer = loaded.predict(TEXTS)
    assert answer == loaded.predict(pandas.DataFrame({"text": TEXTS}))
    assert texts_of(answer) == [["Ann", "Bob Ray", "Rome"], []]
    with pytest.raises(ArgumentError, match="expected a column 'text', got body"):
        loaded.predict(pandas.DataFrame({"body": TEXTS}))


def test_logged_to_a_run(tagger, tmp_path):
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.create_experiment("tags", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("tags")
    with mlflow.start_run():
        info = log_model(tagger)
    assert texts_of(mlflow.pyfunc.load_model(info.model_uri).predict(TEXTS[:1])) == [
        ["Ann", "Bob Ray", "Rome"]
    ]
