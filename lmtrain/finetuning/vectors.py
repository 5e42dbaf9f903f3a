"""Texts to vectors: how much two mean the same, and which passage answers a query."""

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from lmtrain.encoding.rows import Rejection, Row
from lmtrain.encoding.texts import encode_text
from lmtrain.finetuning.config import RetrievalConfig, SimilarityConfig
from lmtrain.finetuning.task import Example, PaddedTask, TaskSetting, own_params
from lmtrain.modeling.pooling import pooled
from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.contrastive import in_batch_loss


class Vectors(PaddedTask):
    """Two texts, each read by itself."""

    config: Any
    columns: tuple[str, str]

    @classmethod
    def of(cls, setting: TaskSetting) -> Self:
        """Return the task for a model and its training examples."""
        return cls(setting)

    def encode(self, example: Example) -> list[Row] | Rejection:
        """Encode both texts."""
        first, second = (
            np.array(encode_text(self.tokenizer, example[name], self.config.max_length))
            for name in self.columns
        )
        if not len(first) or not len(second):
            return Rejection("no_tokens")
        return [Row({"input_ids": first, "input_ids_2": second}, {"labels": self._target(example)})]

    def vectors(self, model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the vectors of first and second texts, of length 1, shape (rows, width) each."""
        pairs = (("input_ids", "attention_mask"), ("input_ids_2", "attention_mask_2"))
        width = max(batch[name].shape[1] for name, _ in pairs)
        ids, mask = (
            torch.cat(
                [
                    functional.pad(batch[pair[place]], (0, width - batch[pair[place]].shape[1]), value=fill)
                    for pair in pairs
                ]
            )
            for place, fill in ((0, self.pad), (1, 0))
        )
        hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        first, second = functional.normalize(pooled(hidden, mask, self.config.pooling).float(), dim=-1).chunk(
            2
        )
        return first, second

    def settings(self) -> dict[str, Any]:
        """Return how vectors are made."""
        params = {"max_length": self.config.max_length, "pooling": self.config.pooling}
        return {"pad_token_id": self.pad, **own_params(self.config, **params)}

    def use(self) -> str:
        """Return Python code for the model card."""
        pooling = {
            "mean": "(hidden * mask).sum(1) / mask.sum(1)",
            "first": "hidden[:, 0]",
            "last": 'hidden[torch.arange(2), inputs["attention_mask"].sum(1) - 1]',
        }[self.config.pooling]
        return (
            "import torch\n"
            "from transformers import AutoModel, AutoTokenizer\n\n"
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")\n'
            'model = AutoModel.from_pretrained("FOLDER")\n'
            'inputs = tokenizer(["a text", "another"], padding=True, return_tensors="pt")\n'
            "with torch.no_grad():\n"
            "    hidden = model(**inputs).last_hidden_state\n"
            'mask = inputs["attention_mask"].unsqueeze(-1)\n'
            f"vectors = torch.nn.functional.normalize({pooling}, dim=-1)\n"
            "print(float(vectors[0] @ vectors[1]))"
        )

    def _target(self, example: Example) -> np.ndarray:
        raise NotImplementedError


class Similarity(Vectors):
    """The cosine of two vectors comes near to the score (Reimers and Gurevych 2019)."""

    config: SimilarityConfig
    columns = ("sentence1", "sentence2")

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed squared differences of cosine and score, shape (1,)."""
        first, second = self.vectors(model, batch)
        cosines, wanted = (first * second).sum(dim=-1), batch["labels"].to(first.dtype)
        counted = batch["labels"] != IGNORED
        return (cosines - wanted / self.config.best_score).square().where(counted, 0.0).sum()[None]

    def _target(self, example: Example) -> np.ndarray:
        return np.array(example["score"], dtype=np.float64)


class Retrieval(Vectors):
    """A query's own passage is nearer than those of all other queries of the batch, on all workers."""

    config: RetrievalConfig
    columns = ("query", "passage")
    whole_batch = True

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of each query's passage, in nats, shape (1,)."""
        queries, passages = self.vectors(model, batch)
        counted = batch["labels"] != IGNORED
        return in_batch_loss(queries, passages, counted, self.config.temperature)

    def _target(self, example: Example) -> np.ndarray:
        return np.array(1)
