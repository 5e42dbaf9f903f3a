"""Labelled records of every task: what is made of them, and why some can't be used."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmtrain.config import SplitConfig
from lmtrain.ingestion.config import LabelledFiles
from lmtrain.ingestion.examples import Rejected, examples_of_file
from lmtrain.ingestion.readers import read_records
from lmtrain.ingestion.records import Layout, Part
from lmtrain.ingestion.task_forms import UnusableError, contents, names_of
from lmtrain.labelled import KNOWN_BY, REFERENCE
from lmtrain.schemas import TASK_COLUMNS
from lmtrain.storage import list_files

GOOD = {
    "classification": {"text": "a", "label": 3},
    "multi_label": {"text": "a", "labels": ["x", "y", "x"]},
    "token_classification": {"tokens": ["北", "京"], "tags": ["B-LOC", "I-LOC"]},
    "question_answering": {
        "context": "在北京",
        "question": "哪里",
        "answers": {"text": ["北京"], "answer_start": [1]},
    },
    "generative_qa": {"question": "Who?", "answers": ["Ada", "Ada L."]},
    "summarization": {"document": "long", "summary": "short"},
    "translation": {"source": "cat", "target": "猫"},
    "generation": {"prompt": "Write", "response": "ok"},
    "dialogue": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]},
    "similarity": {"sentence1": "a", "sentence2": "b", "score": 2},
    "retrieval": {"query": "q", "passage": "p"},
}


def read(task: str, values: dict, **columns: str) -> list[dict]:
    return list(contents(task, values, names_of(task, columns)))


@pytest.mark.parametrize("task", TASK_COLUMNS)
def test_a_record_has_the_columns_of_its_task(task):
    [content] = read(task, GOOD[task])
    assert content.keys() == TASK_COLUMNS[task].keys()
    assert KNOWN_BY[task](content)
    assert REFERENCE[task](content)
    json.dumps(content)


def test_columns_may_have_other_names():
    [content] = read("classification", {"review": "fine", "stars": 5}, text="review", label="stars")
    assert content == {"text": "fine", "text_pair": None, "label": "5"}


@pytest.mark.parametrize(
    ("task", "change", "reason"),
    [
        ("classification", {"label": None}, "missing_label"),
        ("classification", {"label": " "}, "empty_label"),
        ("classification", {"label": 1.5}, "missing_label"),
        ("classification", {"text": 7}, "missing_text"),
        ("multi_label", {"labels": "x"}, "missing_labels"),
        ("token_classification", {"tags": ["O"]}, "tags_differ_from_tokens"),
        ("token_classification", {"tags": ["O", "X-LOC"]}, "unknown_tag"),
        ("token_classification", {"tokens": [], "tags": []}, "empty_tokens"),
        ("question_answering", {"answers": {"text": ["北京"], "answer_start": [9]}}, "answer_out_of_range"),
        ("question_answering", {"answers": {"text": ["北京"], "answer_start": [-1]}}, "answer_out_of_range"),
        (
            "question_answering",
            {"answers": {"text": ["北京"], "answer_start": [0]}},
            "answer_not_at_its_place",
        ),
        (
            "question_answering",
            {"answers": {"text": ["北京"], "answer_start": []}},
            "answers_differ_from_starts",
        ),
        ("generative_qa", {"answers": []}, "empty_answers"),
        ("summarization", {"summary": ""}, "empty_summary"),
        ("translation", {"target": None}, "missing_target_text"),
        ("dialogue", {"messages": [{"role": "user", "content": "hi"}]}, "missing_messages"),
        ("dialogue", {"messages": [{"role": "user", "content": "a"}] * 2}, "last_turn_not_answered"),
        ("similarity", {"score": "2"}, "missing_score"),
        ("similarity", {"score": float("nan")}, "missing_score"),
    ],
)
def test_what_cannot_be_used_has_a_reason(task, change, reason):
    with pytest.raises(UnusableError) as told:
        read(task, GOOD[task] | change)
    assert told.value.reason == reason


def test_a_squad_article_holds_the_questions_of_its_paragraphs(tmp_path):
    qas = [
        {"id": "1", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}]},
        {"id": "2", "question": "When?", "answers": [], "is_impossible": True},
    ]
    article = {"title": "x", "paragraphs": [{"context": "Ada wrote it.", "qas": qas}]}
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [article, article]}))
    names = names_of("question_answering", {})
    records = list(read_records(Part(list_files(str(path))[0]), Layout("context", tuple(names.values()))))
    found = [
        content for record in records for content in contents("question_answering", record.values, names)
    ]
    assert len(found) == 4
    assert found[0] == {
        "context": "Ada wrote it.",
        "question": "Who?",
        "answers": ["Ada"],
        "answer_starts": [0],
    }
    assert found[1]["answers"] == []


def test_conll_has_a_word_a_line(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text(
        "-DOCSTART- -X- O\n\nAda NNP B-PER\nwrote VBD O\n\n# a comment\n北 B-LOC\n京 I-LOC\n\n\n# O\n"
    )
    records = list(read_records(Part(list_files(str(path))[0]), Layout("tokens", ("tags",))))
    assert [record.values for record in records] == [
        {"tokens": ["Ada", "wrote"], "tags": ["B-PER", "O"]},
        {"tokens": ["北", "京"], "tags": ["B-LOC", "I-LOC"]},
        {"tokens": ["#"], "tags": ["O"]},
    ]
    assert [record.number for record in records] == [2, 6, 10]


GOOD_LINE = {"text": "fine", "label": "good"}
BAD = {
    "a.jsonl": (json.dumps(GOOD_LINE) + '\n{"text": "poor"}\n' + json.dumps(GOOD_LINE), 1, "missing_label"),
    "a.csv": ('text,label\nfine,good\n"poor",\n坏,bad\n', 1, "empty_label"),
    "a.conll": ("北 B-LOC\n京 I-LOC\n\nAda X-PER\n\nwrote O\n", 3, "unknown_tag"),
    "a.parquet": ([GOOD_LINE, {"text": "poor", "label": None}, GOOD_LINE], 1, "missing_label"),
}
"""By file: what stands in it, the record that can't be used, and why."""


@pytest.mark.parametrize("name", BAD)
def test_a_bad_label_is_counted_with_its_file_and_line(tmp_path, name):
    given, bad, reason = BAD[name]
    path = tmp_path / name
    if isinstance(given, str):
        path.write_text(given, encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(given), path)
    task = "token_classification" if name.endswith("conll") else "classification"
    source = LabelledFiles(alias="mine", task=task, urls=[str(path)])
    [file] = list_files(str(path))
    found = list(examples_of_file(file, "", source, SplitConfig()))
    refused = [
        (one.file, one.refusal.number, one.refusal.reason) for one in found if isinstance(one, Rejected)
    ]
    assert refused == [(file.name, bad, reason)]
    assert len(found) == 3


def test_a_bad_question_does_not_cost_the_others_of_its_article(tmp_path):
    qas = [{"question": "Who?", "answers": [{"text": "Ada", "answer_start": start}]} for start in (0, 99, 0)]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Ada wrote it.", "qas": qas}]}]}))
    source = LabelledFiles(alias="mine", task="question_answering", urls=[str(path)])
    good, bad, other = examples_of_file(list_files(str(path))[0], "", source, SplitConfig())
    assert isinstance(bad, Rejected)
    assert (bad.refusal.number, bad.refusal.reason) == (0, "answer_out_of_range")
    assert not isinstance(good, Rejected)
    assert not isinstance(other, Rejected)
    assert good.id != other.id
