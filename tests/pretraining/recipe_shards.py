"""A recipe whose shards are there, without the stages that make them."""

from pathlib import Path

from tiny_line import CONTEXT, Line, artifact

from lmtrain.graph import nodes_of
from lmtrain.node import Node, needed
from lmtrain.recipe import load_recipe

STEPS = 12


def write_recipe(folder: Path, *, steps: int = STEPS, workers: int = 2, pretrain: str = "") -> Path:
    """A tiny recipe with one source of its own."""
    (folder / "tale.txt").write_text("A tale.\n", encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(
        f"""\
name: small
root: {folder / "runs"}
ingest: {{files: [{{alias: tale, urls: ["{folder / "tale.txt"}"], license: CC0-1.0}}]}}
tokenize: {{vocab_size: 320}}
pretrain: {{hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2, row_tokens: {CONTEXT},
  train_batch_size: 4, optimizer: adamw, max_steps: {steps}, eval_steps: {steps}, precision: fp32{pretrain}}}
resources: {{workers: {workers}, compile: false, micro_batch_size: 2, checkpoint_seconds: 3600}}
""",
        encoding="utf-8",
    )
    return path


def pretraining_of(recipe: Path, root: str) -> Node:
    """The recipe's pretraining."""
    nodes = nodes_of(load_recipe(recipe, root=root))
    return next(node for node in nodes if node.stage == "pretrain")


def write_shards(recipe: Path, root: str, line: Line) -> None:
    """Write the documents, tokenizer and shards of a line where the recipe's would be."""
    writers = {
        "ingest": line.document_writer(line.texts),
        "curate": line.document_writer(line.texts),
        "train_tokenizer": line.write_tokenizer,
        "tokenize": line.write_shards,
    }
    pretraining = pretraining_of(recipe, root)
    for node in needed([given for nodes in pretraining.inputs.values() for given in nodes]):
        artifact(node.config, node.input_urls(root), root, writers[node.stage])
