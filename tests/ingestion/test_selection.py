"""Which labelled examples are kept, once all are seen together."""

import pytest

from lmtrain.ingestion.selection import Selection, language_of

LONG = "the quick brown fox jumps over the lazy dog and runs through the wide green field until night falls "
LONG_ZH = "这本书的内容很好，作者用简单的话讲清楚了复杂的道理，读完以后我对历史有了新的认识，非常推荐给大家，"


def verdicts(selection: Selection) -> dict[str, str]:
    return {selection.ids[place]: verdict.reason for place, verdict in selection.verdicts.items()}


def select(*rows: tuple[str, str, str, str]) -> Selection:
    """Rows of (id, split, text, label)."""
    ids, splits, texts, labels = map(list, zip(*rows, strict=True))
    return Selection(ids, splits, texts, labels)


def test_of_copies_the_one_on_the_far_side_of_the_split_stays():
    selection = select(
        ("a", "train", "很 好", "good"),
        ("b", "validation", "很  好 ", "good"),
        ("c", "test", "很\n好", "good"),
        ("d", "test", "ＨＥＬＬＯ", "good"),
        ("e", "test", "hello", "good"),
    )
    selection.reject_exact_copies()
    assert verdicts(selection) == {"a": "duplicate", "b": "duplicate", "e": "duplicate"}
    assert selection.verdicts[0].detail == "c"
    assert selection.conflicting == 0


def test_a_text_under_two_labels_goes_with_all_its_copies():
    selection = select(
        ("a", "train", "不错", "good"),
        ("b", "test", "不错", "bad"),
        ("c", "train", "不错", "good"),
        ("d", "train", "差", "bad"),
    )
    selection.reject_exact_copies()
    assert verdicts(selection) == dict.fromkeys("abc", "conflicting_labels")
    assert selection.conflicting == 1


def test_without_labels_copies_cannot_conflict():
    selection = Selection(["a", "b"], ["train", "train"], ["x y", "X Y"], None)
    selection.reject_exact_copies()
    selection.reject_unseen_labels()
    assert verdicts(selection) == {"b": "duplicate"}


COUNTED = " ".join(f"{word}{number}" for number in range(8) for word in LONG.split())
COUNTED_ZH = "".join(f"{LONG_ZH}第{number}次" for number in range(4))


@pytest.mark.parametrize("base", [COUNTED, COUNTED_ZH], ids=["en", "zh"])
def test_the_training_side_of_a_near_copy_goes(base):
    parts = [base[:60] + str(number) + base[60:] for number in range(3)]
    selection = select(
        ("train", "train", parts[0], "x"),
        ("validation", "validation", parts[1], "x"),
        ("test", "test", parts[2], "x"),
        ("other", "train", base[::-1], "x"),
        ("same side", "train", parts[0] + "!", "x"),
    )
    selection.reject_near_copies()
    assert verdicts(selection) == {
        "train": "near_copy_of_test",
        "validation": "near_copy_of_test",
        "same side": "near_copy_of_test",
    }


def test_a_near_copy_of_validation_goes_from_training_only():
    selection = select(
        ("v", "validation", LONG, "x"), ("t", "train", LONG + "again", "x"), ("u", "test", "far", "x")
    )
    selection.reject_near_copies()
    assert verdicts(selection) == {"t": "near_copy_of_validation"}


def test_training_is_cut_by_hash_whatever_the_order():
    rows = [(f"id{number}", "train", f"text {number}", "x") for number in range(50)]
    kept = []
    for order in (rows, rows[::-1]):
        selection = select(*order, ("t", "test", "t", "x"))
        selection.cut_training(10)
        kept.append({selection.ids[place] for place in selection.kept()})
        assert len(selection.kept("train")) == 10
        assert "t" in kept[-1]
    assert kept[0] == kept[1]


def test_a_label_that_training_lacks_cannot_be_tested():
    selection = select(("a", "train", "1", "x"), ("b", "test", "2", "x"), ("c", "test", "3", "y"))
    selection.reject_unseen_labels()
    assert verdicts(selection) == {"c": "label_not_in_train"}


def test_the_language_decides_how_shingles_are_cut():
    assert language_of([LONG_ZH, "abc"]) == "zh"
    assert language_of([LONG, "字"]) == "en"
    assert language_of([]) == "en"
