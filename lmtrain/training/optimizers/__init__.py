"""What moves a model's weights: AdamW, AdamW with 8-bit states, Adafactor, and Muon for hidden matrices.

All work on the parts of parameters that a worker holds, and all begin with their
state made, so that a checkpoint can be loaded into it. A state has the rows of its
parameter, or is the same on all workers: it can be cut for another number of them.
"""

from lmtrain.training.optimizers.all import Optimizers

__all__ = ["Optimizers"]
