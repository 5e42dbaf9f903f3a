"""Packed and masked, a document is read as if it stood in a row of its own, family by family."""

import pytest
import torch
from packed_families import LENGTH, PAD, SHAPES, VOCABULARY, tiny
from torch.nn.attention.flex_attention import create_mask
from transformers import AutoConfig, AutoModel, PreTrainedModel

from lmtrain.errors import RecipeError
from lmtrain.modeling.isolation import FAMILIES, attention_mask, check_packable, fitting_kernel, isolating

ROWS = [[7, 1, 11], [1, 1, 20], [2, 15, 7], [19], [24]]
"""Tokens of each document of each row; padding follows where a row isn't full."""

TOLERANCE = 1e-9

FLEXIBLE = [name for name, family in FAMILIES.items() if "flex_attention" not in family.without]


def packed() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return tokens, numbers of documents, and places within them, each of shape (rows, LENGTH)."""
    tokens = torch.randint(2, VOCABULARY, (len(ROWS), LENGTH), generator=torch.Generator().manual_seed(0))
    document, place = torch.empty_like(tokens), torch.empty_like(tokens)
    for row, lengths in enumerate(ROWS):
        padding = LENGTH - sum(lengths)
        tokens[row, LENGTH - padding :] = PAD
        parts = torch.tensor([*lengths, padding])
        document[row] = torch.arange(len(parts)).repeat_interleave(parts)
        place[row] = torch.cat([torch.arange(length) for length in parts])
    return tokens, document, place


def alone(tokens: torch.Tensor, document: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each document in a row of its own, and 1 where it stands, each (documents, LENGTH)."""
    rows = []
    for row, lengths in enumerate(ROWS):
        for number in range(len(lengths)):
            own = tokens[row][document[row] == number]
            rows.append(torch.cat([own, own.new_full((LENGTH - len(own),), PAD)]))
    stacked = torch.stack(rows)
    return stacked, (stacked != PAD).long()


def stack_of(model: PreTrainedModel) -> PreTrainedModel:
    """Return what reads tokens: the encoder where there are two stacks."""
    return model.encoder if model.config.is_encoder_decoder else model


def at_documents(states: torch.Tensor, document: torch.Tensor) -> torch.Tensor:
    """Return the states of packed documents, one after the other, shape (tokens, width)."""
    kept = torch.stack([numbers < len(lengths) for numbers, lengths in zip(document, ROWS, strict=True)])
    return states[kept]


