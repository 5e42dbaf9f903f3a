"""Flex attention reads packed rows as plain attention does; its backward pass needs a GPU (tests/gpu)."""

import pytest
import torch
from torch._dynamo import config as dynamo
from transformers import AutoConfig, AutoModel, PreTrainedModel

from lmtrain.modeling.build import attention_kernel
from lmtrain.modeling.isolation import isolating
from lmtrain.modeling.layers import repeated_layers

VOCABULARY, TOKENS = 40, 256
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": TOKENS,
    "pad_token_id": 1,
}  # fmt: skip
FLEX = attention_kernel(torch.device("cuda"), True, TOKENS)
SHAPES = {"llama": {}, "gemma2": {"sliding_window": 40, "query_pre_attn_scalar": 16}}


def model_of(family: str, attention: str) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = AutoConfig.for_model(family, **SHAPE, **SHAPES[family])
    return AutoModel.from_config(shape, attn_implementation=attention).eval()


def rows(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, numbers of documents and places within them, each of shape (2, TOKENS)."""
    drawn = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, VOCABULARY, (2, TOKENS), generator=drawn)
    begins = torch.rand(2, TOKENS, generator=drawn) < 0.05
    begins[:, 0] = True
    index = torch.arange(TOKENS).expand_as(begins)
    return tokens, begins.cumsum(1), index - torch.where(begins, index, 0).cummax(1).values


pytestmark = [
    pytest.mark.slow,  # the compiler works for half a minute
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated"),  # the compiler's own
]


@pytest.mark.parametrize("family", SHAPES)
@torch.no_grad()
def test_compiled_flex_attention_gives_the_states_of_plain_attention_and_is_compiled_once(family):
    plain, flex = model_of(family, "eager"), model_of(family, FLEX)
    for layer in repeated_layers(flex):
        layer.compile()
    for batch in range(3):
        tokens, document, place = rows(batch)
        with dynamo.patch(error_on_recompile=batch > 0):  # other documents, other masks: the same code
            ours = flex(input_ids=tokens, use_cache=False, **isolating(flex, document, place))
        theirs = plain(input_ids=tokens, use_cache=False, **isolating(plain, document, place))
        torch.testing.assert_close(ours.last_hidden_state, theirs.last_hidden_state, rtol=0, atol=1e-4)


@torch.no_grad()
def test_it_heeds_autocast():
    tokens, document, place = rows(0)
    states = {}
    for kernel in ("eager", FLEX):
        model = model_of("llama", kernel)
        for layer in repeated_layers(model):
            layer.compile()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = model(input_ids=tokens, use_cache=False, **isolating(model, document, place))
        states[kernel] = found.last_hidden_state.float()
    torch.testing.assert_close(states[FLEX], states["eager"], rtol=0, atol=0.1)
