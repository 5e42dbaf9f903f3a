"""What a task makes of an example, of a batch, and of a model's answer."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import CPU, tiny_config, usual_head

from lmtrain.encoding.prompts import PROMPTS
from lmtrain.encoding.rows import Rejection, Row, pad_rows
from lmtrain.errors import StageError
from lmtrain.finetuning.config import FinetuneSection
from lmtrain.finetuning.examples import ExampleRows
from lmtrain.finetuning.task import Task, TaskSetting
from lmtrain.modeling.build import new_model, task_model
from lmtrain.modeling.fitting import TASKS as FITS
from lmtrain.modeling.sizes import BOTH_DIRECTIONS, DECODERS, ENCODERS
from lmtrain.modeling.special_ids import special_ids
from lmtrain.registry import TASKS
from lmtrain.tokenization.config import TokenizerSettings
from lmtrain.tokenization.special_tokens import wrap
from lmtrain.tokenization.training import train

TEXTS = ["the mean of an array", "数组的平均值", "Ada wrote the mean function in London"]
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "classification": [
        {"text": "the mean", "text_pair": "of", "label": "b"},
        {"text": "数组", "text_pair": "的", "label": "a"},
    ],
    "multi_label": [{"text": "the mean", "labels": ["b", "a"]}, {"text": "数组", "labels": []}],
    "token_classification": [
        {"tokens": ["Ada", "wrote", "mean"], "tags": ["B-PER", "O", "O"]},
        {"tokens": ["数", "组", "的"], "tags": ["B-LOC", "I-LOC", "O"]},
    ],
    "question_answering": [
        {"context": TEXTS[2] * 3, "question": "Who?", "answers": ["Ada"], "answer_starts": [0]},
        {"context": "数组的平均值", "question": "什么", "answers": [], "answer_starts": []},
    ],
    "generative_qa": [{"context": TEXTS[2], "question": "Who?", "answers": ["Ada"]}],
    "summarization": [
        {"document": TEXTS[2], "summary": "Ada wrote"},
        {"document": TEXTS[1], "summary": "平均"},
    ],
    "translation": [{"source_text": TEXTS[0], "target_text": TEXTS[1]}],
    "generation": [{"prompt": "Write:", "response": "the mean"}],
    "dialogue": [
        {
            "messages": [
                {"role": "user", "content": "Who?"},
                {"role": "assistant", "content": "Ada"},
                {"role": "user", "content": "Where?"},
                {"role": "assistant", "content": "London"},
            ]
        }
    ],
    "similarity": [{"sentence1": TEXTS[0], "sentence2": TEXTS[1], "score": 4.5}],
    "retrieval": [{"query": "mean?", "passage": TEXTS[0]}, {"query": "数组?", "passage": TEXTS[1]}],
}


@pytest.fixture(scope="module")
def tokenizers():
    def made(family: str):
        settings = TokenizerSettings(vocab_size=400, special_tokens=family)
        return wrap(train(iter(TEXTS * 20), settings), family)

    return {"gpt2": made("gpt2"), "bert": made("bert"), "roberta": made("roberta")}


def task_of(name: str, tokenizer, family: str, examples=None, **settings) -> Task:
    config = FinetuneSection.model_fields[name].annotation.__args__[0](name="x", data="x", **settings)
    given = EXAMPLES[name] if examples is None else examples
    return TASKS.get(name).of(TaskSetting(config, tokenizer, family, given))


def tokenizer_of(family: str, tokenizers):
    return tokenizers[
        "gpt2" if family in (*DECODERS, *BOTH_DIRECTIONS) else "bert" if family in ENCODERS else "roberta"
    ]


PAIRS = [(name, family) for name, fits in FITS.items() for family in fits.families]


@pytest.mark.parametrize(("name", "family"), PAIRS)
def test_every_task_learns_with_every_family_that_fits(name, family, tokenizers, tmp_path):
    tokenizer = tokenizer_of(family, tokenizers)
    config, head = tiny_config(family), usual_head(family)
    ids = special_ids(tokenizer, "folder")
    new_model(config, head, len(tokenizer), 64, ids, 0, CPU).save_pretrained(tmp_path)
    lengths = {"max_length": 64, **({"max_target_length": 16} if FITS[name].head == "text" else {})}
    if name == "question_answering":
        lengths["stride"] = 8
    task = task_of(name, tokenizer, family, **lengths)
    model = task_model(tmp_path, name, "pretrained", 0, CPU, **task.settings())
    rows = ExampleRows([{"id": str(place), **one} for place, one in enumerate(EXAMPLES[name])], task.encode)
    assert not rows.rejected
    indices = np.arange(len(rows))
    batch = task.collate(rows.take(indices), indices, np.zeros_like(indices), 0)
    counts = torch.tensor([float((batch[entry] != -100).sum()) for entry in task.targets.values()])
    assert (counts > 0).all()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = (task.loss(model, batch) / counts).sum()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(np.isfinite(losses))
    assert losses[-1] < losses[0] or losses[0] < 1e-3
    model.save_pretrained(tmp_path / "out")


def test_a_text_is_cut_and_its_label_numbered(tokenizers):
    task = task_of("classification", tokenizers["gpt2"], "llama", max_length=8)
    [row] = task.encode({"text": "the mean of an array " * 9, "label": "b"})
    assert row.tokens == 8
    assert row.whole["labels"] == 1


def test_what_cannot_be_used_is_counted_by_reason(tokenizers):
    texts = [("mean", "a"), ("mean", "c"), ("", "a")]
    examples = [{"id": str(index), "text": text, "label": label} for index, (text, label) in enumerate(texts)]
    rows = ExampleRows(examples, task_of("classification", tokenizers["gpt2"], "llama").encode)
    assert len(rows) == 1
    assert rows.rejected == {"unknown_label": 1, "no_tokens": 1}


@pytest.mark.parametrize("name", ["classification", "multi_label", "token_classification"])
def test_one_label_only_is_refused(name, tokenizers):
    alike = {
        "classification": {"label": "a"},
        "multi_label": {"labels": ["a"]},
        "token_classification": {"tags": ["O"]},
    }
    with pytest.raises(StageError, match="one label only"):
        task_of(name, tokenizers["gpt2"], "llama", [alike[name]] * 2)


def test_padding_is_neither_input_nor_target():
    long = Row({"input_ids": np.array([5, 6, 7]), "labels": np.array([1, 2, 3])})
    short = Row({"input_ids": np.array([8]), "labels": np.array([4])})
    batch = pad_rows([long, short], pad=9)
    assert batch["input_ids"][1].tolist() == [8] + [9] * 7
    assert batch["attention_mask"].sum(1).tolist() == [3, 1]
    assert batch["labels"][1].tolist() == [4] + [-100] * 7


@pytest.mark.parametrize("document", ["the mean of an array", "数组的平均值" * 40])
def test_a_decoder_learns_the_target_and_its_end_alone(tokenizers, document):
    tokenizer = tokenizers["gpt2"]
    task = task_of("summarization", tokenizer, "llama", max_length=64, max_target_length=12)
    [row] = task.encode({"document": document, "summary": "the mean"})
    ids, labels = row.by_token["input_ids"], row.by_token["labels"]
    assert len(ids) <= 64
    targets = labels[labels != -100]
    assert tokenizer.decode(targets) == " the mean<|endoftext|>"
    first = int(np.argmax(labels != -100))
    assert tokenizer.decode(ids[: first + 1]).endswith(PROMPTS["summarization"].suffix)
    assert (ids[first + 1 :] == targets[: len(ids) - first - 1]).all()


def test_an_encoder_decoder_reads_the_source_and_writes_the_target(tokenizers):
    tokenizer = tokenizers["roberta"]
    task = task_of("translation", tokenizer, "bart", prefix="to Chinese: ")
    [row] = task.encode(EXAMPLES["translation"][0])
    assert tokenizer.decode(row.by_token["input_ids"]) == f"<s>to Chinese: {TEXTS[0]}</s>"
    assert tokenizer.decode(row.by_token["labels"]) == f"{TEXTS[1]}</s>"


def test_a_dialogue_is_learned_by_its_last_turn(tokenizers):
    tokenizer = tokenizers["gpt2"]
    [row] = task_of("dialogue", tokenizer, "llama").encode(EXAMPLES["dialogue"][0])
    assert tokenizer.decode(row.by_token["input_ids"]).startswith(
        "user: Who?\nassistant: Ada\nuser: Where?\nassistant:"
    )
    labels = row.by_token["labels"]
    assert tokenizer.decode(labels[labels != -100]) == " London<|endoftext|>"


def test_an_example_without_tokens_is_rejected(tokenizers):
    task = task_of("summarization", tokenizers["gpt2"], "llama")
    assert task.encode({"document": "", "summary": "x"}) == Rejection("no_tokens")


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_every_word_has_its_label_at_its_first_token(tokenizers, family):
    tokenizer = tokenizers[family]
    task = task_of("token_classification", tokenizer, family)
    for example in EXAMPLES["token_classification"]:
        [row] = task.encode(example)
        ids, labels = row.by_token["input_ids"], row.by_token["labels"]
        places = np.flatnonzero(labels != -100)
        assert [task.labels[number] for number in labels[places]] == example["tags"]
        bounds = [*places.tolist(), len(ids) - (1 if family == "bert" else 0)]
        words = [tokenizer.decode(ids[a:b]).strip() for a, b in pairwise(bounds)]
        assert words == example["tokens"]


def test_an_answer_is_found_in_the_windows_that_hold_it(tokenizers):
    tokenizer = tokenizers["bert"]
    context = "the mean of an array. " * 12 + "Ada wrote it. " + "the mean of an array. " * 12
    at = context.index("Ada")
    task = task_of("question_answering", tokenizer, "bert", max_length=64, stride=16)
    rows = task.encode({"context": context, "question": "Who?", "answers": ["Ada"], "answer_starts": [at]})
    assert isinstance(rows, list)
    assert len(rows) > 3
    found = [row for row in rows if row.whole["labels_of_end"]]
    assert 1 <= len(found) < len(rows)
    for row in found:
        begin, end = int(row.whole["labels_of_begin"]), int(row.whole["labels_of_end"])
        assert tokenizer.decode(row.by_token["input_ids"][begin : end + 1]).strip() == "Ada"
    assert all(row.tokens <= 64 for row in rows)


def test_the_loss_is_that_of_the_label_alone(tokenizers):
    task = task_of("classification", tokenizers["gpt2"], "llama")
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])

    class Model(torch.nn.Module):
        def forward(self, **given):
            return type("Output", (), {"logits": logits})()

    labels = torch.tensor([0, -100])
    batch = {"input_ids": torch.zeros(2, 1), "attention_mask": torch.ones(2, 1), "labels": labels}
    expected = -torch.log_softmax(logits[0], 0)[0]
    assert torch.isclose(task.loss(Model(), batch)[0], expected)


def test_balanced_weights_make_a_rare_label_count_as_much(tokenizers):
    examples = [{"text": "x", "label": "a"}] * 3 + [{"text": "y", "label": "b"}]
    task = task_of("classification", tokenizers["gpt2"], "llama", examples, class_weights="balanced")
    assert task.weights == pytest.approx([4 / 6, 4 / 2])
