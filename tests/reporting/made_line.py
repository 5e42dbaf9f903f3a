"""A small line of artifacts, real files throughout, as the stages would leave them.

The recipe's own nodes say what there is; each is written with `build_once`, so
addresses, inputs and hashes are the real ones. Only the contents are invented,
from a seed.
"""

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from made_samples import CANARIES, EXAMPLES, attributes_of, labels_of, samples_of

from lmtrain import metrics, statistics
from lmtrain.building import Attempt, Built, ShardOutput, build_once
from lmtrain.curation.decontamination import CONTAMINATION
from lmtrain.finetuning.search import settings_of
from lmtrain.finetuning.several_config import SeveralConfig
from lmtrain.graph import nodes_of
from lmtrain.node import Node
from lmtrain.recipe import Recipe, parse_recipe
from lmtrain.schemas import CORPUS, DOCUMENTS, DROPPED, LABELLED, REJECTED

HOSTILE = '<script>alert("gotcha")</script><img src="https://example.org/x.png"> & "quoted" \'text\''

ENGLISH = (
    "Return the indices of the elements that are non-zero, one array for each dimension of the input, "
    "in row-major order. The values are always tested and returned in C-style order. "
)
CHINESE = "春眠不觉晓,处处闻啼鸟。夜来风雨声,花落知多少。这是一段用来测试排版的中文文本,足够长,可以换行。"

RECIPE: dict[str, Any] = {
    "name": "quickstart",
    "ingest": {"docstrings": [{"alias": "python", "packages": ["jinja2"]}]},
    "label": {
        "docstrings": [{"alias": "package", "label": "package"}, {"alias": "summary", "label": "summary"}]
    },
    "tokenize": {"vocab_size": 4096},
    "pretrain": {"optimizer": "muon", "learning_rate": 0.02, "max_steps": 600},
    "finetune": {
        "classification": [{"name": "package", "data": "package", "num_train_epochs": 4}],
        "summarization": [{"name": "summary", "data": "summary"}],
    },
    "evaluate": {"bootstrap_samples": 300},
}
BARE: dict[str, Any] = {key: RECIPE[key] for key in ("name", "ingest")}


