"""Replaced-token detection, ELECTRA's: which tokens did a generator put in place of masked ones?

The generator learns the masked tokens; what it draws takes their place, and the
discriminator says of every token of the text whether it is the original. A token
drawn that equals the original counts as original. The generator's draws pass no
gradient on.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmtrain.objectives.base import IGNORED, Batch, Setting, generator
from lmtrain.objectives.mlm import MaskedLM, encoder_arguments, token_loss

WEIGHT = 50.0
"""Of the discriminator's loss beside the generator's (Clark et al. 2020)."""

DRAWS = 2
"""Purpose of the draws by which masked tokens are replaced."""


class ReplacedTokens(MaskedLM):
    """Masked language modeling by the generator, and detection over all tokens that aren't padding."""

    targets: ClassVar[Mapping[str, str]] = {"generator": "labels", "discriminator": "labels_of_tokens"}

    def __init__(self, *given: Any, weight: float = WEIGHT, **settings: Any) -> None:
        """Learn to detect; other arguments as `MaskedLM` has them.

        Args:
            *given: as for `MaskedLM`.
            weight: of the discriminator's loss.
            **settings: as for `MaskedLM`.
        """
        super().__init__(*given, **settings)
        self.weight = weight

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        made = super().of(setting)
        made.weight = setting.config.replaced_token_weight
        return made

    def collate(self, rows: Any, indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Mask rows.

        Returns:
            What `MaskedLM.collate` does; `labels_of_tokens`, the tokens before they were masked, shape
            (rows, T), `IGNORED` beside padding; and `draws`, a number between 0 and 1 for each target.
        """
        batch = super().collate(rows, indices, epochs, seed)
        original = np.where(rows.inputs >= 0, rows.inputs, IGNORED)
        batch["labels_of_tokens"] = torch.from_numpy(original)
        pairs = zip(epochs.tolist(), indices.tolist(), strict=True)
        draws = [generator(seed, *pair, DRAWS).random(original.shape[1]) for pair in pairs]
        batch["draws"] = torch.from_numpy(np.concatenate(draws))[batch["places"]]
        return batch

    def loss(self, model: Any, batch: Batch) -> Tensor:
        """Return the summed losses of the generator and, by its weight, of the discriminator, shape (2,)."""
        proposer, discriminator = model.generator, model.discriminator
        hidden = proposer.electra(**encoder_arguments(proposer, batch)).last_hidden_state
        places, labels = batch["places"], batch["labels"]
        of_generator = token_loss(proposer, hidden, places, labels, compiled=self.compiled)
        drawn = self._drawn(proposer, hidden, places, batch["draws"])
        inputs = batch["input_ids"].flatten().clone()
        real = labels != IGNORED
        inputs[places[real]] = drawn[real]
        seen = {**batch, "input_ids": inputs.view_as(batch["input_ids"])}
        found = discriminator.electra(**encoder_arguments(discriminator, seen)).last_hidden_state
        logits = discriminator.discriminator_predictions(found).float()
        original = batch["labels_of_tokens"]
        replaced = (seen["input_ids"] != original).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, replaced, reduction="none")
        of_discriminator = losses.where(original != IGNORED, 0).sum()
        return torch.stack([of_generator, self.weight * of_discriminator])

    @torch.no_grad()
    def _drawn(self, proposer: Any, hidden: Tensor, places: Tensor, draws: Tensor) -> Tensor:
        """Return tokens drawn from what the generator says of masked places, shape (targets,)."""
        features = proposer.generator_predictions(hidden.flatten(0, 1)[places])
        shares = proposer.generator_lm_head(features).float().softmax(dim=-1).double().cumsum(dim=-1)
        wanted = draws[:, None] * shares[:, -1:]
        return torch.searchsorted(shares, wanted).squeeze(1).clamp(max=shares.shape[1] - 1)
