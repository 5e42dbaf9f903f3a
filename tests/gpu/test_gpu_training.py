"""What only a GPU can show: compiled layers, flex attention, fused AdamW, bf16, and what memory is saved.

Needs torch, transformers, numpy, pyarrow, pydantic and pytest, nothing else:

    python -m pytest tests/gpu
"""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from lmtrain.config import Resources
from lmtrain.modeling.build import attention_kernel
from lmtrain.modeling.layers import repeated_layers
from lmtrain.objectives.base import Batch
from lmtrain.objectives.clm import CausalLM
from lmtrain.objectives.cross_entropy import chunked_cross_entropy, summed_cross_entropy
from lmtrain.objectives.packed import PackedRow
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer, whole_weights
from lmtrain.training.process import Process
from lmtrain.training.recomputing import recompute

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("default"),  # PyTorch's compiler warns of its own deprecated parts
]

GPU = torch.device("cuda")
VOCABULARY, TOKENS = 512, 384

SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": TOKENS,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1,
}  # fmt: skip
WINDOWED = {
    **SHAPE, "sliding_window": 50, "query_pre_attn_scalar": 32,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}  # fmt: skip
FAMILIES = {
    "llama": SHAPE,
    "mistral": {**SHAPE, "sliding_window": 50},
    "gemma2": {**WINDOWED, "final_logit_softcapping": None},
    "gemma3_text": WINDOWED,
}


class RandomDocuments:
    """Rows of random tokens, each in documents of random lengths."""

    lengths = None

    def __init__(self, count: int) -> None:
        drawn = np.random.default_rng(0)
        self.tokens = drawn.integers(2, VOCABULARY, size=(count, TOKENS + 1))
        self.document = np.cumsum(drawn.random((count, TOKENS)) < 0.02, axis=1)

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        return [PackedRow(self.tokens[index], self.document[index]) for index in indices]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        return [[f"d{index}"] for index in indices]


def batch_of(rows: int) -> Batch:
    taken = RandomDocuments(rows).take(np.arange(rows))
    batch = CausalLM(pad=0).collate(taken, np.arange(rows), np.zeros(rows), 0)
    return {name: value.to(GPU) for name, value in batch.items()}


def model_of(family: str, attention: str) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = AutoConfig.for_model(family, **FAMILIES[family])
    return AutoModelForCausalLM.from_config(shape, attn_implementation=attention, dtype=torch.float32).to(GPU)


def trainer(folder, *, compiled: bool, precision: str = "fp32", optimizer: str = "adamw") -> Trainer:
    model = model_of("llama", attention_kernel(GPU, compiled, TOKENS))
    config = TrainingConfig(
        optimizer=optimizer, learning_rate=2e-3, precision=precision, train_batch_size=8, eval_steps=10
    )
    job = Job(
        model=model, layers=repeated_layers(model), objective=CausalLM(pad=0, compiled=compiled),
        rows=RandomDocuments(64), validation=None, bytes_per_target=None, config=config, steps=10,
        checkpoints=str(folder / "checkpoints"), attempt="a", log_folder=folder / "log", flops_per_token=1.0,
    )  # fmt: skip
    return Trainer(job, Resources(micro_batch_size=4, compile=compiled), Process(device=GPU))


def losses_of(made: Trainer) -> list[float]:
    """Run to the end; return the summed loss of every step."""
    losses, update = [], made._update

    def updated(loss: float, targets: float, size: int) -> tuple[bool, float]:
        losses.append(loss / targets)
        return update(loss, targets, size)

    made._update = updated
    made.run()
    return losses


