"""What a task makes of an example, and of a batch."""

import numpy as np
import pytest
import torch

from lmtrain.errors import StageError
from lmtrain.finetuning.classification import Classification
from lmtrain.finetuning.config import ClassificationConfig, SummarizationConfig
from lmtrain.finetuning.examples import ExampleRows, Rejection, Row, pad_rows
from lmtrain.finetuning.summarization import SUFFIX, Summarization
from lmtrain.tokenization.config import TokenizerSettings
from lmtrain.tokenization.special_tokens import wrap
from lmtrain.tokenization.training import train


@pytest.fixture(scope="module")
def tokenizer():
    settings = TokenizerSettings(vocab_size=320)
    return wrap(train(iter(["the mean of an array", "数组的平均值"] * 20), settings), "gpt2")


def classifier(tokenizer, **settings) -> Classification:
    config = ClassificationConfig(name="x", data="x", **settings)
    return Classification(config, tokenizer, [{"label": "b"}, {"label": "a"}])


def test_a_text_is_cut_and_its_label_numbered(tokenizer):
    row = classifier(tokenizer, max_length=8).encode({"text": "the mean of an array " * 9, "label": "b"})
    assert len(row.input_ids) == 8
    assert row.labels.tolist() == [1]


def test_what_cannot_be_used_is_counted_by_reason(tokenizer):
    texts = [("mean", "a"), ("mean", "c"), ("", "a")]
    examples = [{"id": str(index), "text": text, "label": label} for index, (text, label) in enumerate(texts)]
    rows = ExampleRows(examples, classifier(tokenizer).encode)
    assert len(rows) == 1
    assert rows.rejected == {"unknown_label": 1, "no_tokens": 1}


def test_one_label_only_is_refused(tokenizer):
    with pytest.raises(StageError, match="one label only"):
        Classification(ClassificationConfig(name="x", data="x"), tokenizer, [{"label": "a"}])


def test_padding_is_neither_input_nor_target():
    long, short = Row(np.array([5, 6, 7]), np.array([1, 2, 3])), Row(np.array([8]), np.array([4]))
    batch = pad_rows([long, short], pad=9)
    assert batch["input_ids"][1].tolist() == [8] + [9] * 7
    assert batch["attention_mask"].sum(1).tolist() == [3, 1]
    assert batch["labels"][1].tolist() == [4] + [-100] * 7


@pytest.mark.parametrize("document", ["the mean of an array", "数组的平均值" * 40])
def test_only_the_summary_and_its_end_are_targets(tokenizer, document):
    task = Summarization(
        SummarizationConfig(name="x", data="x", max_length=64, max_target_length=12), tokenizer, []
    )
    row = task.encode({"document": document, "summary": "the mean"})
    assert len(row.input_ids) <= 64
    targets = row.labels[row.labels != -100]
    assert tokenizer.decode(targets) == " the mean<|endoftext|>"
    first = int(np.argmax(row.labels != -100))
    assert tokenizer.decode(row.input_ids[: first + 1]).endswith(SUFFIX)
    assert (row.input_ids[first + 1 :] == targets[: len(row.input_ids) - first - 1]).all()


def test_an_example_without_tokens_is_rejected(tokenizer):
    task = Summarization(SummarizationConfig(name="x", data="x"), tokenizer, [])
    assert task.encode({"document": "", "summary": "x"}) == Rejection("no_tokens")


def test_the_loss_is_that_of_the_label_alone(tokenizer):
    task = classifier(tokenizer)
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])

    class Model(torch.nn.Module):
        def forward(self, **given):
            return type("Output", (), {"logits": logits})()

    labels = torch.tensor([0, -100])
    batch = {"input_ids": torch.zeros(2, 1), "attention_mask": torch.ones(2, 1), "labels": labels}
    expected = -torch.log_softmax(logits[0], 0)[0]
    assert torch.isclose(task.loss(Model(), batch), expected)
    assert task.targets(batch) == 1
