"""lmtrain: from raw text to scored language models, as one line of stages.

Nothing in this package reports usage to anybody: the switches below are set
before Ray and the Hugging Face libraries are imported, and a person who wants
to report can still switch them on.
"""

import logging
import os

__version__ = "0.1.0"

for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}.items():
    os.environ.setdefault(_name, _value)

# Where torchao is installed transformers imports it, and it warns that kernels for GPUs can't be loaded on a
# machine without one, and of what PyTorch will deprecate.
for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
