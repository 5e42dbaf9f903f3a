"""LoRA: it begins with nothing, trains its own matrices and a new head, and is merged without loss."""

import pytest
import torch
from tiny_models import CPU, FIRST, VOCABULARY, tiny_model

from lmtrain.finetuning.lora import merged, with_lora
from lmtrain.modeling.build import parameter_count, task_model
from lmtrain.modeling.fitting import TASKS as FITS
from lmtrain.modeling.layers import rate_shares

IDS = torch.arange(FIRST, FIRST + 12).view(2, 6)
CASES = [
    ("bert", "classification"), ("modernbert", "token_classification"), ("albert", "question_answering"),
    ("gpt2", "classification"), ("llama", "generation"), ("mixtral", "generation"),
    ("t5", "translation"), ("bart", "summarization"), ("roberta", "similarity"),
]  # fmt: skip


def untuned(folder, task):
    labels = {"num_labels": 3} if task.endswith("classification") else {}
    model = task_model(folder, task, "pretrained", 0, CPU, pad_token_id=1, **labels)
    mixes_experts = model.config.model_type == "mixtral"  # their grouped product knows no float64
    return model.eval() if mixes_experts else model.double().eval()


def tuned(folder, task):
    return with_lora(untuned(folder, task), 4, 16.0, 0, trains_head=FITS[task].has_new_head)


def outputs(model):
    given = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = IDS
    return model(**given)[0]


@pytest.mark.parametrize(("family", "task"), CASES)
def test_merged_weights_say_what_the_trained_ones_said(tmp_path, family, task):
    tiny_model(family).save_pretrained(tmp_path)
    before = untuned(tmp_path, task)
    near = 1e-12 if next(before.parameters()).dtype == torch.float64 else 1e-6
    lora = tuned(tmp_path, task)
    model = lora.model
    torch.testing.assert_close(outputs(model), outputs(before), rtol=0, atol=near)
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert any("lora_A" in name for name in trained)
    frozen = {name: one.clone() for name, one in model.named_parameters() if name not in trained}
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1)
    for _ in range(3):
        (outputs(model) * torch.linspace(-1, 1, outputs(model).shape[-1])).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    said = outputs(model)
    assert (said - outputs(before)).abs().max() > 1e-4
    assert all(torch.equal(one, dict(model.named_parameters())[name]) for name, one in frozen.items())
    whole = merged(tuned(tmp_path, task), {name: one.clone() for name, one in model.state_dict().items()})
    torch.testing.assert_close(outputs(whole), said, rtol=near, atol=near)
    assert set(whole.state_dict()) == set(before.state_dict())
    assert parameter_count(whole) == parameter_count(before)


def test_the_head_of_a_task_is_trained_and_a_language_model_s_is_not(tmp_path):
    for family, task, expected in (("bert", "classification", True), ("llama", "generation", False)):
        tiny_model(family).save_pretrained(tmp_path / family)
        model = with_lora(
            task_model(tmp_path / family, task, "pretrained", 0, CPU, num_labels=3), 2, 4.0, 0,
            trains_head=expected,
        ).model  # fmt: skip
        own = [name for name, one in model.named_parameters() if one.requires_grad and "lora_" not in name]
        assert bool(own) == expected
        assert all("classifier" in name for name in own)


@pytest.mark.parametrize(
    ("family", "head", "embeddings", "first", "last"),
    [
        ("bert", None, "bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.", "cls."),
        ("gpt2", None, "transformer.wpe.weight", "transformer.h.0.", "transformer.ln_f."),
        ("llama", None, "model.embed_tokens.weight", "model.layers.0.", "model.norm."),
        ("t5", None, "shared.weight", "decoder.block.0.", "decoder.final_layer_norm"),
        ("roberta", "bare", "embeddings.word_embeddings.weight", "encoder.layer.0.", "pooler."),
    ],
)
def test_what_lies_deeper_moves_less(family, head, embeddings, first, last):
    model = tiny_model(family, head)
    shares = rate_shares(model, 0.5)
    assert set(shares) == {name for name, _ in model.named_parameters()}
    assert shares[embeddings] == 0.125
    assert {share for name, share in shares.items() if name.startswith(first)} == {0.25}
    second = first.replace(".0.", ".1.")
    assert {share for name, share in shares.items() if name.startswith(second)} == {0.5}
    assert {share for name, share in shares.items() if name.startswith(last)} <= {1.0}
    assert set(rate_shares(model, 1.0).values()) == {1.0}
    assert VOCABULARY in model.get_parameter(embeddings).shape or "wpe" in embeddings
