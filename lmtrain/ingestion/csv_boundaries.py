"""Where the rows of a CSV file begin, found piece by piece.

Whether a line end ends a row depends on the quotes before it, back to the beginning of the file. So
each piece is scanned under both assumptions, that it begins inside of a quoted field and outside, and
the pieces are joined afterwards. The definition of a row is that of Python's `csv.reader` with
`strict=True`, which reads them: a quotation mark opens a field only where the field begins, and what it
takes for an error ends with its line.
"""

from typing import IO

import numpy as np

from lmtrain.ingestion.records import Part
from lmtrain.ingestion.streams import BLOCK, BYTE_ORDER_MARK, seek_line
from lmtrain.text.kernels import kernel

LINE_START, FIELD_START, PLAIN, QUOTED, QUOTE_IN_QUOTED, TO_LINE_END = range(6)
"""What a scan is in; LINE_START: where a row begins; TO_LINE_END: in an error, or after a carriage return."""
MODE, ROWS, FIRST, LAST, LONGEST = range(5)
"""Fields of a scan: what it is in, rows that began, where the first and the last of them did (-1:
nowhere), and the bytes of the longest that is over."""
KINDS = np.zeros(256, np.uint8)
KINDS[list(b'",\n\r')] = 1, 2, 3, 4
NEXT = np.array(
    [  # after another byte, ", a comma, \n, \r
        [PLAIN, QUOTED, FIELD_START, LINE_START, TO_LINE_END],
        [PLAIN, QUOTED, FIELD_START, LINE_START, TO_LINE_END],
        [PLAIN, PLAIN, FIELD_START, LINE_START, TO_LINE_END],
        [QUOTED, QUOTE_IN_QUOTED, QUOTED, QUOTED, QUOTED],
        [TO_LINE_END, QUOTED, FIELD_START, LINE_START, TO_LINE_END],
        [TO_LINE_END, TO_LINE_END, TO_LINE_END, LINE_START, TO_LINE_END],
    ],
    np.uint8,
)
"""What a scan is in after a byte, by what it was in before."""


@kernel
def scan(block: np.ndarray, position: int, state: np.ndarray) -> None:
    """Go on with a scan.

    Args:
        block: bytes, shape (bytes,), dtype uint8.
        position: of the block in the file.
        state: the scan's fields, shape (5,), dtype int64; changed in place.
    """
    mode = state[MODE]
    for place in range(len(block)):
        if mode == LINE_START:
            begin = position + place
            if state[FIRST] < 0:
                state[FIRST] = begin
            else:
                state[LONGEST] = max(state[LONGEST], begin - state[LAST])
            state[LAST] = begin
            state[ROWS] += 1
        mode = NEXT[mode, KINDS[block[place]]]
    state[MODE] = mode


def measure_csv(part: Part, stream: IO[bytes]) -> list[tuple[int, ...]]:
    """Scan the lines that begin in a part.

    Returns:
        Two rows, of the scan that begins outside of quotes and of the one inside: is its end inside,
        rows, first, last, longest, as above.
    """
    assert part.stop is not None
    states = [np.array([mode, 0, -1, -1, 0], np.int64) for mode in (LINE_START, QUOTED)]
    position = seek_line(stream, part.start) if part.start else 0
    end = seek_line(stream, part.stop)
    stream.seek(position)
    while position < end:
        block = stream.read(min(BLOCK, end - position))
        if not block:
            raise EOFError("the file became shorter")
        marked = len(BYTE_ORDER_MARK) if not position and block.startswith(BYTE_ORDER_MARK) else 0
        scan_both(np.frombuffer(block, np.uint8)[marked:], position + marked, states)
        position += len(block)
    return [(int(state[MODE] == QUOTED), *map(int, state[ROWS:])) for state in states]


def scan_both(block: np.ndarray, position: int, states: list[np.ndarray]) -> None:
    """Go on with two scans; as one, where they came to the same row."""
    outside, inside = states
    if outside[MODE] != inside[MODE] or outside[LAST] != inside[LAST]:
        scan(block, position, outside)
        scan(block, position, inside)
        return
    before = outside[ROWS]
    scan(block, position, outside)
    inside[ROWS] += outside[ROWS] - before
    for field in (MODE, LAST):
        inside[field] = outside[field]
    inside[LONGEST] = max(inside[LONGEST], outside[LONGEST])


def joined_csv(size: int, measured: list[list[int]], limit: int) -> list[tuple[int, int, int, int]]:
    """Join what `measure_csv` told of the pieces of a file.

    Args:
        size: bytes of the file.
        measured: two rows for each piece, in order.
        limit: bytes beyond which a row is refused; what is refused then is for the reader alone to say.

    Returns:
        Rows of (start, stop, records, bytes), the header not counted; none where a row is beyond the limit.
    """
    begins: list[tuple[int, int]] = []
    inside = last = 0
    for outside_row, inside_row in zip(measured[::2], measured[1::2], strict=True):
        inside, rows, first, next_last, longest = inside_row if inside else outside_row
        if longest > limit:
            return []
        if rows:
            if first - last > limit:
                return []
            begins.append((first if begins else 0, rows))
            last = next_last
    if not begins or size - last > limit:
        return []
    stops = [start for start, _ in begins[1:]] + [size]
    return [
        (start, stop, rows - (not start), stop - start)
        for (start, rows), stop in zip(begins, stops, strict=True)
    ]
