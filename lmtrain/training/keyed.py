"""What the model itself draws at random, keyed as all else is: by rows, not by what was drawn before.

Torch's generator is one stream, and its place in it would be lost with a process. So it
begins anew with every micro-batch, from the seed and the global index of its first row:
a resumed training drops what the undisturbed one would have dropped, and a checkpoint
holds no generator.
"""

import numpy as np
import torch

from lmtrain.training.order import mix


def key_dropout(seed: int, row: int) -> None:
    """Let what is dropped in the next forward pass follow from a seed and a row.

    Args:
        seed: of the training.
        row: global index of the first row of the micro-batch.
    """
    key = mix(mix(np.array([seed])) + np.array([row], dtype=np.uint64))
    torch.manual_seed(int(key[0]))
