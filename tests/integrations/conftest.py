import pytest
import torch

from chaincrf.training import train
from corpora import SMALL, toy


@pytest.fixture(scope="session")
def tagger(tmp_path_factory):
    """A tagger that knows the toy corpus."""
    torch.set_num_threads(1)
    corpus = toy(tmp_path_factory.mktemp("toy"), copies=8)
    return train(corpus, corpus, SMALL.model_copy(update={"epochs": 20}))[0]


@pytest.fixture(scope="session")
def model(tagger, tmp_path_factory):
    """Its folder."""
    folder = tmp_path_factory.mktemp("tagger") / "model"
    tagger.save(folder)
    return folder
