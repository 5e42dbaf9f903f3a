"""Transformers' own Trainer as a side of the training benchmark, in an environment of its own."""

import sys
import tempfile
from typing import Any

import torch
from torch.utils.data import Dataset
from training_side import Side, of_standard_streams
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments


class Rows(Dataset):
    """The benchmark's rows, each as a packed example; the model shifts the labels itself."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = self.rows[index, :-1]
        return {"input_ids": tokens, "labels": tokens}


class InOrder(Trainer):
    """Takes the rows in their order, as the other sides do."""

    def _get_train_sampler(self, *_: Any) -> None:
        """Shuffle nothing."""


class Paced(TrainerCallback):
    """Stops after each step that was asked for."""

    def __init__(self, side: Side) -> None:
        self.side = side

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Count the step."""
        self.side.stepped()


def main() -> None:
    """Train on the case that comes in."""
    side = of_standard_streams()
    case = side.case
    batches = case.batches()
    tokens = batches.shape[-1] - 1
    shape = LlamaConfig(**case.shape, max_position_embeddings=tokens, tie_word_embeddings=True)
    model = LlamaForCausalLM.from_pretrained(case.folder, config=shape, dtype=torch.float32)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            per_device_train_batch_size=case.batch,
            max_steps=case.steps,
            learning_rate=case.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=case.weight_decay,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            bf16=case.precision == "bf16",
            torch_compile=case.compiled,
            save_strategy="no",
            logging_steps=10,
            report_to="none",
            disable_tqdm=True,
        )
        rows = Rows(torch.from_numpy(batches).reshape(-1, tokens + 1))
        trainer = InOrder(model, arguments, train_dataset=rows, callbacks=[Paced(side)])
        side.wait()
        trainer.train()
    sys.exit("more steps were asked for than the case has")


if __name__ == "__main__":
    main()