def peak_of(work) -> int:
    """Return the most bytes that were held beyond what was held before."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("family", FAMILIES)
def test_flex_attention_gives_the_loss_and_gradients_of_a_dense_mask(family):
    batch, objective = batch_of(4), CausalLM(pad=0)
    found = {}
    dense = "eager" if family == "gemma2" else "sdpa"  # there is no such kernel for capped scores
    for kernel in (dense, "flex_attention"):
        model = model_of(family, kernel)
        loss = objective.loss(model, batch)
        loss.backward()
        gradients = torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])
        found[kernel] = float(loss.detach()), gradients
    assert found["flex_attention"][0] == pytest.approx(found[dense][0], rel=1e-4)
    ours, theirs = found["flex_attention"][1], found[dense][1]
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-2


def test_compiled_with_flex_attention_it_learns_as_it_does_without(tmp_path):
    plain = losses_of(trainer(tmp_path / "plain", compiled=False))
    compiled = losses_of(trainer(tmp_path / "compiled", compiled=True))
    np.testing.assert_allclose(compiled, plain, rtol=2e-3)


def test_rows_of_other_documents_are_not_compiled_again():
    model = model_of("llama", attention_kernel(GPU, True, TOKENS))
    for layer in repeated_layers(model):
        layer.compile()
    objective, batch = CausalLM(pad=0), batch_of(4)
    objective.loss(model, batch).backward()
    with torch._dynamo.config.patch(error_on_recompile=True):
        for shift in (1, 2, 3):
            other = {name: value.roll(shift, 0) for name, value in batch.items()}
            other["document"] = torch.zeros_like(batch["document"]) if shift == 3 else other["document"]
            objective.loss(model, other).backward()


def test_the_loss_in_bf16_is_near_that_in_fp32(tmp_path):
    full = losses_of(trainer(tmp_path / "full", compiled=False))
    half = losses_of(trainer(tmp_path / "half", compiled=False, precision="bf16"))
    np.testing.assert_allclose(half, full, rtol=1e-2)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_it_learns_compiled_in_bf16(tmp_path, optimizer):
    losses = losses_of(trainer(tmp_path, compiled=True, precision="bf16", optimizer=optimizer))
    assert all(np.isfinite(losses))
    assert losses[-1] < losses[0]


def test_fused_adamw_moves_weights_as_the_plain_one_does(tmp_path):
    made = trainer(tmp_path, compiled=False)
    config = made.config
    ours = dict(made.job.model.named_parameters())
    plain = {name: value.detach().clone().requires_grad_() for name, value in ours.items()}
    groups = [
        {"params": [one for one in plain.values() if one.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [one for one in plain.values() if one.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (config.adam_beta1, config.adam_beta2)
    reference = torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, fused=False, foreach=False)
    generator = torch.Generator(GPU).manual_seed(0)
    for _ in range(3):
        for name, value in ours.items():
            value.grad = torch.randn(value.shape, device=GPU, generator=generator)
            plain[name].grad = value.grad.clone()
        made.optimizers.step(1.0)
        reference.step()
    for name, value in ours.items():
        torch.testing.assert_close(value.detach(), plain[name].detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", ["selective", "full"])
def test_what_is_worked_out_again_gives_the_same_gradients_in_less_memory(how):
    batch, objective, found = batch_of(8), CausalLM(pad=0), {}
    for kind in ("none", how):
        model = model_of("llama", "sdpa")
        recompute(repeated_layers(model), kind)
        model.train()
        held = peak_of(lambda model=model: objective.loss(model, batch).backward())
        found[kind] = held, torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])
    assert found[how][0] < found["none"][0]
    torch.testing.assert_close(found[how][1], found["none"][1], rtol=1e-4, atol=1e-5)


def test_compiled_flex_attention_is_kept_where_the_rest_is_worked_out_again():
    batch, objective, held, gradients = batch_of(8), CausalLM(pad=0), {}, {}
    for how in ("none", "selective", "full"):
        model = model_of("llama", "flex_attention")
        layers = repeated_layers(model)
        recompute(layers, how)
        for layer in layers:
            layer.compile()
        objective.loss(model, batch).backward()  # compiles
        model.zero_grad()
        held[how] = peak_of(lambda model=model: objective.loss(model, batch).backward())
        gradients[how] = torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])
    assert held["full"] <= held["selective"] < held["none"]
    for how in ("selective", "full"):
        assert float((gradients[how] - gradients["none"]).norm() / gradients["none"].norm()) < 1e-2


def test_chunked_loss_never_holds_all_logits():
    tokens, width, classes = 16_384, 256, 128_000
    hidden = torch.randn(tokens, width, device=GPU, dtype=torch.bfloat16, requires_grad=True)
    weight = (torch.randn(classes, width, device=GPU, dtype=torch.bfloat16) * 0.02).requires_grad_()
    labels = torch.randint(0, classes, (tokens,), device=GPU)
    whole_logits = 2 * tokens * classes
    chunked = peak_of(lambda: chunked_cross_entropy(hidden, weight, labels).backward())
    assert chunked < whole_logits
    gradient = hidden.grad
    hidden.grad = None
    summed_cross_entropy(hidden @ weight.mT, labels).backward()
    assert float((gradient - hidden.grad).float().norm() / hidden.grad.float().norm()) < 2e-2


def test_stopped_and_resumed_on_a_gpu_the_weights_are_those_of_an_undisturbed_training(tmp_path):
    made = trainer(tmp_path / "whole", compiled=False)
    made.run()
    parts = trainer(tmp_path / "parts", compiled=False)
    parts._resume()
    for _ in range(5):
        parts._advance()
    parts._save()
    parts.checkpoints.wait()
    resumed = trainer(tmp_path / "parts", compiled=False)
    resumed.run()
    ours, theirs = whole_weights(resumed.job.model), whole_weights(made.job.model)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-5)
