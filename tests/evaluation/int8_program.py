"""Models in eight bits, made where torchao is installed: what came of it goes to stdout as JSON."""

import json
import sys
import tempfile

import torch
from test_evaluation_stage import data_and_model, rows_of, score
from tiny_line import Line
from tiny_models import tiny_model

from lmtrain.evaluation.config import LighterSection
from lmtrain.evaluation.lighter import _linear_maps, _with_linear_maps, lightened, stored_bytes
from lmtrain.manifest import Artifact

INT8 = LighterSection(int8=True)
IDS = torch.arange(15, 45)[None]


def of_family(family: str) -> dict:
    """Return how far a model in eight bits is from the same one in fp32, and what it weighs."""
    model = tiny_model(family).eval()
    _with_linear_maps(model)
    light = lightened(model, INT8)
    steps, inside, rows = [], 0, 0
    for one, other in zip(_linear_maps(model), _linear_maps(light), strict=True):
        error = one.weight - other.weight.dequantize()
        steps.append(float((error.abs() / one.weight.abs().amax(dim=1, keepdim=True)).max() * 127))
        inside += one.weight.numel()
        rows += one.weight.shape[0]
    with torch.inference_mode():
        named = {"decoder_input_ids": IDS} if family == "t5" else {}
        whole, own = (each(input_ids=IDS, **named).logits for each in (model, light))
    return {
        "steps": max(steps),
        "error": float((whole - own).norm() / whole.norm()),
        "head": type(light.get_output_embeddings().weight).__name__,
        "saved": stored_bytes(model) - stored_bytes(light),
        "expected": 3 * inside - 4 * rows,
    }


def scored(language: str) -> dict:
    """Return what the scores of a classifier in eight bits say."""
    with tempfile.TemporaryDirectory() as root:
        line = Line(root, language)
        data, model = data_and_model(line, "classification")
        url = score(line, data, "classification", model=model, lighter=INT8)
        return {"system": rows_of(url)[0]["system"], **Artifact(url).stats["lighter"]}


if __name__ == "__main__":
    families = {family: of_family(family) for family in ("llama", "gpt2", "bert", "t5")}
    json.dump({**families, "scored": {name: scored(name) for name in ("en", "zh")}}, sys.stdout)
