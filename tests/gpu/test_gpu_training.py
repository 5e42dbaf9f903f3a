"""What only a GPU can show: compiled training, flex attention, fused kernels, bf16, memory.

Skips itself without one. Needs PyTorch's CUDA build, transformers, numpy, pyarrow, pydantic and pytest,
and nothing else of the project's dependencies: `pytest tests/gpu`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from lmtrain.config import Resources
from lmtrain.modeling.build import attention_kernel, new_causal_lm, repeated_layers
from lmtrain.modeling.config import ModelConfig
from lmtrain.objectives.clm import CausalLM
from lmtrain.objectives.cross_entropy import chunked_cross_entropy, summed_cross_entropy
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Job, Trained
from lmtrain.training.loop import Trainer
from lmtrain.training.optimizers import Optimizers
from lmtrain.training.packing import PackedRow
from lmtrain.training.process import Process
from lmtrain.training.recomputing import recompute

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

GPU = torch.device("cuda")
VOCABULARY, TOKENS, PAD = 512, 512, 1
SHAPE = ModelConfig(hidden_size=256, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2)


class MadeRows:
    """Rows in which every token follows from the one before it, in documents of many lengths."""

    lengths = None

    def __init__(self, count: int) -> None:
        drawn = np.random.default_rng(0)
        steps = drawn.integers(1, 4, size=(count, TOKENS + 1))
        self.tokens = 2 + steps.cumsum(axis=1) % (VOCABULARY - 2)
        self.document = (drawn.random((count, TOKENS)) < 0.01).cumsum(axis=1)

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, indices: np.ndarray) -> list[PackedRow]:
        return [PackedRow(self.tokens[index], self.document[index]) for index in indices]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        return [[f"d{index}"] for index in indices]


def batch_of(rows: int) -> dict[str, Tensor]:
    """A batch on the GPU."""
    places = np.arange(rows)
    made = CausalLM(PAD).collate(MadeRows(rows).take(places), places, np.zeros_like(places), 0)
    return {name: value.to(GPU) for name, value in made.items()}


def new_model(attention: str) -> torch.nn.Module:
    return new_causal_lm(SHAPE, VOCABULARY, TOKENS, 0, PAD, 0, GPU, attention)


def losses(folder: Path, *, steps: int = 30, compiled: bool = False, **changes: str) -> list[float]:
    """Train through the loop; return the loss of the log steps and of the validation rows."""
    model = new_model(attention_kernel(GPU, compiled, TOKENS))
    config = TrainingConfig(
        **{"optimizer": "adamw", "precision": "fp32", "learning_rate": 2e-3, **changes},
        train_batch_size=8, eval_steps=steps,
    )  # fmt: skip
    job = Job(
        model=model, layers=repeated_layers(model), objective=CausalLM(PAD, compiled=compiled),
        rows=MadeRows(64), validation=MadeRows(8), bytes_per_target=None, config=config, steps=steps,
        checkpoints=str(folder / "checkpoints"), attempt="a", log_folder=folder / "log", flops_per_token=1.0,
    )  # fmt: skip
    resources = Resources(micro_batch_size=4, compile=compiled, workers=1)
    outcome = Trainer(job, resources, Process(device=GPU)).run()
    return [row["loss"] for row in outcome.rows if "loss" in row] + [outcome.figures["validation_loss"]]


def most_bytes(work: Callable[[], object]) -> int:
    """Bytes that stood on the GPU at once while something was done, beyond those before."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_compiled_with_flex_attention_it_trains_as_it_does_uncompiled(tmp_path, optimizer):
    plain = losses(tmp_path / "plain", optimizer=optimizer)
    compiled = losses(tmp_path / "compiled", compiled=True, optimizer=optimizer)
    assert plain[-1] < plain[0] - 1, "it learns"
    np.testing.assert_allclose(compiled, plain, rtol=5e-3)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_bf16_gives_the_loss_of_fp32(tmp_path, optimizer):
    full = losses(tmp_path / "fp32", optimizer=optimizer, compiled=True)
    half = losses(tmp_path / "bf16", optimizer=optimizer, compiled=True, precision="bf16")
    np.testing.assert_allclose(half, full, rtol=2e-2)


