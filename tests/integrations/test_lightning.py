"""The layer in a LightningModule: Lightning's Trainer arrives at the weights of a plain loop."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from chaincrf import CRF
from chaincrf.crf import backend

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # its own warnings are not ours to mend
lightning = pytest.importorskip("pytorch_lightning", reason="needs pytorch-lightning")

WORDS = torch.tensor([[1, 2, 3, 4], [3, 5, 1, 0], [2, 4, 0, 0], [5, 1, 2, 3]])
TAGS = torch.tensor([[1, 2, 0, 0], [0, 0, 1, -100], [0, 0, -100, -100], [0, 1, 2, 0]])
BATCHES = DataLoader(TensorDataset(WORDS, TAGS), batch_size=2)


class Tagger(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.crf = CRF.from_labels(["PER"], scheme="BIO")
        self.words = torch.nn.Embedding(6, 8, padding_idx=0)
        self.projection = torch.nn.Linear(8, self.crf.num_tags)

    def emissions(self, words: Tensor) -> Tensor:
        return self.projection(self.words(words))

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        words, tags = batch
        loss = self.crf(self.emissions(words), tags, words != 0)
        self.log("loss", loss)
        return loss

    def predict_step(self, batch: list[Tensor], _: int) -> Tensor:
        return self.crf.decode(self.emissions(batch[0]), batch[0] != 0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.05)


@pytest.fixture(autouse=True)
def _plain_pytorch() -> Iterator[None]:
    with backend("reference"):  # compiling is tested elsewhere
        yield


def test_the_weights_of_a_plain_loop(tmp_path) -> None:
    looped, lit = Tagger(), Tagger()
    optimizer = torch.optim.Adam(looped.parameters(), 0.05)
    for _ in range(30):
        for words, tags in BATCHES:
            optimizer.zero_grad()
            looped.crf(looped.emissions(words), tags, words != 0).backward()
            optimizer.step()
    trainer = lightning.Trainer(
        max_epochs=30, accelerator="cpu", default_root_dir=tmp_path, logger=False, enable_progress_bar=False
    )
    trainer.fit(lit, BATCHES)
    for ours, theirs in zip(looped.parameters(), lit.parameters(), strict=True):
        torch.testing.assert_close(theirs, ours)
    assert trainer.callback_metrics["loss"] < 0.2
    predicted = trainer.predict(lit, BATCHES)
    assert predicted is not None
    assert torch.equal(torch.cat(predicted), TAGS.where(WORDS != 0, -1))

    (checkpoint,) = tmp_path.rglob("*.ckpt")
    again = Tagger.load_from_checkpoint(checkpoint)
    assert torch.equal(again.predict_step([WORDS, TAGS], 0), torch.cat(predicted))
