"""The line's artifacts, tiny, in English and Chinese, without the stages that make them."""

import zlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForQuestionAnswering,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    LlamaModel,
    PreTrainedTokenizerFast,
)

from lmtrain.building import Attempt, Built, ShardOutput, build_once
from lmtrain.config import StageConfig
from lmtrain.curation.config import CurateConfig
from lmtrain.finetuning.config import FinetuneSection
from lmtrain.finetuning.task import TaskSetting
from lmtrain.ingestion.config import LabelConfig, LabelledFiles
from lmtrain.modeling.build import new_model
from lmtrain.modeling.fitting import OBJECTIVES
from lmtrain.modeling.fitting import TASKS as FITS
from lmtrain.modeling.special_ids import special_ids
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.registry import TASKS
from lmtrain.schemas import DOCUMENTS, LABELLED, SPLITS, shard_schema
from lmtrain.tokenization.config import ShardsConfig, TokenizerConfig

TEXTS = {
    "en": [
        f"The {size} {animal} {verb} over the {thing}. It was number {number}."
        for number, (size, animal, verb, thing) in enumerate(
            (size, animal, verb, thing)
            for size in ("quick", "small", "old")
            for animal in ("fox", "dog", "cat")
            for verb in ("jumps", "looks")
            for thing in ("lazy river", "wall")
        )
    ],
    "zh": [
        f"{who}在{where}{does}。这是第{number}次。"
        for number, (who, where, does) in enumerate(
            (who, where, does)
            for who in ("我们", "他们", "老师")
            for where in ("学校", "北京", "图书馆")
            for does in ("看书", "写字", "唱歌", "讨论天气")
        )
    ],
}
CONTEXT = 32
LONG = 48
"""Tokens of source and target of a text to text."""

HEADS = {
    "sequence_classification": LlamaForSequenceClassification,
    "token_classification": LlamaForTokenClassification,
    "question_answering": LlamaForQuestionAnswering,
    "text": LlamaForCausalLM,
    "bare": LlamaModel,
}


def artifact(
    config: StageConfig, inputs: dict[str, list[str]], root: str, write: Callable[[ShardOutput], None]
) -> str:
    """Wrap what `write` writes into an artifact of the stage of `config`."""

    def work(attempt: Attempt) -> Built:
        with attempt.shard("all") as output:
            write(output)
        assert output.result is not None
        return Built(output.result.files, output.result.stats)

    return build_once(config, inputs, root, work)