def chinese_recipe(folder: Path) -> dict[str, Any]:
    """Return a recipe on files in Chinese, with labels that contradict each other."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("诗歌.txt", "labels.jsonl"):
        (folder / name).write_text(CHINESE, encoding="utf-8")
    return {
        "name": "quickstart-zh",
        "ingest": {"files": [{"alias": "texts", "urls": [str(folder / "诗歌.txt")], "license": "MIT"}]},
        "label": {
            "files": [{"alias": "mood", "task": "classification", "urls": [str(folder / "labels.jsonl")]}]
        },
        "curate": {"preset": "chinese"},
        "finetune": {"classification": [{"name": "mood", "data": "mood"}]},
        "evaluate": {"bootstrap_samples": 200},
    }


def make_line(recipe: dict[str, Any], root: str, **effects: float) -> dict[str, list[str]]:
    """Write all artifacts of a recipe but the report; return the report's inputs.

    Args:
        recipe: as a YAML file would hold it.
        root: where artifacts go.
        effects: what pretraining does, by task; 0 for nothing.
    """
    parsed = parse_recipe(recipe)
    nodes = nodes_of(parsed)
    for node in nodes[:-1]:
        _make(node, parsed, root, effects)
    return {role: [given.address.url(root) for given in many] for role, many in nodes[-1].inputs.items()}


def _make(node: Node, recipe: Recipe, root: str, effects: dict[str, float]) -> None:
    make = MAKERS[node.stage]
    chinese = recipe.curate.preset == "chinese"

    def work(attempt: Attempt) -> Built:
        with attempt.shard("all") as output:
            output.stats = make(node, output, chinese, effects)
        done = attempt.finished("all")
        assert done is not None
        return Built(done.files, done.stats)

    inputs = {role: [given.address.url(root) for given in many] for role, many in node.inputs.items()}
    build_once(node.config, inputs, root, work)


def _random(node: Node) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{node.stage} {node.label}".encode()))


def _write(output: ShardOutput, name: str, role: str, schema: pa.Schema, rows: list[dict], **about) -> None:
    full = [{column: row.get(column) for column in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema=schema), output.path(name), compression="zstd")
    output.add(name, role, rows=len(rows), **about)


def _document(number: int, text: str, source: str) -> dict[str, Any]:
    place = {"url": f"https://example.org/{number}", "license": "BSD-3-Clause", "split": "train"}
    identifier = f"{number:032x}"
    return {"id": identifier, "group": identifier, "text": text, "source": source, "metadata": "{}", **place}


def _corpus(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    text = CHINESE if chinese else ENGLISH
    rows = [_document(number, f"{text * 3} {number}", node.label) for number in range(20)]
    _write(output, "part-00000.parquet", "documents", CORPUS, rows, source=node.label)
    refused = [
        ("undecodable", "byte 0xff at 17"),
        ("empty", ""),
        ("duplicate_id", "seen before in core.py"),
    ]
    rejected = [
        {"source": node.label, "file": f"{node.label}/module_{reason}.py", "record": 3, "reason": reason}
        | {"detail": detail, "bytes": 12}
        for reason, detail in refused
    ]
    _write(output, "rejected.parquet", "rejected", REJECTED, rejected)
    return {
        "read": 41_250,
        "kept": 40_000,
        "rejected": {"undecodable": 50, "empty": 700, "duplicate_id": 500},
        "bytes": 17_600_000,
        "by_source": {node.label: {"documents": 40_000, "bytes": 17_600_000}},
        "by_license": {"BSD-3-Clause": {"documents": 40_000, "bytes": 17_600_000}},
        "by_split": {"train": {"documents": 40_000, "bytes": 17_600_000}},
    }


DROPPED_COUNTS = {
    "language/not_expected": 1_310,
    "gopher_quality/too_few_words": 5_204,
    "gopher_quality/too_few_stop_words": 2_011,
    "gopher_repetition/duplicate_lines": 1_740,
    "gopher_repetition/top_2_gram": 930,
    "exact_duplicates/copy": 3_805,
    "near_duplicates/copy": 2_600,
    "decontamination/contaminated": 40,
}

LICENSE_SHARES = {"BSD-3-Clause": 0.61, "Apache-2.0": 0.27, "PSF-2.0": 0.07, "MIT": 0.048, "unknown": 0.002}


def _shares(documents: int, size: int, parts: dict[str, float], **more: int) -> dict[str, dict[str, int]]:
    """Deal documents and bytes, with a sixth as many words, to keys."""
    whole = {"documents": documents, "bytes": size, "words": size // 6, **more}
    return {key: {unit: int(number * part) for unit, number in whole.items()} for key, part in parts.items()}


def _by_source(source: str, documents: int, size: int, **more: int) -> dict[str, Any]:
    return {source: _shares(documents, size, LICENSE_SHARES, **more)}


def _touched(node: Node, output: ShardOutput, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Write which dropped documents touched an example of the recipe's first labelled set."""
    set_name = "mood" if node.config.model_dump()["preset"] == "chinese" else "package"
    touched = [
        {"id": row["id"], "example": f"test-{number % 2}", "data_set": set_name, "runs": 3}
        for number, row in enumerate(rows)
    ]
    _write(output, "contamination.parquet", "contamination", CONTAMINATION, touched)
    return {"evaluation_items": 160, "evaluation_items_too_short": 12}


