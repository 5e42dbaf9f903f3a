"""LSTMs are fine-tuned as they were meant: layer by layer from the top, or as features that stay."""

import pytest
import torch
from tiny_line import CONTEXT
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.encoding.words import encode_words
from lmtrain.errors import StageError
from lmtrain.finetuning.config import ClassificationConfig, SimilarityConfig, TokenClassificationConfig
from lmtrain.finetuning.worker import train
from lmtrain.manifest import Address, Artifact
from lmtrain.training.process import Process

SETTINGS = {
    "name": "word", "data": "x", "max_length": CONTEXT, "precision": "fp32", "learning_rate": 0.01,
    "train_batch_size": 4, "num_train_epochs": 12, "eval_steps": 10, "early_stopping_patience": None,
}  # fmt: skip
FAMILIES = ("ulmfit", "elmo")


@pytest.fixture
def tuned(line, tmp_path):
    """Fine-tunes a random LSTM; gives figures, the model's folder, that of its start, and what was told."""

    def tune(family, config, examples):
        attempt = Attempt(str(tmp_path), Address("model", f"{family}-{config.name}", "0" * 12), "one")
        start, told = line.recurrent_language_model(family), []
        spec = {
            "config": config,
            "attempt": attempt,
            "resources": Resources(workers=1, compile=False),
            "model": start,
            "labelled": line.labelled(config.task, examples, alias=config.name),
            "removed": frozenset(),
        }
        process = Process(tell=lambda kind, payload: told.append(payload.get("line", "")))
        figures = train(spec, process)
        weights = [record for record in attempt.finished("model").files if record.role == "weights"]
        return figures, attempt.open(weights[0]).parent, Artifact(start).folder("weights"), told

    return tune


def by_a_word(line):
    """Label each text by whether a word is in it."""
    word = {"en": "wall", "zh": "图书馆"}[line.language]
    return [{"text": text, "label": "there" if word in text else "not there"} for text in line.texts]


def tagged(line):
    """Label each word by whether it is an animal, or a person."""
    names = {"en": {"fox", "dog", "cat"}, "zh": {"我们", "他们", "老师"}}[line.language]
    rows = []
    for text in line.texts:
        words = text.split() if line.language == "en" else [text[:2], *text[2:]]
        rows.append({"tokens": words, "tags": ["B-WHO" if word in names else "O" for word in words]})
    return rows


def body(folder):
    return AutoModel.from_pretrained(folder).state_dict()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_s_label_is_learned(line, tuned, family):
    config = ClassificationConfig(**SETTINGS, layer_rate_decay=1 / 2.6)
    _, folder, _, _ = tuned(family, config, by_a_word(line))
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    right = 0
    for row in by_a_word(line):
        found = model(**tokenizer(row["text"], return_tensors="pt")).logits.argmax()
        right += model.config.id2label[int(found)] == row["label"]
    assert right > 0.8 * len(line.texts)
    assert "import lmtrain.modeling.own" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_labels_of_words_are_learned(line, tuned, family):
    _, folder, _, _ = tuned(family, TokenClassificationConfig(**SETTINGS), tagged(line))
    model = AutoModelForTokenClassification.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    right = count = 0
    for row in tagged(line):
        ids, places = encode_words(tokenizer, row["tokens"], CONTEXT)
        said = model(torch.tensor([ids])).logits.argmax(dim=2)[0].tolist()
        for place, tag in zip(places, row["tags"], strict=False):
            if tag != "O":
                count += 1
                right += model.config.id2label[said[place]] == tag
    assert count
    # From left to right, a word that begins like another can't be told from it at its first token.
    assert right > {"ulmfit": 0.6, "elmo": 0.8}[family] * count


@pytest.mark.parametrize("family", FAMILIES)
def test_in_the_first_epoch_the_head_alone_moves(line, tuned, family):
    config = ClassificationConfig(**SETTINGS | {"num_train_epochs": 1}, gradual_unfreezing=True)
    _, folder, start, told = tuned(family, config, by_a_word(line))
    before, after = body(start), body(folder)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert "gradual_unfreezing: 1 epochs are too few to train all layers" in told
    longer = config.model_copy(update={"name": "longer", "num_train_epochs": 2.0})
    moved = body(tuned(family, longer, by_a_word(line))[1])
    changed = {name for name in before if not torch.equal(before[name], moved[name])}
    assert changed == {name for name in before if name.startswith("layers.1.")}


def test_elmo_s_features_stay_while_their_mix_is_learned(line, tuned):
    figures, folder, start, _ = tuned(
        "elmo", ClassificationConfig(**SETTINGS, freeze_body=True), by_a_word(line)
    )
    before, after = body(start), body(folder)
    assert all(torch.equal(before[name], after[name]) for name in before)
    mix = AutoModelForSequenceClassification.from_pretrained(folder).mix
    assert mix.weights.shape == (3,)
    assert len(set(mix.weights.tolist())) == 3, "embeddings and both layers, each with a share of its own"
    assert figures["trained_parameters"] == 3 + 1 + 2 * 64 + 2


def test_what_cannot_be_is_refused(line, tuned):
    with pytest.raises(ValueError, match="give one of lora_rank and freeze_body alone"):
        ClassificationConfig(**SETTINGS, lora_rank=4, freeze_body=True)
    with pytest.raises(ValueError, match="freeze_body would leave nothing to train"):
        SimilarityConfig(**SETTINGS, freeze_body=True)
    with pytest.raises(StageError, match="leave lora_rank out"):
        tuned("ulmfit", ClassificationConfig(**SETTINGS, lora_rank=4), by_a_word(line))
