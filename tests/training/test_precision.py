"""The model's own products are measured, the faster type within the recipe's precision is taken, and said."""

import importlib.util
from collections import Counter

import pytest
import torch
from tiny_training import trainer
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from lmtrain.errors import ResourceError
from lmtrain.modeling.products import OneDnnLinear, has_onednn
from lmtrain.training import precision
from lmtrain.training.precision import (
    Products,
    check_precision,
    choose_precision,
    layer_products,
    measured_rates,
    told,
)
from lmtrain.training.process import Process

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
SLOW_HALF = {"fp32": 100e9, "bf16": 60e9}
FAST_HALF = {"fp32": 100e9, "bf16": 190e9}
ONEDNN = {"fp32": 100e9, "fp32-onednn": 210e9, "bf16": 390e9}
NEAR = {"fp32": 100e9, "fp32-onednn": 115e9, "bf16": 90e9}


def test_products_are_those_of_the_layers_and_of_the_output():
    shape = LlamaConfig(
        vocab_size=50, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=3, num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip
    llama = LlamaForCausalLM(shape)
    expected = {Products(64, 24, 24): 8, Products(64, 24, 40): 4, Products(64, 40, 24): 2}
    assert layer_products(llama, 64) == Counter({**expected, Products(64, 24, 50): 1})
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=24, n_layer=1, n_head=2))
    assert sum(layer_products(gpt, 64).values()) == 5


def test_long_sides_are_measured_in_part():
    assert layer_products(torch.nn.Linear(100_000, 8), 1 << 20) == {Products(2048, 2048, 8): 1}


def test_every_way_is_measured_where_there_is_enough_to_multiply():
    rates = measured_rates(Counter({Products(512, 512, 512): 2}), CPU)
    assert list(rates) == ["fp32", *(["fp32-onednn"] if has_onednn() else []), "bf16"]
    assert min(rates.values()) > 0
    assert list(measured_rates(Counter({Products(64, 32, 48): 3}), CPU)) == ["fp32", "bf16"]


def test_a_training_multiplies_as_its_checkpoint_says(tmp_path):
    training = trainer(tmp_path, Process(), "ddp", "adamw", steps=1)
    training._resume = lambda: setattr(training, "precision", precision.Precision("fp32-onednn", 1.0))
    training.run()
    assert isinstance(training.job.model.get_output_embeddings(), OneDnnLinear)


@pytest.mark.parametrize(
    ("wanted", "rates", "taken", "line"),
    [
        ("bf16", SLOW_HALF, "fp32", "multiplying in fp32, the fastest within precision bf16"),
        ("fp32", NEAR, "fp32", "115 GFLOP/s in fp32-onednn, 90 GFLOP/s in bf16; multiplying in fp32"),
        ("bf16", NEAR, "fp32-onednn", "multiplying in fp32-onednn, the fastest within precision bf16"),
        ("bf16", ONEDNN, "bf16", "390 GFLOP/s in bf16; multiplying in bf16"),
        (
            "fp32",
            ONEDNN,
            "fp32-onednn",
            "in precision fp32: precision bf16 would multiply 1.9 times as fast",
        ),
        ("bf16", FAST_HALF, "bf16", "190 GFLOP/s in bf16; multiplying in bf16"),
        ("fp32", FAST_HALF, "fp32", "precision bf16 would multiply 1.9 times as fast"),
        ("fp32", SLOW_HALF, "fp32", "60 GFLOP/s in bf16; multiplying in fp32"),
    ],
)
def test_the_faster_type_within_the_precision_is_taken_and_a_faster_precision_named(
    wanted, rates, taken, line
):
    chosen = choose_precision(wanted, rates, CPU)
    assert (chosen.products, chosen.peak_flops) == (taken, rates[taken])
    assert told(wanted, chosen, rates).endswith(line)


def test_the_choice_stands_in_the_checkpoint_and_is_obeyed_on_resume(tmp_path, monkeypatch):
    lines: list[str] = []
    process = Process(tell=lambda kind, payload: kind == "log" and lines.append(payload["line"]))
    first = trainer(tmp_path, process, "ddp", "adamw", steps=2)
    first._resume()
    assert sum("GFLOP/s in fp32" in line for line in lines) == 1
    first.precision = precision.Precision("bf16", 5.0)
    first._save()
    first._finish()
    again = trainer(tmp_path, process, "ddp", "adamw", steps=2)
    again._resume()
    assert again.precision == precision.Precision("bf16", 5.0)
    assert sum("GFLOP/s in fp32" in line for line in lines) == 1


def test_fp8_is_refused_on_a_cpu_an_older_gpu_and_without_torchao(monkeypatch):
    with pytest.raises(ResourceError, match=r"capability 8.9 or newer, and this is a CPU: set it to bf16"):
        check_precision("fp8", CPU)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    with pytest.raises(ResourceError, match=r"this is a GPU of 8.0"):
        check_precision("fp8", GPU)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match=r"needs the package torchao: pip install 'lmtrain\[gpu\]'"):
        check_precision("fp8", GPU)


def test_other_precisions_are_never_refused():
    for wanted in ("fp32", "bf16"):
        check_precision(wanted, CPU)
