"""ELECTRA in training: a small generator that proposes tokens, and the model that tells them from real ones.

Both share their embeddings. What is exported is the discriminator, an ordinary
Transformers folder, with the generator in a folder of its own beside it.
"""

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

GENERATOR = "generator"
"""Folder of the generator within the exported one."""


class GeneratorAndDiscriminator(nn.Module):
    """Two ELECTRA models as one that is trained, saved and counted as a whole."""

    def __init__(self, config: ElectraConfig, share: float, **kinds: Any) -> None:
        """Make both with random weights.

        Args:
            config: of the discriminator.
            share: of its width that the generator has (Clark et al. 2020: a quarter to a half).
            **kinds: how both are made: attention and type.
        """
        super().__init__()
        self.discriminator = ElectraForPreTraining._from_config(config, **kinds)
        self.generator = ElectraForMaskedLM._from_config(generator_config(config, share), **kinds)
        self._share_embeddings()

    @classmethod
    def from_folder(cls, folder: Path, **kinds: Any) -> Self:
        """Return both as `save_pretrained` wrote them.

        Args:
            folder: of the discriminator, with the generator's within.
            **kinds: how both are made: attention and type.
        """
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        safe = {"use_safetensors": True, **kinds}
        made.discriminator = ElectraForPreTraining.from_pretrained(folder, **safe)
        made.generator = ElectraForMaskedLM.from_pretrained(folder / GENERATOR, **safe)
        made._share_embeddings()
        return made

    def _share_embeddings(self) -> None:
        embeddings, shared = self.generator.electra.embeddings, self.discriminator.electra.embeddings
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
            setattr(embeddings, name, getattr(shared, name))
        self.generator.generator_lm_head.weight = shared.word_embeddings.weight

    @property
    def config(self) -> Any:
        """The discriminator's config."""
        return self.discriminator.config

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return self.discriminator.dtype

    def get_output_embeddings(self) -> nn.Linear:
        """Return the generator's output layer: the discriminator says one number for a token."""
        return self.generator.generator_lm_head

    def save_pretrained(
        self, folder: str | Path, state_dict: dict[str, Tensor], safe_serialization: bool = True
    ) -> None:
        """Write the discriminator, and the generator within.

        Args:
            folder: where to.
            state_dict: weights of both by name.
            safe_serialization: as Transformers has it.
        """
        for name, place in (("discriminator", Path(folder)), (GENERATOR, Path(folder, GENERATOR))):
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in state_dict.items()
                if key.startswith(f"{name}.")
            }
            model: Any = getattr(self, name)
            model.save_pretrained(place, state_dict=own, safe_serialization=safe_serialization)


def generator_config(config: ElectraConfig, share: float) -> ElectraConfig:
    """Return the generator's config: a share of the width, of the heads and of the feed-forward part."""
    width = config.hidden_size // config.num_attention_heads
    heads = max(1, round(config.num_attention_heads * share))
    given: dict[str, Any] = config.to_dict() | {
        "hidden_size": heads * width,
        "num_attention_heads": heads,
        "intermediate_size": max(1, round(config.intermediate_size * share)),
    }
    return ElectraConfig(**given)
