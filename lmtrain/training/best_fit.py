"""Best-fit packing: documents stay whole where they fit into a row (Ding et al. 2024, Fewer Truncations).

In: the slots of each document of a source, and T. Documents of more than T slots
are cut into pieces of T and a rest; pieces are placed by falling size, each into
the row that it leaves least empty, or into a new one. Out: which pieces stand in
which row. The plan is kept in a file beside the machine's cache, named by the
digest of what it follows from, memory-mapped by all processes of the machine and
made by the first of them; its size is 12 bytes for each piece.
"""

import fcntl
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmtrain import storage
from lmtrain.errors import StorageError
from lmtrain.text.kernels import kernel

logger = logging.getLogger(__name__)

VERSION = 1
"""Of the algorithm and of the file: part of the digest."""


@dataclass(frozen=True)
class Plan:
    """Which pieces stand in which row.

    Attributes:
        pieces: document, number of the piece in its document, and row, shape (pieces, 3), uint32, row by row.
        starts: of each row's first piece, and the number of pieces at the end, shape (rows + 1,).
    """

    pieces: np.ndarray
    starts: np.ndarray

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.starts) - 1


def plan_of(slots: np.ndarray, row_tokens: int) -> Plan:
    """Return the plan of documents, made by whichever process of this machine comes first.

    A plan that is damaged is made again, which a warning says.

    Args:
        slots: of each document, shape (documents,), each at least one.
        row_tokens: T.

    Raises:
        StorageError: the plan can't be written.
    """
    slots = np.ascontiguousarray(slots, dtype=np.int64)
    digest = hashlib.sha256(f"best fit {VERSION} {row_tokens}".encode())
    digest.update(slots.data)
    path = storage.cache_folder() / "plans" / f"best-fit-{digest.hexdigest()[:32]}.npy"
    pieces = _opened(path, slots, row_tokens)
    if pieces is None:
        try:
            pieces = _made_once(path, slots, row_tokens)
        except OSError as error:
            raise StorageError(
                f"can't write the plan of best-fit packing to {path}: {error.strerror or error}: free some "
                "space there, or name another folder by LMTRAIN_CACHE"
            ) from error
    row = pieces[:, 2]
    begins = np.flatnonzero(row[1:] != row[:-1]) + 1
    return Plan(pieces, np.concatenate([[0] if len(row) else [], begins, [len(row)]]).astype(np.int64))


def _made_once(path: Path, slots: np.ndarray, row_tokens: int) -> np.ndarray:
    """Return the pieces of a plan's file, which one process makes while others wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The lock is let go with the process that held it: one that dies half-way leaves neither plan nor lock.
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        pieces = _opened(path, slots, row_tokens)
        if pieces is None:
            _write(path, planned(slots, row_tokens))
            pieces = _opened(path, slots, row_tokens)
    assert pieces is not None, "just written"
    return pieces


def _opened(path: Path, slots: np.ndarray, row_tokens: int) -> np.ndarray | None:
    """Return the pieces of a plan's file; None where there is none, or not each in its place."""
    try:
        pieces = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, OSError) as error:
        logger.warning("%s is damaged and is made again: %s", path, error)
        return None
    parts = -(-slots // row_tokens)
    fits = pieces.dtype == np.uint32 and pieces.shape == (parts.sum(), 3)
    if not fits or not _is_whole(pieces, slots, np.cumsum(parts) - parts, row_tokens):
        logger.warning("%s is damaged and is made again", path)
        return None
    return pieces


def _write(path: Path, pieces: np.ndarray) -> None:
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with beside.open("wb") as stream:
            np.save(stream, pieces)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def planned(slots: np.ndarray, row_tokens: int) -> np.ndarray:
    """Return the pieces of documents, row by row, as `Plan.pieces`: best fit by falling size.

    Of pieces of one size the earlier goes first; of rows with equal room, the one that has had it for
    less long is taken. Rows are numbered in the order in which they were begun. The row is found in a
    tree over the room that rows have: O(log T) for each piece.

    Args:
        slots: of each document, shape (documents,), each at least one.
        row_tokens: T.
    """
    assert len(slots) < 1 << 32, "numbers of documents are of 32 bits"
    parts = -(-slots // row_tokens)
    document = np.repeat(np.arange(len(slots), dtype=np.uint32), parts)
    first = np.cumsum(parts) - parts
    part = (np.arange(len(document)) - np.repeat(first, parts)).astype(np.uint32)
    size = np.minimum(slots[document] - part.astype(np.int64) * row_tokens, row_tokens)
    falling = np.argsort(row_tokens - size, kind="stable")
    row = _rows_of(size[falling], row_tokens)
    by_row = np.argsort(row, kind="stable")
    order = falling[by_row]
    return np.column_stack([document[order], part[order], row[by_row]]).astype(np.uint32, copy=False)


@kernel
def _rows_of(sizes: np.ndarray, row_tokens: int) -> np.ndarray:
    """Return the row of each piece; sizes fall."""
    leaves = 1
    while leaves < row_tokens:
        leaves *= 2
    open_below = np.zeros(2 * leaves, dtype=np.bool_)  # of each node: has a row with such room
    newest = np.full(leaves, -1, dtype=np.int64)  # row that came to have this room last
    older = np.full(len(sizes), -1, dtype=np.int64)  # the one before it
    found = np.empty(len(sizes), dtype=np.uint32)
    rows = 0
    for index in range(len(sizes)):
        size = sizes[index]
        room = _least_room(open_below, leaves, size) if size < leaves else -1
        if room < 0:
            row, room = rows, row_tokens
            rows += 1
        else:
            row = newest[room]
            newest[room] = older[row]
            if newest[room] < 0:
                _close(open_below, leaves + room)
        found[index] = row
        left = room - size
        if left:
            older[row] = newest[left]
            newest[left] = row
            node = leaves + left
            while node and not open_below[node]:
                open_below[node] = True
                node //= 2
    return found


@kernel
def _close(open_below: np.ndarray, node: int) -> None:
    """Mark that no row has the room of a leaf any more."""
    open_below[node] = False
    node //= 2
    while node and not open_below[2 * node] and not open_below[2 * node + 1]:
        open_below[node] = False
        node //= 2


@kernel
def _least_room(open_below: np.ndarray, leaves: int, size: int) -> int:
    """Return the least room of a row that a piece fits into; -1 where there is none."""
    node = leaves + size
    while not open_below[node]:
        while node & 1:  # a right child: nothing larger is below its parent
            node //= 2
            if node <= 1:
                return -1
        node += 1
    while node < leaves:
        node *= 2
        if not open_below[node]:
            node += 1
    return node - leaves


@kernel
def _is_whole(pieces: np.ndarray, slots: np.ndarray, firsts: np.ndarray, row_tokens: int) -> bool:
    """Tell whether every piece stands in the plan once, rows rise by one, and none holds too much."""
    seen = np.zeros(len(pieces), dtype=np.bool_)
    before, used = np.int64(-1), np.int64(0)
    for index in range(len(pieces)):
        document, part, row = (
            np.int64(pieces[index, 0]),
            np.int64(pieces[index, 1]),
            np.int64(pieces[index, 2]),
        )
        if document >= len(slots) or part * row_tokens >= slots[document]:
            return False
        place = firsts[document] + part
        if seen[place]:
            return False
        seen[place] = True
        if row != before:
            if row != before + 1:
                return False
            before, used = row, np.int64(0)
        used += min(row_tokens, slots[document] - part * row_tokens)
        if used > row_tokens:
            return False
    return True
