"""Lines and paragraphs that recur are removed, but for one document that keeps them."""

import pytest
from made_corpora import curated, document, prose, rows_of
from pydantic import ValidationError

from lmtrain.curation.config import DeduplicationConfig, RecurringConfig
from lmtrain.curation.recurring import Recurring, holder_of, piece_hashes

MENU = {
    "en": "Home | News | Sports | Contact us | About this site",
    "zh": "首页 新闻 体育 财经 科技 娱乐 联系我们 关于本站 版权所有 违者必究",
}


def recurring(pieces: dict[str, int], **config: RecurringConfig) -> Recurring:
    """What recurs, with the holder of each piece, as if it had been counted."""
    import numpy as np

    full = DeduplicationConfig(**config)
    found = sorted(
        (hashed, holder)
        for unit in config
        for piece, holder in pieces.items()
        for hashed in piece_hashes([piece], unit, getattr(full, unit))
        if hashed is not None
    )
    hashes, holders = (np.array(column, np.uint64) for column in zip(*found, strict=True))
    return Recurring(hashes, holders, full)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_line_goes_from_all_documents_but_its_holder(language):
    menu = MENU[language]
    found = recurring({menu: holder_of("a", "train")}, lines=RecurringConfig(min_documents=2))
    text = f"{menu}\n\nOwn text.\n  {menu.upper()}  \nMore.\n{menu}"
    assert found.cleaned(text, "b", "train") == ("Own text.\nMore.", {"lines": 3})
    assert found.cleaned(text, "a", "train") == (text, {})


def test_what_does_not_recur_stays_to_the_letter():
    found = recurring({MENU["en"]: 0}, lines=RecurringConfig(min_documents=2))
    for text in ("", "\n\n", "  A line.\r\n\n\nAnother one. \n"):
        assert found.cleaned(text, "b", "train") == (text, {})


def test_short_lines_stay():
    config = RecurringConfig(min_documents=2, min_characters=12)
    assert piece_hashes(["Hello  there", "Hello there!", ""], "lines", config)[::2] == [None, None]
    assert piece_hashes(["Hello there!"], "lines", config) != [None]


def test_paragraphs_go_whole_and_before_lines():
    paragraph = "All rights reserved.\nDo not copy this page."
    on = RecurringConfig(min_documents=2)
    found = recurring({paragraph: 0}, paragraphs=on, lines=on)
    text = f"One.\n\n{paragraph}\n \nTwo.\nDo not copy this page."
    assert found.cleaned(text, "b", "train") == ("One.\n\nTwo.\nDo not copy this page.", {"paragraphs": 1})


def test_test_documents_keep_what_recurs_before_training_documents_do():
    assert max(holder_of(f"d{n}", "test") for n in range(99)) < holder_of("d", "validation")
    assert holder_of("d", "validation") < min(holder_of(f"d{n}", "train") for n in range(99))


def test_one_document_is_not_many():
    with pytest.raises(ValidationError, match="set 2 or more, or 0"):
        RecurringConfig(min_documents=1)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("workers", [1, 2])
def test_lines_that_recur_are_removed_before_documents_are_judged(root, resources, workers):
    menu, notice = MENU["en"], "This notice stands in two documents only."
    rows = [document(f"d{n}", f"{menu}\n{prose(n)}\n{menu}", "test" if n == 5 else "train") for n in range(8)]
    rows[0]["text"] += f"\n{notice}"
    rows[1]["text"] += f"\n{notice}"
    rows.append(document("menu", menu))
    artifact = curated(
        root,
        [rows[:5], rows[5:]],
        resources.model_copy(update={"workers": workers}),
        preset="none",
        deduplication={"lines": {"min_documents": 3}},
    )
    kept = rows_of(artifact, "documents")
    assert kept.pop("d5")["text"] == rows[5]["text"]
    assert kept["d2"]["text"] == prose(2)
    assert kept["d0"]["text"] == f"{prose(0)}\n{notice}"
    dropped = rows_of(artifact, "dropped")["menu"]
    assert (dropped["filter"], dropped["reason"], dropped["text"]) == (
        "deduplication",
        "only_recurring",
        menu,
    )
    taken_out = artifact.stats["rewritten"]["recurring"]
    assert (taken_out["documents"], taken_out["removed"]) == (7, {"lines": 14})
    assert taken_out["bytes"] == 14 * (len(menu) + 1)
    left = artifact.stats["funnel"][-1]
    assert left["documents"] == artifact.stats["kept"]
    assert left["bytes"] == sum(len(row["text"].encode()) for row in rows_of(artifact, "documents").values())
    assert artifact.stats["read"] == artifact.stats["kept"] + 1
