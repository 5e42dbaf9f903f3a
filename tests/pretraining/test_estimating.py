"""What a pretraining will take, told from the recipe alone."""

import json
import re
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from tiny_models import causal_lm
from torch.utils.flop_counter import FlopCounterMode

from lmtrain.cli import main
from lmtrain.config import Resources
from lmtrain.pretraining import estimating
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.estimating import estimate
from lmtrain.training.devices import DEVICES, Device, known_device
from lmtrain.training.flops import attention_width, flops_per_token, recomputed_flops_per_token

TINY = str(Path(__file__).parent.parent / "recipes" / "tiny.yaml")
SMALL = PretrainConfig(
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    row_tokens=64,
    train_batch_size=8,
    max_steps=10,
)


def told(*arguments: str, recipe: str = TINY) -> Result:
    return CliRunner().invoke(main, ["estimate", recipe, *arguments], catch_exceptions=False)


@pytest.mark.slow
def test_a_deep_model_follows_in_a_line_from_shallow_ones(monkeypatch):
    deep = SMALL.model_copy(update={"num_hidden_layers": 10, "optimizer": "muon", "row_tokens": 256})
    one = Resources(workers=1, micro_batch_size=4)
    by_line = estimate(deep, 512, one, DEVICES[0], 0.4)
    monkeypatch.setattr(estimating, "TRACED_LAYERS", (1, 10))
    traced = estimate(deep, 512, one, DEVICES[0], 0.4)
    for ours, theirs in zip(by_line.choices, traced.choices, strict=True):
        assert ours.memory.weights == pytest.approx(theirs.memory.weights, rel=1e-6)
        assert ours.device_bytes == pytest.approx(theirs.device_bytes, rel=0.02), ours.recompute


def test_the_cheapest_that_fits_is_named_and_what_does_not_fit_is_not(monkeypatch):
    workers = Resources(workers=4, micro_batch_size=1)
    large = SMALL.model_copy(update={"hidden_size": 512})
    once = cache(partial(estimating._memory, large, 4096, device=DEVICES[0]))
    monkeypatch.setattr(estimating, "_memory", lambda config, size, how, device: once(how))
    roomy = estimate(large, 4096, workers, Device("X", 1e12, 80e9), 0.4)
    assert roomy.best is not None
    assert (roomy.best.sharding, roomy.best.recompute, roomy.best.offload) == ("ddp", "none", False)
    assert len(roomy.choices) == 4 * 3 * 2
    least = min(choice.device_bytes for choice in roomy.choices if not choice.offload)
    tight = estimate(large, 4096, workers, Device("X", 1e12, least * 1.15), 0.4)
    assert tight.best is not None
    assert not tight.best.offload
    assert tight.best.sharding != "ddp"
    assert estimate(large, 4096, workers, Device("X", 1e12, 1e6), 0.4).best is None


def test_hours_are_tokens_by_operations_and_recomputing_all_takes_a_third_more_at_most():
    found = estimate(SMALL, 512, Resources(workers=2), Device("X", 1e9, 1e9), 0.5)
    assert found.tokens == 10 * 8 * 64
    first = found.choices[0]
    assert first.tokens_per_second == pytest.approx(1e9 * 0.5 * 2 / found.flops_per_token)
    assert first.hours == pytest.approx(found.tokens / first.tokens_per_second / 3600)
    full = next(choice for choice in found.choices if choice.recompute == "full")
    assert 1 < first.tokens_per_second / full.tokens_per_second < 4 / 3


def test_operations_of_a_token_are_those_that_are_counted():
    config = SMALL.model_copy(update={"num_key_value_heads": 1, "intermediate_size": 160})
    model = causal_lm(config, 512, 64, attention="eager")
    ids = torch.zeros(2, 64, dtype=torch.long)
    with FlopCounterMode(display=False) as forward:
        model(ids, use_cache=False)
    with FlopCounterMode(display=False) as both:
        model(ids, labels=ids, use_cache=False).loss.backward()
    masked = 6 * attention_width(model) * 64  # eager attention works out what is masked, too
    assert flops_per_token(model, 64) == pytest.approx(
        both.get_total_flops() / ids.numel() - masked, rel=0.02
    )
    layers = forward.get_total_flops() / ids.numel() - 2 * 512 * 64 - masked / 3
    assert recomputed_flops_per_token(model, 64) == pytest.approx(layers, rel=0.02)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("AMD Instinct MI300X", "MI300X"),
        ("h200", "H200"),
        ("NVIDIA T4", None),
    ],
)
def test_a_gpu_is_known_by_what_its_driver_calls_it(name, meant):
    found = known_device(name)
    assert (found and found.name) == meant


def test_a_table_says_what_fits_and_what_to_write_into_the_recipe(root):
    shown = told("--device", "l4", "--workers", "1", "--mfu", "0.4")
    assert shown.exit_code == 0
    assert "on 1 × L4: 24 GB and 121 TFLOP/s each, of which 40% are used: as given" in shown.stdout
    assert sum(line.startswith("→  none") for line in shown.stdout.splitlines()) == 1
    assert shown.stdout.splitlines()[-1] == "→ the cheapest that fits: resources: {recompute: none}"


def test_json_holds_the_same(root):
    found = json.loads(told("--device", "h100", "--workers", "1", "--json").stdout)
    assert found["device"] == {"name": "H100", "flops": 989e12, "memory": 80e9}
    assert [choice["recompute"] for choice in found["choices"]] == ["none", "selective", "full"]
    assert found["best"] == 0


def test_an_unknown_device_is_one_line_that_names_those_known():
    refused = told("--device", "abacus")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("lmtrain: --device abacus isn't known; known are cpu, B200, ")
    assert refused.stderr.count("\n") == 1


def test_a_precision_that_this_machine_does_not_have_is_one_line(tmp_path):
    recipe = tmp_path / "fp8.yaml"
    text = Path(TINY).read_text().replace("\npretrain:\n", "\npretrain:\n  precision: fp8\n")
    recipe.write_text(re.sub(r"\n  precision: (?!fp8).*", "", text))
    refused = told("--device", "cpu", recipe=str(recipe))
    assert refused.exit_code == 2
    assert refused.stderr.startswith("lmtrain: precision is fp8, which needs a GPU")


def test_an_lstm_of_both_directions_is_estimated_with_both_of_its_losses():
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}
    config = PretrainConfig(
        architecture="elmo", objective="bilm", row_tokens=32, train_batch_size=4, max_steps=10, **shape
    )
    found = estimate(config, 512, Resources(workers=1, micro_batch_size=4), DEVICES[0], 0.4)
    assert found.parameters == config.parameters(512) + 2 * 2 * 4 * 48, "with a bias for each gate"
    assert found.flops_per_token == 6 * (config.parameters(512) + 512 * 32), (
        "the output layer is gone through twice"
    )
    assert found.best is not None