def _documents(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    text = CHINESE if chinese else ENGLISH
    source = node.inputs["corpora"][0].label
    extra = {"language": "zh" if chinese else "en", "language_score": 0.98, "cluster": "0"}
    rows = [_document(number, f"{text * 3} {number}", source) | extra for number in range(20)]
    _write(output, "part-00000.parquet", "documents", DOCUMENTS, rows)
    dropped = []
    for place, key in enumerate(DROPPED_COUNTS):
        filtered, _, reason = key.partition("/")
        for number in range(5):
            told = HOSTILE if number == 0 else f"{text * (1 + 4 * number)}"
            row = {"id": f"{place:016x}{number:016x}", "source": source, "filter": filtered, "reason": reason}
            row |= {"value": 0.031, "threshold": 0.05, "detail": "", "bytes": len(told)}
            dropped.append(row | {"text": told if number < 4 else None})
    _write(output, "dropped.parquet", "dropped", DROPPED, dropped)
    funnel = [{"filter": "read", "documents": 40_000, "bytes": 17_600_000, "dropped": 0}]
    for key, number in DROPPED_COUNTS.items():
        filtered = key.partition("/")[0]
        if funnel[-1]["filter"] != filtered:
            funnel.append({**funnel[-1], "filter": filtered, "dropped": 0})
        funnel[-1]["documents"] -= number
        funnel[-1]["bytes"] -= number * 250
        funnel[-1]["dropped"] += number
    kept, kept_bytes = funnel[-1]["documents"], funnel[-1]["bytes"]
    edges = [32 * 2**power for power in range(12)]
    counts = [0, 300, 2600, 6100, 6300, 4200, 1900, 700, 230, 60, 10]

    languages = {"zh": 0.99, "en": 0.01} if chinese else {"en": 0.994, "de": 0.004, "zh": 0.002}
    return {
        "read": 40_000,
        "kept": kept,
        "dropped": DROPPED_COUNTS,
        "funnel": funnel,
        "by_source": _shares(kept, kept_bytes, {source: 1.0}),
        "by_license": _shares(kept, kept_bytes, LICENSE_SHARES),
        "by_language": _shares(kept, kept_bytes, languages),
        "by_split": _shares(kept, kept_bytes, {"train": 0.9, "validation": 0.05, "test": 0.05}),
        "by_source_and_license": {
            "read": _by_source(source, 40_000, 17_600_000),
            "dropped": _by_source(source, 40_000 - kept, 17_000_000 - kept_bytes),
            "kept": _by_source(source, kept, kept_bytes),
        },
        "rewritten": {
            "c4": {"documents": 900, "bytes": 600_000, "words": 90_000}
            | {"removed": {"policy": 40, "unpunctuated": 9_000, "javascript": 0}},
            "privacy": {"documents": 12, "bytes": 90, "words": 12, "removed": {"email": 14, "phone": 1}},
        },
        "taken": {
            key: {"documents": number, "bytes": number * 250, "words": number * 40}
            for key, number in DROPPED_COUNTS.items()
        },
        "cluster_sizes": {"2": 1_500, "3": 300, "4": 80, "7": 20, "150": 2},
        "largest_clusters": [
            {"id": rows[number]["id"], "documents": 150, "file": "part-00000.parquet"} for number in range(2)
        ],
        **_touched(node, output, [row for row in dropped if row["filter"] == "decontamination"]),
        "lengths": {"edges": edges, "counts": counts},
        "clusters": 1_902,
        "copies_across_splits": 35,
    }


def _labelled(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    task = "summarization" if node.label == "summary" else "classification"
    text = CHINESE if chinese else ENGLISH
    labels = labels_of(chinese)
    by_split = {}
    for split, size in (("train", 200), ("validation", 40), ("test", EXAMPLES)):
        rows = []
        for number in range(size):
            row = {"id": f"{split}-{number}", "split": split, "group": f"g{number // 4}", "source": "python"}
            row |= {"license": "MIT"}
            if task == "classification":
                row |= {"text": f"{number} {text}", "label": labels[number % len(labels)]}
            else:
                row |= {"document": f"{number} {text * 2}", "summary": "Return the indices of elements."}
            rows.append(row)
        _write(output, f"{split}.parquet", "labelled", LABELLED[task], rows, split=split)
        by_split[split] = {"documents": size * 30, "bytes": size * 30 * len(text)}
    kept = sum(counts["documents"] for counts in by_split.values())
    rejected = {"duplicate": 4_630, "conflicting_labels": 212} if chinese else {"too_short": 103}
    stats = {"task": task, "read": kept + sum(rejected.values()), "kept": kept, "rejected": rejected}
    stats |= {"by_split": by_split, "conflicting": 106 if chinese else 0}
    stats["examples_rejected"] = [{"reason": reason, "text": text} for reason in rejected]
    if task == "classification":
        stats["labels"] = {label: kept * (8 - 2 * place) // 20 for place, label in enumerate(labels)}
    return stats


def _tokenizer(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    output.path("tokenizer.json").write_text("{}")
    output.add("tokenizer.json", "tokenizer")
    return {"vocab_size": 4096, "documents": 20_000, "bytes": 12_000_000, "tokens_per_byte": 0.29}


def _classifier(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    output.path("classifier.json").write_text("{}")
    output.add("classifier.json", "classifier")
    return {"positive": "good", "negative": "bad", "test": {"accuracy": 0.9}}


def _word_vectors(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    output.path("vectors/vocabulary.json").write_text("{}")
    output.add("vectors/vocabulary.json", "vectors")
    words = ["数组", "元素", "向量", HOSTILE] if chinese else ["array", "element", "vector", HOSTILE]
    stats = {"algorithm": "glove", "words": 20_000, "vector_size": 100, "occurrences": 3_100_000}
    losses = [] if node.label.startswith("fasttext") else [0.0712, 0.0123]
    near = [{"word": words[0], "near": words[1:]}]
    return stats | {"documents": 20_000, "losses": losses, "near": near, "seconds_training": 41.0}


def _shards(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    output.path("part.arrow").write_bytes(b"0")
    output.add("part.arrow", "shards", rows=1, split="train", source="python")
    parts = {"train": 0.9, "validation": 0.05, "test": 0.05}
    by_split = {
        split: {
            "documents": int(22_400 * part),
            "tokens": int(3_900_000 * part),
            "bytes": int(13_200_000 * part),
        }
        for split, part in parts.items()
    }
    source = node.inputs["documents"][0].inputs["corpora"][0].label
    tokenized = _by_source(source, 22_360, 13_200_000, tokens=3_900_000)
    stats = {"by_split": by_split, "by_source": {}, "bytes_per_token": 3.38}
    return stats | {"by_source_and_license": {"tokenized": tokenized}}


def _model(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    random = _random(node)
    tuned = node.stage == "finetune"
    slow = 1.35 if node.label.endswith("-random") else 1.0
    steps = 240 if tuned else 600
    rows: list[dict[str, Any]] = []
    for step in range(1, steps + 1, 2 if tuned else 3):
        falling = math.exp(-step / (70 if tuned else 110))
        loss = (0.6 * slow if tuned else 4.15) + (1.1 if tuned else 4.1) * falling
        rows.append(
            {
                "step": step,
                "loss": loss + float(random.normal(0, 0.05)),
                "learning_rate": 0.02 * min(1, step / 30) * (0.55 + 0.45 * math.cos(step / steps * math.pi)),
                "grad_norm": 0.5,
                "tokens_per_second": (3_000 if step < 10 else 21_300) + float(random.normal(0, 500)),
                "mfu": 0.31,
                "seconds": step / 3,
            }
        )
        if (step - 1) % 24 == 0:
            seen: dict[str, Any] = {"step": step, "validation_loss": loss * 1.03}
            if not tuned:
                seen["validation_bits_per_byte"] = loss * 1.03 / math.log(2) / 3.38
            elif node.config.model_dump().get("max_target_length") is None:
                seen["validation_accuracy"] = 0.95 - 0.5 * falling * slow - 0.1 * (slow - 1)
            rows.append(seen)
    output.path("metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output.add("metrics.jsonl", "metrics")
    output.path("model/config.json").write_text("{}")
    output.add("model/config.json", "weights")
    stats = {"parameters": 3_444_000, "steps": steps, "tokens": 19_660_800, "seconds_training": 312.4}
    stats |= {"tokens_per_second": 21_280.0, "validation_loss": rows[-1].get("validation_loss", 4.3)}
    if tuned:
        task = node.config.task
        if isinstance(node.config, SeveralConfig):
            stats["parts"] = {part.name: {"task": part.task} for part in node.config.parts()}
        return stats | {"learning_rate": 5e-4, "initial": node.config.model_dump()["initial"], "task": task}
    return stats | {"validation_bits_per_byte": 1.8312}


def _search(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    random = _random(node)
    rows: list[dict[str, Any]] = []
    for number, settings in enumerate(settings_of(node.config.training)):
        ended = ("whole", "stopped", "stopped", "diverged")[number % 4]
        loss = None if ended == "diverged" else 0.5 + float(random.random())
        rows.append({"trial": number, **settings, "ended": ended, "validation_loss": loss, "best_step": 40})
        rows[-1]["looks"] = []
    best = min((row for row in rows if row["validation_loss"]), key=lambda row: row["validation_loss"])
    output.path("search.json").write_text(json.dumps(rows))
    output.add("search.json", "trials", rows=len(rows))
    return {"trial": best["trial"], "trials": len(rows), "settings": {}, "ended": {}}


def _scores(node: Node, output: ShardOutput, chinese: bool, effects: dict) -> dict[str, Any]:
    config = node.config.model_dump()
    task, system = config["task"], config["system"]
    if task not in ("language_modeling", "bias", "memorization") and system == "model":
        system = "random" if node.inputs["system"][0].label.endswith("-random") else "pretrained"
    random = _random(node)
    table = samples_of(task, system, random, effects, chinese)
    pq.write_table(table, output.path("samples.parquet"), compression="zstd")
    output.add("samples.parquet", "samples", rows=table.num_rows)
    rows = []
    for metric in metrics.metrics_of(task):
        if system == "xz" and metric.name == "perplexity":
            continue
        if metrics.EXPOSURES.get(metric.name, 0) not in CANARIES:
            continue
        value, low, high = statistics.bootstrap_interval(
            metric.name, statistics.statistics_of(table), table["group"].to_pylist(), 300, 0
        )
        digest = node.inputs["system"][0].address.digest if node.inputs.get("system") else None
        rows.append({"system": config["system"], "model_digest": digest, "task": task, "metric": metric.name})
        rows[-1] |= {"language": config["language"], "dataset": config["dataset"], "split": "test"}
        rows[-1] |= {
            "signature": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp" if metric.name == "bleu" else ""
        }
        rows[-1] |= {"value": value, "low": low, "high": high, "samples": table.num_rows, "seed": 0}
        if node.inputs.get("system") and getattr(node.inputs["system"][0].config, "is_private", False):
            rows[-1] |= {"epsilon": 3.9876, "delta": 1e-4}
    output.path("scores.json").write_text(json.dumps(rows))
    output.add("scores.json", "scores")
    if task == "classification":
        output.path("attributes.json").write_text(json.dumps(attributes_of(table, labels_of(chinese))))
        output.add("attributes.json", "attributes")
    if task == "language_modeling" and system == "model":
        text = CHINESE if chinese else ENGLISH
        generated = [
            {"prompt": text[: len(text) // 2], "continuation": text[len(text) // 2 :]},
            {"prompt": "Parameters\n----------", "continuation": f"\nx : array_like\n    Input. {HOSTILE}"},
        ]
        output.path("generated.json").write_text(json.dumps(generated, ensure_ascii=False))
        output.add("generated.json", "generated")
    headline = {key: rows[0][key] for key in ("metric", "value", "low", "high")}
    stats = {"headline": headline, "samples": table.num_rows, "seconds_scoring": 3.2}
    if name := node.config.lighter.name:
        whole = {"whole_bytes": 13_776_000, "whole_milliseconds": 8.0}
        stats["lighter"] = {"name": name, "bytes": 4_100_000, "milliseconds": 6.0, **whole}
    return stats


MAKERS: dict[str, Callable[[Node, ShardOutput, bool, dict], dict[str, Any]]] = {
    "ingest": _corpus,
    "curate": _documents,
    "label": _labelled,
    "train_classifier": _classifier,
    "train_tokenizer": _tokenizer,
    "tokenize": _shards,
    "train_vectors": _word_vectors,
    "pretrain": _model,
    "search": _search,
    "finetune": _model,
    "evaluate": _scores,
}
