"""The plain loop beside which ours is measured: a Llama in PyTorch's own words, trained as nanoGPT does.

No library, no document boundaries, whole logits: forward, backward, clip, AdamW
(fused on a GPU only, as there), one global batch a step.
"""

import sys
from contextlib import nullcontext

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from training_side import Case, of_standard_streams


class Norm(nn.Module):
    """RMS norm in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).type_as(x)


class Attention(nn.Module):
    """Causal attention with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, tokens, width = x.shape
        q, k, v = (
            project(x).view(rows, tokens, self.heads, -1).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(rows, tokens, width))


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat((-right, left), dim=-1) * sin.to(x.dtype)


class FeedForward(nn.Module):
    """Gated by SiLU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """Attention and feed-forward part, each after its norm."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(width), Norm(width)
        self.self_attn = Attention(width, heads)
        self.mlp = FeedForward(width, inner)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """Weights have the names of Transformers' Llama without `model.`; the head is the embedding."""

    def __init__(self, shape: dict[str, int], tokens: int) -> None:
        super().__init__()
        width, heads = shape["hidden_size"], shape["num_attention_heads"]
        self.embed_tokens = nn.Embedding(shape["vocab_size"], width)
        self.layers = nn.ModuleList(
            Block(width, heads, shape["intermediate_size"]) for _ in range(shape["num_hidden_layers"])
        )
        self.norm = Norm(width)
        rates = 10_000.0 ** -(torch.arange(0, width // heads, 2) / (width // heads))
        angles = torch.arange(tokens)[:, None] * torch.cat((rates, rates))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        x = self.embed_tokens(inputs)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = functional.linear(self.norm(x), self.embed_tokens.weight)
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]).float(), targets.reshape(-1))


def optimizer_of(model: nn.Module, case: Case) -> torch.optim.AdamW:
    """Return AdamW that decays matrices alone."""
    parameters = list(model.parameters())
    return torch.optim.AdamW(
        [
            {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": case.weight_decay},
            {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
        ],
        lr=case.learning_rate,
        betas=(0.9, 0.95),
    )


def main() -> None:
    """Train on the case that comes in."""
    side = of_standard_streams()
    case = side.case
    batches = case.batches()
    model = Llama(case.shape, batches.shape[-1] - 1)
    weights = load_file(f"{case.folder}/model.safetensors")
    weights.pop("lm_head.weight", None)  # the embedding
    model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
    optimizer = optimizer_of(model, case)
    trained = torch.compile(model) if case.compiled else model
    side.wait()
    for batch in batches:
        rows = torch.from_numpy(batch)
        with torch.autocast("cpu", torch.bfloat16) if case.precision == "bf16" else nullcontext():
            loss = trained(rows[:, :-1], rows[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        side.stepped(loss.item())
    sys.exit("more steps were asked for than the case has")


if __name__ == "__main__":
    main()
