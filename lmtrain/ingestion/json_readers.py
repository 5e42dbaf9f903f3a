"""Records of JSON: lines of it (.jsonl, .ndjson), or one array or object (.json).

An array is cut into its elements without parsing it, so that memory is bounded
by the longest element that is allowed, and a broken one is refused by itself.
"""

import json
import re
from collections.abc import Iterator
from typing import IO

from lmtrain.ingestion.records import Item, Items, Layout, Part, Record, Refusal, too_long
from lmtrain.ingestion.streams import BLOCK, BYTE_ORDER_MARK, bounded_content, bounded_lines

SPACE = b" \t\r\n"
_STRUCTURE = re.compile(rb'["\[\]{},]')
_IN_STRING = re.compile(rb'["\\]')
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)

_DATA = re.compile(rb'\{\s*(?:"version"\s*:\s*"[^"]*"\s*,\s*)?"data"\s*:\s*\[')
"""How an object begins whose `data` is the array of records: SQuAD's files, of which each is one article."""

HEAD = 4096
"""Bytes in which an object says that its `data` is an array."""

MAX_VALUES = 1_000_000
"""Values in one record, about: more are no text. In memory each takes 50 times its two or three bytes."""


def read_jsonl(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield a record for each line; an empty line is refused, so that numbers are those of lines."""
    lines = bounded_lines(stream, layout.limit, part.start, part.stop)
    for number, (line, size) in enumerate(lines, part.first):
        if line is None:
            yield too_long(number, size, layout)
        elif not line.strip():
            yield Refusal(number, "empty", "an empty line", size)
        else:
            yield parsed(number, line, size)


def parsed(number: int, raw: bytes, size: int) -> Item:
    """Return the record that a JSON object holds, or why there is none."""
    if _has_too_many_values(raw):
        return Refusal(number, "too_many_values", f"more than {MAX_VALUES} values in one record", size)
    try:
        values = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        return Refusal(number, "undecodable", str(error), size)
    except RecursionError as error:
        return Refusal(number, "nested_too_deep", str(error), size)
    except ValueError as error:  # also for integers of too many digits
        at = raw.find(b"\0")
        if at >= 0:
            return Refusal(number, "nul_bytes", f"a NUL at byte {at}", size)
        return Refusal(number, "not_json", str(error), size)
    if not isinstance(values, dict):
        return Refusal(number, "not_an_object", f"a {type(values).__name__}", size)
    return Record(number, values, size)


def _has_too_many_values(raw: bytes) -> bool:
    """Tell by commas and brackets outside of strings, before anything is made of them."""
    if len(raw) <= MAX_VALUES or _structure(raw) <= MAX_VALUES:
        return False
    return _structure(_STRING.sub(b"", raw)) > MAX_VALUES


def _structure(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def read_json(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield the records of a .json file: an array's elements, one object, or lines of objects.

    An object whose `data` is an array stands for that array; what comes behind it isn't read.
    """
    head = stream.read(len(BYTE_ORDER_MARK)).removeprefix(BYTE_ORDER_MARK)
    while not head.strip(SPACE):
        head = stream.read(BLOCK)
        if not head:
            return
    head = head.lstrip(SPACE)
    head += stream.read(max(0, HEAD - len(head)))
    joined = _Joined(head, stream)
    if found := _DATA.match(head):
        joined.read(found.end() - 1)
        yield from _array(part, joined, layout, alone=False)
    elif head.startswith(b"["):
        yield from _array(part, joined, layout)
    else:
        yield from _object_or_lines(joined, layout)


class _Joined:
    """Reads what was read ahead, then the stream."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self.head = head
        self.stream = stream

    def read(self, size: int) -> bytes:
        data, self.head = self.head[:size], self.head[size:]
        return data + self.stream.read(size - len(data)) if len(data) < size else data

    def readline(self, size: int) -> bytes:
        end = self.head.find(b"\n", 0, size) + 1 or min(size, len(self.head))
        data, self.head = self.head[:end], self.head[end:]
        if data.endswith(b"\n") or len(data) == size:
            return data
        return data + self.stream.readline(size - len(data))


def _object_or_lines(stream: _Joined, layout: Layout) -> Items:
    """Yield the one object, or where the first line is one by itself, each line's.

    The first line tells, because an object over several lines never has a whole one on its first.
    """
    first = stream.readline(layout.limit + 1)
    item = parsed(0, first, len(first))
    if isinstance(item, Record):
        yield item
        for number, (line, size) in enumerate(bounded_lines(stream, layout.limit, 0), 1):  # type: ignore[arg-type]
            if line is None:
                yield too_long(number, size, layout)
            elif line.strip():
                yield parsed(number, line, size)
        return
    rest, size = bounded_content(stream, max(layout.limit - len(first), 0))  # type: ignore[arg-type]
    size += len(first)
    yield too_long(0, size, layout) if rest is None else parsed(0, first + rest, size)


def _array(part: Part, stream: _Joined, layout: Layout, *, alone: bool = True) -> Items:
    stream.read(1)
    number = -1
    elements = Elements(stream, layout.limit, alone=alone)
    for number, (raw, size) in enumerate(elements):
        if raw is None:
            yield too_long(number, size, layout)
        elif raw.strip(SPACE):
            yield parsed(number, raw.strip(SPACE), size)
        else:
            yield Refusal(number, "empty", "nothing between two commas", size)
    if elements.fault:
        yield Refusal(number + 1, "damaged_file", elements.fault, part.bytes)


class Elements:
    """Cuts the text of a JSON array, after its bracket, at the commas between its elements.

    Yields each element and its bytes; of one beyond the limit only the bytes.

    Attributes:
        fault: what is wrong with the array as a whole, once it is read; empty: nothing.
    """

    def __init__(self, stream: _Joined, limit: int, *, alone: bool = True) -> None:
        self.stream = stream
        self.limit = limit
        self.alone = alone
        self.fault = ""
        self._held: list[bytes] = []
        self._size = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def __iter__(self) -> Iterator[tuple[bytes | None, int]]:
        elements = 0
        while block := self.stream.read(BLOCK):
            begin = 0
            for end in self._ends(block):
                self._hold(block[begin:end])
                closing = block[end : end + 1] == b"]"
                if not (closing and not elements and self._is_blank()):
                    yield self._taken()
                    elements += 1
                if closing:
                    if self.alone:
                        self._check_rest(block[end + 1 :])
                    return
                begin = end + 1
            self._hold(block[begin:])
        self.fault = "the file ends within an array"

    def _is_blank(self) -> bool:
        return self._size <= self.limit and not b"".join(self._held).strip(SPACE)

    def _hold(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self.limit:
            self._held.append(piece)
        else:
            self._held = []

    def _taken(self) -> tuple[bytes | None, int]:
        taken = (b"".join(self._held) if self._size <= self.limit else None), self._size
        self._held, self._size = [], 0
        return taken

    def _ends(self, block: bytes) -> Iterator[int]:
        """Yield where elements end in a block: at commas of depth 0, and at the bracket that closes."""
        at = 0
        while at < len(block):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_IN_STRING if self._in_string else _STRUCTURE).search(block, at)
            if not found:
                return
            at = found.end()
            mark = found[0]
            if self._in_string:
                self._in_string = mark != b'"'
                self._escaped = mark == b"\\"
            elif mark == b'"':
                self._in_string = True
            elif mark in b"[{":
                self._depth += 1
            elif mark in b"]}" and self._depth:
                self._depth -= 1
            elif not self._depth and mark in b",]":
                yield found.start()

    def _check_rest(self, rest: bytes) -> None:
        while not rest.strip(SPACE):
            rest = self.stream.read(BLOCK)
            if not rest:
                return
        self.fault = f"something stands after the array: {rest.strip(SPACE)[:40]!r}"
