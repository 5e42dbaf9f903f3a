"""litgpt's own pretraining loop as a side of the training benchmark, in an environment of its own.

Its embedding and head are two matrices where the other sides have one: the
products are the same, the optimizer has a quarter more to move.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import lightning
import torch
from litgpt.args import EvalArgs, TrainArgs
from litgpt.config import Config
from litgpt.model import GPT
from litgpt.pretrain import fit
from training_side import Side, of_standard_streams


class Paced:
    """A loader that stops after each step that was asked for."""

    def __init__(self, side: Side, batches: torch.Tensor) -> None:
        self.side = side
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Yield one batch after another; what comes between two of them is a step."""
        self.side.wait()
        for batch in self.batches:
            yield batch
            self.side.stepped()


def main() -> None:
    """Train on the case that comes in."""
    side = of_standard_streams()
    case = side.case
    batches = torch.from_numpy(case.batches())
    tokens = batches.shape[-1] - 1
    shape = Config(
        block_size=tokens,
        padded_vocab_size=case.shape["vocab_size"],
        n_layer=case.shape["num_hidden_layers"],
        n_head=case.shape["num_attention_heads"],
        n_embd=case.shape["hidden_size"],
        intermediate_size=case.shape["intermediate_size"],
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
    )
    precision = "bf16-mixed" if case.precision == "bf16" else "32-true"
    fabric = lightning.Fabric(accelerator="cpu", devices=1, precision=precision)
    model = GPT(shape)
    model.max_seq_length = tokens
    model = fabric.setup(torch.compile(model) if case.compiled else model)
    optimizer = fabric.setup_optimizers(
        torch.optim.AdamW(model.parameters(), lr=case.learning_rate, betas=(0.9, 0.95), fused=True)
    )
    state = {"model": model, "optimizer": optimizer, "iter_num": 0, "step_count": 0}
    train = TrainArgs(
        global_batch_size=case.batch,
        micro_batch_size=case.batch,
        max_tokens=case.steps * case.batch * tokens,
        save_interval=None,
        log_interval=10,
        max_norm=1.0,
        min_lr=case.learning_rate,
        lr_warmup_steps=0,
        tie_embeddings=False,
    )
    loader = Paced(side, batches)
    state["train_dataloader"] = loader
    with tempfile.TemporaryDirectory() as folder:
        looks = EvalArgs(interval=10**9, initial_validation=False, final_validation=False, max_iters=0)
        fit(fabric, 1, state, loader, batches[:1], Path(folder), None, train, looks)
    sys.exit("more steps were asked for than the case has")


if __name__ == "__main__":
    main()