@pytest.mark.parametrize(
    ("family", "given"),
    [
        ("llama", {}),
        ("mistral", {"sliding_window": 40}),
        ("gemma2", {"sliding_window": 40, "query_pre_attn_scalar": 64}),
        ("qwen3", {}),
    ],
)
def test_flex_attention_gives_loss_and_gradients_of_plain_attention(family, given):
    shape = {
        "vocab_size": VOCABULARY, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64, "pad_token_id": PAD,
        "max_position_embeddings": TOKENS,
    }  # fmt: skip
    found = {}
    for attention in ("eager", "flex_attention"):
        torch.manual_seed(0)
        config = AutoConfig.for_model(family, **shape, **given)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).to(GPU)
        loss = CausalLM(PAD).loss(model, batch_of(3))
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        found[attention] = loss.detach(), gradients
    (plain, slopes), (flex, others) = found["eager"], found["flex_attention"]
    torch.testing.assert_close(flex, plain, rtol=1e-4, atol=0)
    for name, slope in slopes.items():
        scale = float(slope.abs().max())
        torch.testing.assert_close(others[name], slope, rtol=0, atol=2e-3 * scale, msg=name)


def test_fused_adamw_on_a_gpu_moves_weights_as_on_a_cpu():
    after = []
    for device in (torch.device("cpu"), GPU):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Linear(64, 16))
        given = torch.randn(8, 32)
        model.to(device)
        optimizers = Optimizers(model, TrainingConfig(optimizer="adamw", precision="fp32"))
        for _ in range(3):
            optimizers.zero_gradients()
            model(given.to(device)).square().sum().backward()
            optimizers.step(1.0)
        after.append([parameter.detach().cpu() for parameter in model.parameters()])
    for ours, theirs in zip(*after, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


def test_what_is_worked_out_again_saves_memory_and_changes_no_gradient():
    bytes_taken, gradients = {}, {}
    batch = batch_of(8)
    for how in ("none", "selective", "full"):
        model = new_model("flex_attention")
        layers = repeated_layers(model)
        recompute(layers, how)
        for layer in layers:
            layer.compile()
        trained = Trained(model, CausalLM(PAD, compiled=True))

        def step(trained: Trained = trained) -> None:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = trained(batch)
            loss.backward()

        step()  # compiles
        trained.zero_grad()
        bytes_taken[how] = most_bytes(step)
        gradients[how] = [parameter.grad for parameter in model.parameters()]
    assert bytes_taken["full"] < bytes_taken["selective"] < bytes_taken["none"]
    for how in ("selective", "full"):
        for ours, theirs in zip(gradients[how], gradients["none"], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=float(theirs.abs().max()) * 2e-2)


def test_in_chunks_the_logits_of_a_large_vocabulary_never_stand_whole_in_memory():
    classes, width, tokens = 65_536, 512, 16_384
    hidden = torch.randn(tokens, width, device=GPU, requires_grad=True)
    weight = (torch.randn(classes, width, device=GPU) / width).requires_grad_()
    labels = torch.randint(classes, (tokens,), device=GPU)
    found = {}

    def plain() -> None:
        found["plain"] = summed_cross_entropy(hidden @ weight.mT, labels)
        found["plain"].backward()

    def chunked() -> None:
        found["chunked"] = chunked_cross_entropy(hidden, weight, labels)
        found["chunked"].backward()

    whole = most_bytes(plain)
    slopes = hidden.grad.clone()
    hidden.grad = weight.grad = None
    pieces = most_bytes(chunked)
    torch.testing.assert_close(found["chunked"].detach(), found["plain"].detach(), rtol=1e-4, atol=0)
    torch.testing.assert_close(hidden.grad, slopes, rtol=0, atol=float(slopes.abs().max()) * 1e-3)
    assert whole >= 4 * tokens * classes, "float32 logits"
    assert pieces < whole / 3