class Line:
    """The artifacts before evaluation, in one language, under one root."""

    def __init__(self, root: str, language: str = "en") -> None:
        self.root = root
        self.language = language
        self.texts = TEXTS[language]
        self.tokenizer = train_tokenizer(self.texts)
        self.documents_url = self.documents(self.texts)
        self.tokenizer_url = artifact(
            TokenizerConfig(vocab_size=len(self.tokenizer)),
            {"documents": [self.documents_url]},
            root,
            self.write_tokenizer,
        )
        self.shards_url = self.shards()

    def documents(self, texts: list[str]) -> str:
        """Documents of which the last third is for testing; two of a group."""
        write = self.document_writer(texts)
        return artifact(CurateConfig(preset="none"), {"corpora": []}, self.root, write)

    def document_writer(self, texts: list[str]) -> Callable[[ShardOutput], None]:
        """What writes the documents."""
        rows = [
            {
                "id": f"d{index:03d}",
                "text": text,
                "source": "tale",
                "url": "",
                "license": "",
                "group": f"g{index // 2}",
                "split": split_of(index, len(texts)),
                "metadata": "{}",
                "language": self.language,
                "language_score": 1.0,
                "cluster": f"d{index:03d}",
            }
            for index, text in enumerate(texts)
        ]

        def write(output: ShardOutput) -> None:
            pq.write_table(pa.Table.from_pylist(rows, DOCUMENTS), output.path("documents.parquet"))
            output.add("documents.parquet", "documents", rows=len(rows))
            counts = {"documents": len(rows), "bytes": sum(len(text.encode()) for text in texts)}
            output.stats = {"by_license": {"CC0": counts}, "by_language": {self.language: counts}}

        return write

    def shards(self) -> str:
        """Shards of the documents, one for each split."""
        inputs = {"documents": [self.documents_url], "tokenizer": [self.tokenizer_url]}
        return artifact(ShardsConfig(), inputs, self.root, self.write_shards)

    def write_shards(self, output: ShardOutput) -> None:
        """Write shards of the documents, one for each split."""
        ids = self.tokenizer(self.texts, add_special_tokens=False)["input_ids"]

        by_split = {}
        for split in SPLITS:
            rows = [
                {"id": f"d{index:03d}", "input_ids": tokens, "bytes": len(text.encode())}
                for index, (text, tokens) in enumerate(zip(self.texts, ids, strict=True))
                if split_of(index, len(ids)) == split
            ]
            table = pa.Table.from_pylist(rows, shard_schema(len(self.tokenizer)))
            with pa.ipc.new_stream(str(output.path(f"{split}.arrow")), table.schema) as writer:
                writer.write_table(table, max_chunksize=3)
            output.add(f"{split}.arrow", "shards", rows=len(rows), split=split, source="tale")
            by_split[split] = {
                "documents": len(rows),
                "tokens": sum(len(row["input_ids"]) for row in rows),
                "bytes": sum(row["bytes"] for row in rows),
            }
        output.stats = {"by_split": by_split}

    def labelled(self, task: str, rows: list[dict[str, Any]], alias: str = "set") -> str:
        """A labelled set; ids and groups are made up, splits go by place unless the rows say otherwise."""

        def write(output: ShardOutput) -> None:
            for split in SPLITS:
                chosen = [
                    {
                        "id": f"e{index:03d}",
                        "group": f"g{index // 2}",
                        "source": "s",
                        "license": "",
                        "split": split,
                        **row,
                    }
                    for index, row in enumerate(rows)
                    if row.get("split", split_of(index, len(rows))) == split
                ]
                name = f"{split}.parquet"
                pq.write_table(pa.Table.from_pylist(chosen, LABELLED[task]), output.path(name))
                output.add(name, "labelled", rows=len(chosen), split=split)
                output.stats.setdefault("by_split", {})[split] = {"documents": len(chosen)}
            output.stats["by_license"] = {"": {"documents": len(rows)}}

        config = LabelConfig(files=LabelledFiles(alias=alias, task=task, urls=["x"]), listing="0")
        return artifact(config, {}, self.root, write)

    def language_model(self, model: LlamaForCausalLM | None = None) -> str:
        """A random language model with the line's tokenizer."""
        if model is None:
            return self._model_artifact(PretrainConfig(), tiny_model(self.tokenizer))
        weights = next(model.parameters()).detach().numpy().tobytes()  # another model for other weights
        return self._model_artifact(PretrainConfig(seed=zlib.crc32(weights)), model)

    def masked_language_model(self) -> str:
        """A random encoder with the line's tokenizer."""
        torch.manual_seed(0)
        shape = BertConfig(
            vocab_size=len(self.tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=CONTEXT, initializer_range=0.3,
        )  # fmt: skip
        config = PretrainConfig(architecture="bert", objective="mlm", packing="none")
        return self._model_artifact(config, BertForMaskedLM(shape).eval())

    def recurrent_language_model(self, family: str) -> str:
        """A random LSTM of a family with the line's tokenizer."""
        objective = {"ulmfit": "clm", "elmo": "bilm"}[family]
        config = PretrainConfig(
            architecture=family,
            hidden_size=32,
            num_hidden_layers=2,
            intermediate_size=48,
            objective=objective,
        )
        ids = special_ids(self.tokenizer, "the line's")
        head = OBJECTIVES[objective].head
        model = new_model(config, head, len(self.tokenizer), CONTEXT, ids, 0, torch.device("cpu"))
        return self._model_artifact(config, model)

    def tuned(self, task: str, rows: list[dict[str, Any]], **settings: Any) -> str:
        """A random model of a task, whose settings are those of a fine-tuning on these examples."""
        section = FinetuneSection.model_fields[task].annotation
        name = f"{task}-{zlib.crc32(repr(rows).encode())}"  # another model for other examples
        config = section.__args__[0](name=name[:40], data="set", **settings)
        made = TASKS.get(task).of(TaskSetting(config, self.tokenizer, "llama", rows))
        torch.manual_seed(0)
        shape = tiny_config(self.tokenizer)
        for name, value in made.settings().items():
            setattr(shape, name, value)
        model = HEADS[FITS[task].head](shape)
        for name in ("score", "qa_outputs"):
            if hasattr(model, name):
                torch.nn.init.normal_(getattr(model, name).weight)
        return self._model_artifact(config, model)

    def classifier(self, labels: list[str]) -> str:
        """A random classifier."""
        rows = [{"text": "", "label": label} for label in labels]
        return self.tuned("classification", rows, max_length=CONTEXT)

    def summarizer(self) -> str:
        """A random summarizer."""
        return self.tuned("summarization", [], max_length=LONG, max_target_length=8)

    def _model_artifact(self, config: StageConfig, model: Any) -> str:
        def write(output: ShardOutput) -> None:
            model.save_pretrained(output.path("model/config.json").parent)
            self._write_tokenizer(output, "model", "weights")

        return artifact(config, {"shards": [self.shards_url]}, self.root, write)

    def write_tokenizer(self, output: ShardOutput) -> None:
        """Write the tokenizer as an artifact of its own."""
        self._write_tokenizer(output, "tokenizer", "tokenizer")

    def _write_tokenizer(self, output: ShardOutput, folder: str, role: str) -> None:
        self.tokenizer.save_pretrained(output.path(f"{folder}/tokenizer.json").parent)
        output.add_folder(folder, role)


def split_of(index: int, count: int) -> str:
    return "test" if index * 3 >= count * 2 else "validation" if index % 5 == 4 else "train"


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|pad|>", "<|mask|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        pad_token="<|pad|>",
        mask_token="<|mask|>",
    )


def tiny_config(tokenizer: PreTrainedTokenizerFast, **more: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
        initializer_range=0.3,  # so that positions and neighbors matter
        **more,
    )


def tiny_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(tiny_config(tokenizer)).eval()