@torch.no_grad()
def states_of(family: str, attention: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the hidden states of all documents, packed and each by itself, shape (tokens, width)."""
    stack = stack_of(tiny(family, attention))
    tokens, document, place = packed()
    together = stack(input_ids=tokens, **isolating(stack, document, place)).last_hidden_state
    rows, there = alone(tokens, document)
    if FAMILIES[family].causal:  # what stands behind a document changes nothing
        given = {}
    elif (family, attention) == ("modernbert", "eager"):  # Transformers' mask of window and padding gives NaN
        given = isolating(stack, 1 - there, torch.arange(LENGTH).expand_as(rows))
    else:
        given = {"attention_mask": there}
    separate = stack(input_ids=rows, **given).last_hidden_state
    return at_documents(together, document), separate[there.bool()]


@pytest.mark.parametrize(
    ("family", "attention"),
    [(name, kind) for name in SHAPES for kind in ("eager", "sdpa") if kind not in FAMILIES[name].without],
)
def test_packed_and_masked_states_are_unpacked_states(family, attention):
    together, separate = states_of(family, attention)
    torch.testing.assert_close(together, separate, rtol=0, atol=TOLERANCE)


@pytest.mark.filterwarnings("default")  # PyTorch says that it isn't compiled
@pytest.mark.parametrize("family", FLEXIBLE)
@torch.no_grad()
def test_with_block_masks_they_are_the_same(family):
    """By the definition of flex attention; its kernel is for GPUs (tests/gpu)."""
    tokens, document, place = packed()
    found = []
    with torch.compiler.set_stance("force_eager"):
        for kernel in ("eager", "flex_attention"):
            model = stack_of(tiny(family, kernel))
            states = model(input_ids=tokens, **isolating(model, document, place)).last_hidden_state
            found.append(at_documents(states, document))
    torch.testing.assert_close(
        found[0], found[1], rtol=0, atol=1e-4
    )  # Transformers' eager softmax is float32


@pytest.mark.parametrize("family", SHAPES)
def test_without_masks_they_are_not(family):
    """Else the test above would show nothing: in these models documents do change each other."""
    stack = stack_of(tiny(family, "eager"))
    tokens, document, place = packed()
    with torch.no_grad():
        apart = stack(input_ids=tokens, **isolating(stack, document, place)).last_hidden_state
        mixed = stack(input_ids=tokens).last_hidden_state
    assert (at_documents(apart, document) - at_documents(mixed, document)).abs().max() > 0.01


def test_every_family_that_is_packed_is_tested():
    assert FAMILIES.keys() == SHAPES.keys()


@pytest.mark.parametrize("family", ["t5", "mt5"])
@torch.no_grad()
def test_a_decoder_of_packed_pairs_sees_its_own_source_alone(family):
    model = tiny(family, "sdpa")
    tokens, document, place = packed()
    source = model.encoder(input_ids=tokens, **isolating(model.encoder, document, place)).last_hidden_state
    across = attention_mask(document, document, "sdpa", model.dtype, causal=False)
    together = model.decoder(
        input_ids=tokens, encoder_hidden_states=source, encoder_attention_mask=across,
        **isolating(model.decoder, document, place),
    ).last_hidden_state  # fmt: skip
    rows, there = alone(tokens, document)
    separate = model(
        input_ids=rows, attention_mask=there, decoder_input_ids=rows, decoder_attention_mask=there
    ).last_hidden_state[there.bool()]
    torch.testing.assert_close(at_documents(together, document), separate, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("family", "kernel"), [(name, kernel) for name, family in FAMILIES.items() for kernel in family.without]
)
def test_a_kernel_that_a_family_lacks_is_replaced_by_one_that_fits(family, kernel):
    fitting = fitting_kernel(tiny(family, "eager").config, kernel)
    assert fitting not in FAMILIES[family].without
    assert tiny(family, fitting).config._attn_implementation == fitting


UNPACKED = {
    "bloom": {"hidden_size": 16, "n_head": 2, "n_layer": 1},
    "bart": {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
    "pegasus": {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
    "marian": {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
    "m2m_100": {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
}


@pytest.mark.parametrize("family", UNPACKED)
def test_a_family_that_can_not_be_packed_is_refused_by_name(family):
    shape = AutoConfig.for_model(family, **UNPACKED[family])
    with pytest.raises(RecipeError, match=rf"{family} models can't .* packing: none"):
        check_packable(shape)


def test_bloom_takes_no_mask_of_four_dimensions():
    """The reason why it is refused: should this begin to work, it can be packed."""
    shape = AutoConfig.for_model("bloom", vocab_size=VOCABULARY, **UNPACKED["bloom"])
    tokens, document, _ = packed()
    mask = attention_mask(document, document, "eager", torch.float32, causal=True)
    model = AutoModel.from_config(shape, attn_implementation="eager")
    with pytest.raises((RuntimeError, ValueError)):
        model(input_ids=tokens, attention_mask=mask)


@pytest.mark.parametrize("window", [None, 1, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_a_block_mask_allows_what_a_dense_one_does(causal, window):
    _, document, _ = packed()
    dense = attention_mask(document, document, "sdpa", torch.float32, causal=causal, window=window)
    blocks = attention_mask(document, document, "flex_attention", torch.float32, causal=causal, window=window)
    allowed = create_mask(blocks.mask_mod, len(document), None, LENGTH, LENGTH, device="cpu")
    assert torch.equal(allowed, dense == 0)


def test_a_mask_has_the_type_in_which_autocast_multiplies():
    _, document, _ = packed()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mask = attention_mask(document, document, "sdpa", torch.float32, causal=True)
    assert mask.dtype == torch.bfloat16
    assert bool(torch.isfinite(mask).all())
