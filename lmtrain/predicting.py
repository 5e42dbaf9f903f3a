"""A fine-tuned model over a file of examples without labels: what `lmtrain predict` does.

In: a model and a file in any form that labelled files may have. Out: for each record its number, and what
the model says of it, or why it couldn't be read.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.encoding.prompts import ANSWERING, PROMPTS
from lmtrain.errors import RecipeError
from lmtrain.evaluation import classification, question_answering, text_to_text, token_classification, vectors
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.models import Loaded, choose_device, load, threads_of
from lmtrain.ingestion.examples import MAX_BYTES
from lmtrain.ingestion.readers import read_records
from lmtrain.ingestion.records import Layout, Part, Record, Refusal
from lmtrain.ingestion.task_forms import FILE_NAMES
from lmtrain.watch import Watch

Example = dict[str, Any]
Predict = Callable[[Loaded, Sequence[Example], Context], Sequence[Any]]

INPUTS: dict[str, tuple[str, ...]] = {
    "classification": ("text", "text_pair"),
    "multi_label": ("text",),
    "token_classification": ("tokens",),
    "question_answering": ("context", "question"),
    "generative_qa": ("question", "context"),
    "summarization": ("document",),
    "translation": ("source_text",),
    "generation": ("prompt",),
    "dialogue": ("messages",),
    "similarity": ("sentence1", "sentence2"),
    "retrieval": ("text",),
}
"""By task, the columns that a model reads."""

OPTIONAL = frozenset({"text_pair"})
LISTS = frozenset({"tokens", "messages"})
AT_ONCE = 1024
"""Examples that are predicted together: batches of like length are made among them."""


def _written(loaded: Loaded, examples: Sequence[Example], context: Context) -> list[str]:
    source = PROMPTS[context.config.task].source
    return text_to_text.written(loaded, [source(one) for one in examples], context)


def _cosines(loaded: Loaded, examples: Sequence[Example], context: Context) -> list[float]:
    first, second = (
        vectors.vectors_of(loaded, [one[name] for one in examples], context) for name in INPUTS["similarity"]
    )
    return [round(float(cosine), 6) for cosine in (first * second).sum(axis=1)]


def _vectors(loaded: Loaded, examples: Sequence[Example], context: Context) -> list[list[float]]:
    found = vectors.vectors_of(loaded, [one["text"] for one in examples], context)
    return [[round(value, 6) for value in vector] for vector in found.tolist()]


def _label(loaded: Loaded, examples: Sequence[Example], context: Context) -> list[str]:
    return [labels[0] for labels in classification.predict(loaded, examples, context)]


PREDICTORS: dict[str, tuple[Any, Predict]] = {
    "classification": (AutoModelForSequenceClassification, _label),
    "multi_label": (AutoModelForSequenceClassification, classification.predict),
    "token_classification": (AutoModelForTokenClassification, token_classification.predict),
    "question_answering": (AutoModelForQuestionAnswering, question_answering.predict),
    **dict.fromkeys(PROMPTS, (AutoModelForCausalLM, _written)),
    "similarity": (AutoModel, _cosines),
    "retrieval": (AutoModel, _vectors),
}
"""By task, the class of its models and what they say of examples."""


def predict(
    folder: Path, url: str, columns: dict[str, str], resources: Resources, watch: Watch
) -> Iterator[dict[str, Any]]:
    """Yield for each record of a file `{"record", "prediction"}`, or `{"record", "refused", "detail"}`.

    Predictions are a label, a list of labels or tags, a text, a cosine, or a vector, as the task has it.

    Args:
        folder: Hugging Face folder of a model that was fine-tuned here: its config names the task.
        url: of a file.
        columns: what the task's columns are called in the file, where they are called otherwise.
        resources: threads and device.
        watch: told the examples that are done.

    Raises:
        RecipeError: the model was fine-tuned for no task, or a column isn't one of its task's.
        SourceError: the file can't be read.
    """
    shape = AutoConfig.from_pretrained(folder, local_files_only=True)
    task = next((name for name in getattr(shape, "task_specific_params", None) or {} if name in INPUTS), None)
    if task is None:
        raise RecipeError(f"{folder} wasn't fine-tuned for a task; lmtrain generate goes on after a prompt")
    unknown = sorted(set(columns) - set(INPUTS[task]))
    if unknown:
        raise RecipeError(f"{task} reads {', '.join(INPUTS[task])}, not {', '.join(unknown)}")
    kind, says = PREDICTORS[task]
    if task in PROMPTS and shape.is_encoder_decoder:
        kind = AutoModelForSeq2SeqLM
    device = choose_device(resources)
    loaded = load(kind, folder, device)
    config = EvaluateConfig(task=task, system="model", dataset="file", max_target_length=1 << 30)
    context = Context(config, device, watch, threads_of(resources) if device.type == "cpu" else 1)
    for items in _groups(_read(task, url, columns)):
        good = [content for _, content in items if isinstance(content, dict)]
        said = iter(says(loaded, good, context) if good else [])
        for number, content in items:
            if isinstance(content, Refusal):
                yield {"record": number, "refused": content.reason, "detail": content.detail}
            else:
                yield {"record": number, "prediction": next(said)}


def _read(task: str, url: str, columns: dict[str, str]) -> Iterator[tuple[int, Example | Refusal]]:
    names = {name: columns.get(name, FILE_NAMES.get(name, name)) for name in INPUTS[task]}
    first, *others = names.values()
    for file in storage.list_files(url):
        for item in read_records(Part(file), Layout(first, tuple(others), "line", MAX_BYTES)):
            yield item.number, item if isinstance(item, Refusal) else _content(task, item, names)


def _content(task: str, record: Record, names: dict[str, str]) -> Example | Refusal:
    found: Example = {}
    for name, column in names.items():
        value = record.values.get(column)
        wanted = list if name in LISTS else str
        if not isinstance(value, wanted) and not (value is None and name in OPTIONAL):
            return Refusal(record.number, f"missing_{name}", f"no {name} in {column!r}", record.bytes)
        found[name] = value
    if task == "dialogue":  # the turn that is to be written
        found["messages"] = [*found["messages"], {"role": ANSWERING, "content": ""}]
    return found


def _groups(items: Iterator[tuple[int, Example | Refusal]]) -> Iterator[list[tuple[int, Example | Refusal]]]:
    group = []
    for item in items:
        group.append(item)
        if len(group) == AT_ONCE:
            yield group
            group = []
    if group:
        yield group
