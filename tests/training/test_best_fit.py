"""Best fit places pieces as its definition does, once on a machine, and a damaged plan is made again."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtrain import storage
from lmtrain.errors import StorageError
from lmtrain.training import best_fit
from lmtrain.training.best_fit import plan_of, planned


def by_definition(slots: list[int], row_tokens: int) -> list[tuple[int, int, int]]:
    """Return (document, piece, row), row by row: each piece, the largest first, where least room is left."""
    pieces = [
        (min(row_tokens, size - part * row_tokens), document, part)
        for document, size in enumerate(slots)
        for part in range(-(-size // row_tokens))
    ]
    rooms: list[int] = []
    since: list[int] = []
    placed: list[tuple[int, int, int, int]] = []
    for size, document, part in sorted(pieces, key=lambda piece: -piece[0]):
        fitting = [(room, -since[row], row) for row, room in enumerate(rooms) if room >= size]
        if not fitting:
            rooms.append(row_tokens)
            since.append(0)
        row = min(fitting)[2] if fitting else len(rooms) - 1
        rooms[row] -= size
        since[row] = len(placed)
        placed.append((row, len(placed), document, part))
    return [(document, part, row) for row, _, document, part in sorted(placed)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 80), max_size=40), st.integers(1, 40))
def test_pieces_stand_where_the_definition_puts_them(slots, row_tokens):
    found = planned(np.array(slots, dtype=np.int64), row_tokens)
    assert [tuple(piece) for piece in found.tolist()] == by_definition(slots, row_tokens)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LMTRAIN_CACHE", str(tmp_path))
    assert storage.cache_folder() == tmp_path
    return tmp_path / "plans"


SLOTS = np.array([5, 3, 19, 8, 1, 1, 2])


def test_a_plan_is_made_once_for_all_processes_of_a_machine(cache, monkeypatch):
    calls = []
    monkeypatch.setattr(best_fit, "planned", lambda *given: calls.append(given) or planned(*given))
    with ThreadPoolExecutor(4) as threads:
        plans = list(threads.map(lambda _: plan_of(SLOTS, 8), range(8)))
    assert len(calls) == 1
    assert all((plan.pieces == plans[0].pieces).all() for plan in plans)
    assert plans[0].rows == len(plans[0].starts) - 1
    plan_of(SLOTS, 9)
    assert len(calls) == 2, "other rows are another plan"


def _flip(content: bytes) -> bytes:
    return content[:-12] + bytes([content[-12] ^ 1]) + content[-11:]


@pytest.mark.parametrize("damage", [_flip, lambda content: content[:-5], lambda _: b"", lambda _: b"no plan"])
def test_a_damaged_plan_is_made_again_and_said(cache, caplog, damage):
    first = plan_of(SLOTS, 8).pieces.tolist()
    (path,) = cache.glob("*.npy")
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert plan_of(SLOTS, 8).pieces.tolist() == first
    assert "is damaged and is made again" in caplog.text
    assert not list(cache.glob("*.tmp"))


def test_a_full_disk_is_said_and_leaves_no_half_of_a_plan(cache, monkeypatch):
    def full(stream, pieces) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(StorageError, match=r"No space left.*LMTRAIN_CACHE"):
            plan_of(SLOTS, 8)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    assert plan_of(SLOTS, 8).rows == 5, "39 slots fill five rows of 8"
