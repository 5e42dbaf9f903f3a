"""Totals by source and licence add up, whatever they are cut into and however many are shown."""

from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain.totals import Row, added, table, totals_of

NAMES = st.sampled_from(["manuals", "邮件", "web"])
LICENSES = st.sampled_from(["MIT", "CC-BY-4.0", "", None])
DOCUMENTS = st.lists(st.tuples(NAMES, LICENSES, st.integers(0, 10**12)), max_size=30)


def counted(documents):
    columns = list(zip(*documents, strict=True)) or [(), (), ()]
    rows = pa.table(
        {"source": pa.array(columns[0], pa.string()), "license": pa.array(columns[1], pa.string())}
    )
    return totals_of(rows, bytes=columns[2])


def defined(documents):
    """What `totals_of` is: documents and bytes of each source and licence, one document after another."""
    found: dict = {}
    for source, name, size in documents:
        one = found.setdefault(source, {}).setdefault(name or "unknown", {"documents": 0, "bytes": 0})
        one["documents"] += 1
        one["bytes"] += size
    return found


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS)
def test_documents_and_bytes_are_counted_by_source_and_licence(documents):
    assert counted(documents) == defined(documents)


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS, st.integers(0, 30))
def test_what_is_cut_in_two_adds_up_to_the_whole(documents, place):
    assert added([counted(documents[:place]), counted(documents[place:])]) == counted(documents)


def all_rows(rows: list[Row]) -> list[Row]:
    return [one for row in rows for one in (row.parts or [row])]


@settings(deadline=None, max_examples=40)
@given(DOCUMENTS, DOCUMENTS, st.integers(1, 4), st.integers(1, 4))
def test_rows_and_subtotals_add_up_to_all_however_few_are_shown(read, kept, sources, licenses):
    rows, whole = table({"read": counted(read), "kept": counted(kept)}, sources, licenses)
    assert len(rows) <= sources
    assert all(len(row.parts) <= licenses for row in rows)
    for documents, done in ((read, "read"), (kept, "kept")):
        if documents:
            expected = {"documents": len(documents), "bytes": sum(size for _, _, size in documents)}
            assert whole.counts[done] == expected
            for shown in (rows, all_rows(rows)):
                assert sum((row.counts.get(done, Counter()) for row in shown), Counter()) == Counter(expected)


def test_the_largest_come_first_and_the_smallest_are_one_line_together():
    read = {
        name: {"MIT": {"documents": 1, "bytes": size}}
        for name, size in zip("abcd", (1, 40, 30, 2), strict=True)
    }
    rows, _ = table({"read": read}, sources=3)
    assert [(row.source, row.counts["read"]["bytes"]) for row in rows] == [
        ("b", 40),
        ("c", 30),
        ("2 others", 3),
    ]


def test_a_source_of_one_licence_is_one_line_and_of_several_has_a_subtotal():
    rows, _ = table({"read": counted([("one", "MIT", 9), ("two", "MIT", 3), ("two", None, 4)])})
    assert [(row.source, row.license, len(row.parts)) for row in rows] == [("one", "MIT", 0), ("two", "", 2)]
    assert [part.license for part in rows[1].parts] == ["unknown", "MIT"]
    assert rows[1].counts["read"] == {"documents": 2, "bytes": 7}
