"""On a GPU, too, a step takes the memory that was estimated. Skips itself without one."""

import pytest
import torch

from lmtrain.config import Resources
from lmtrain.modeling.layers import repeated_layers
from lmtrain.objectives.clm import CausalLM
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.estimating import IDS, _batch, estimate
from lmtrain.pretraining.making import model_of
from lmtrain.training.devices import this_gpu
from lmtrain.training.job import Trained
from lmtrain.training.optimizers import Optimizers
from lmtrain.training.precision import Precision
from lmtrain.training.recomputing import recompute

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

CONFIG = PretrainConfig(
    hidden_size=768, num_hidden_layers=6, num_attention_heads=12, row_tokens=1024, train_batch_size=16,
    optimizer="adamw", precision="bf16",
)  # fmt: skip
VOCABULARY = 32_000
RESOURCES = Resources(workers=1, micro_batch_size=8)


def taken(how: str) -> int:
    """The most bytes that PyTorch's allocator gave out in two steps of two micro-batches."""
    device = torch.device("cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model = model_of(CONFIG, IDS, VOCABULARY, device, compiled=False)
    recompute(repeated_layers(model), how)
    trained, optimizers = Trained(model, CausalLM(IDS.pad)), Optimizers(model, CONFIG)
    batch = {name: value.to(device) for name, value in _batch(CONFIG, VOCABULARY, RESOURCES, 8).items()}
    for _ in range(2):
        optimizers.zero_gradients()
        for _ in range(2):
            with Precision("bf16", 0.0).autocast(device):
                loss = trained(batch)
            (loss / 1000).backward()
            del loss
        optimizers.step(1.0)
    return torch.cuda.max_memory_allocated() - before


@pytest.mark.parametrize("how", ["none", "selective", "full"])
def test_a_step_takes_what_was_estimated(how):
    found = estimate(CONFIG, VOCABULARY, RESOURCES, this_gpu(1e12), 0.4)
    choice = next(choice for choice in found.choices if choice.recompute == how)
    assert choice.device_bytes == pytest.approx(taken(how), rel=0.1)
