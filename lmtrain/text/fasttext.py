"""fastText's supervised models, read and run without its C++: what identifies languages fast.

In: a quantized model file (`.ftz`) and the code points of a text. Out: the
likeliest label and its probability, as fastText's own `predict` gives them
(Joulin et al. 2016, Bag of Tricks; 2016, FastText.zip). A text is the mean of
the vectors of its words and of their character n-grams; labels are the leaves
of a Huffman tree at whose forks that mean decides (hierarchical softmax).
"""

import math
import struct
from typing import Any, NamedTuple

import numpy as np

from lmtrain.text.characters import classes
from lmtrain.text.kernels import kernel

MAGIC, VERSION = 793712314, 12
HIERARCHICAL_SOFTMAX, SUPERVISED = 1, 3
END_OF_LINE, LABEL = b"</s>", b"__label__"

DIMENSIONS, LEAST, MOST, BUCKETS = 16, 2, 4, 2_000_000
"""The one shape that is read, lid.176's: of the vectors, characters of the shortest and longest n-grams, and
the numbers that n-grams are hashed to. As constants, a third of the time is saved."""

_CENTROIDS = 256
_NOTHING = -1
_LABEL = np.frombuffer(LABEL, dtype=np.uint8)
_FNV_START, _FNV_PRIME = 2166136261, 16777619


class Model(NamedTuple):
    """A model as arrays, for kernels; word 0 is `END_OF_LINE`."""

    labels: tuple[str, ...]
    """Without `__label__`."""
    rows: np.ndarray
    """Vectors of the words, then of the n-grams by bucket, shape (words + n-grams, dimensions), float32."""
    word_bytes: np.ndarray
    """All words of the dictionary in UTF-8, one after the other, uint8."""
    word_ends: np.ndarray
    """Where each of them ends in `word_bytes`, shape (words,), int64."""
    word_slots: np.ndarray
    """Open-addressed table from a word's hash to its row, -1 for none, int32."""
    bucket_bits: np.ndarray
    """Bit b says whether bucket b was kept when the model was made smaller, shape (buckets / 64,), uint64."""
    bucket_ranks: np.ndarray
    """Kept buckets before each 64 of them; with the bits this gives the row of a bucket, uint16."""
    forks: np.ndarray
    """Vectors of the inner nodes of the tree, the root last, shape (labels - 1, dimensions), float32."""
    children: np.ndarray
    """Left and right child of each inner node; numbers below the number of labels are leaves, int32."""


class _Reader:
    """Little-endian values from a file's content, one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def values(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + form, self.content, self.place)
        self.place += struct.calcsize("<" + form)
        return found

    def array(self, dtype: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.content, dtype=dtype, count=count, offset=self.place)
        self.place += found.nbytes
        return found

    def text(self) -> bytes:
        """Return what stands before the next zero byte."""
        start, end = self.place, self.content.index(0, self.place)
        self.place = end + 1
        return self.content[start:end]


def load(path: str) -> Model:
    """Read a model.

    Raises:
        ValueError: the file isn't a quantized supervised model with hierarchical softmax, n-grams of
            characters and none of words, of the shape that is read.
    """
    with open(path, "rb") as stream:
        reader = _Reader(stream.read())
    if reader.values("ii") != (MAGIC, VERSION):
        raise ValueError(f"{path}: not a fastText model of version {VERSION}")
    dimensions, *_, word_ngrams, loss, kind, buckets, least, most, _ = reader.values("12i")
    reader.values("d")  # the sampling threshold, of training only
    if (loss, kind, word_ngrams) != (HIERARCHICAL_SOFTMAX, SUPERVISED, 1):
        raise ValueError(f"{path}: not a supervised model with hierarchical softmax over character n-grams")
    if (dimensions, least, most, buckets) != (DIMENSIONS, LEAST, MOST, BUCKETS):
        raise ValueError(f"{path}: not of lid.176's {DIMENSIONS} dimensions, n-grams and buckets")
    words, labels, counts, kept = _read_dictionary(reader)
    assert words[0] == END_OF_LINE
    if not reader.values("?")[0] or not len(kept):
        raise ValueError(f"{path}: not a quantized model with pruned n-grams (.ftz)")
    rows = _read_quantized(reader)
    if reader.values("?")[0]:
        raise ValueError(f"{path}: its output is quantized too, which isn't read")
    forks = reader.array("f4", math.prod(reader.values("qq"))).reshape(-1, dimensions)
    order = np.argsort(kept[:, 0])
    bits, ranks = _ranked(kept[order, 0])
    return Model(
        labels=labels,
        rows=np.ascontiguousarray(np.concatenate([rows[: len(words)], rows[len(words) + kept[order, 1]]])),
        word_bytes=np.frombuffer(b"".join(words), dtype=np.uint8),
        word_ends=np.cumsum([len(word) for word in words], dtype=np.int64),
        word_slots=_slots(words),
        bucket_bits=bits,
        bucket_ranks=ranks,
        forks=forks[: len(labels) - 1].copy(),
        children=_huffman_tree(counts),
    )


def _read_dictionary(reader: _Reader) -> tuple[list[bytes], tuple[str, ...], list[int], np.ndarray]:
    """Return words, labels, the counts of labels, and pairs of a bucket and its row after the words."""
    size, word_count, _, _, kept = reader.values("iiiqq")
    entries = [(reader.text(), *reader.values("qb")) for _ in range(size)]
    labels = tuple(name.removeprefix(LABEL).decode() for name, _, _ in entries[word_count:])
    counts = [count for _, count, _ in entries[word_count:]]
    pairs = reader.array("i4", 2 * max(kept, 0)).reshape(-1, 2)
    return [name for name, _, _ in entries[:word_count]], labels, counts, pairs


def _read_quantized(reader: _Reader) -> np.ndarray:
    """Return a product-quantized matrix in full (Jégou et al. 2011), its norms multiplied in, float32."""
    has_norms, height, width, size = reader.values("?qqi")
    codes = reader.array("u1", size).reshape(height, -1)
    rows = _decoded(codes, *_read_centroids(reader))
    assert rows.shape == (height, width)
    if has_norms:
        norms = reader.array("u1", height).reshape(height, 1)
        rows = rows * _decoded(norms, *_read_centroids(reader))
    return rows


def _read_centroids(reader: _Reader) -> tuple[np.ndarray, int, int]:
    dimensions, _, part, last = reader.values("4i")
    return reader.array("f4", dimensions * _CENTROIDS), part, last


def _decoded(codes: np.ndarray, centroids: np.ndarray, part: int, last: int) -> np.ndarray:
    """Return the rows that codes stand for: each code names a centroid of one stretch of the row."""
    stretches, columns = codes.shape[1], []
    for stretch in range(stretches):
        width = last if stretch == stretches - 1 else part
        start = stretch * _CENTROIDS * part
        table = centroids[start : start + _CENTROIDS * width].reshape(_CENTROIDS, width)
        columns.append(table[codes[:, stretch]])
    return np.concatenate(columns, axis=1)


def _ranked(kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `bucket_bits` and `bucket_ranks` of the sorted kept buckets.

    A quarter of a megabyte that stays in a core's cache, where a table of rows
    by bucket wouldn't.
    """
    present = np.zeros(-(-BUCKETS // 64) * 64, dtype=np.uint8)
    present[kept] = 1
    bits = np.packbits(present, bitorder="little").view("<u8")
    ranks = np.cumsum(present.reshape(-1, 64).sum(axis=1)) - present.reshape(-1, 64).sum(axis=1)
    assert len(kept) < 2**16
    return bits.astype(np.uint64), ranks.astype(np.uint16)


def _slots(words: list[bytes]) -> np.ndarray:
    slots = np.full(1 << (4 * len(words)).bit_length(), _NOTHING, dtype=np.int32)
    for row, word in enumerate(words):
        slot = hash_bytes(word) & (len(slots) - 1)
        while slots[slot] != _NOTHING:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = row
    return slots


def hash_bytes(content: bytes) -> int:
    """Return fastText's hash: FNV-1a of 32 bits, but for bytes from 128, which it extends by their sign."""
    hashed = _FNV_START
    for byte in content:
        hashed = ((hashed ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * _FNV_PRIME) & 0xFFFFFFFF
    return hashed


def _huffman_tree(counts: list[int]) -> np.ndarray:
    """Return the children of each inner node; counts fall, as the file has them, so no heap is needed."""
    labels = len(counts)
    weights = [*counts, *[10**15] * (labels - 1)]
    leaf, node = labels - 1, labels
    children = np.empty((labels - 1, 2), dtype=np.int32)
    for parent in range(labels, 2 * labels - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[parent - labels, side], leaf = leaf, leaf - 1
            else:
                children[parent - labels, side], node = node, node + 1
        weights[parent] = sum(weights[child] for child in children[parent - labels])
    return children


def predict(model: Model, characters: np.ndarray) -> tuple[str, float] | None:
    """Return the likeliest label of a text and its probability, which rounding may put just above 1.

    Args:
        model: what `load` returned.
        characters: `code_points` of the text, shape (characters,). Words are what whitespace parts.

    Returns:
        None for a text without letters.
    """
    label, score = _predict(characters, classes(), *model[1:])
    return None if label == _NOTHING else (model.labels[label], math.exp(score))


@kernel
def _predict(characters, table, rows, texts, ends, slots, bits, ranks, forks, children):
    found = np.empty(2 * (len(characters) + 2) * (MOST + 1), dtype=np.int32)
    count, letters = _features(characters, table, texts, ends, slots, bits, ranks, found)
    if not letters:
        return -1, np.float32(0)
    mean = np.zeros(DIMENSIONS, dtype=np.float32)
    for place in range(count):
        for column in range(DIMENSIONS):
            mean[column] += rows[found[place], column]
    for column in range(DIMENSIONS):
        mean[column] *= np.float32(1.0 / count)
    return _likeliest(mean, forks, children)


@kernel
def _features(characters, table, texts, ends, slots, bits, ranks, found):
    """Write the rows of words and n-grams in fastText's order; return how many, and if a letter is there."""
    encoded = np.empty(4 * len(characters) + 2, dtype=np.uint8)
    begins = np.empty(len(characters) + 3, dtype=np.int64)  # of each character in `encoded`
    encoded[0], begins[0], begins[1] = 60, 0, 1  # <
    count, place, letters = 0, 0, False
    while place < len(characters):
        size, length = 1, 1
        while place < len(characters):
            point = characters[place]
            sort = table[point]
            if sort & 4 or point == 0:
                break
            letters = letters or (sort & 16) != 0
            if point < 0x80:  # without a call, which costs more than what it does
                encoded[size] = point
                size += 1
            else:
                size = _encode(point, encoded, size)
            length += 1
            begins[length] = size
            place += 1
        place += 1
        if length == 1:
            continue
        row = _row_of_word(encoded, size, texts, ends, slots)
        if row >= 0:
            found[count] = row
            count += 1
        if row == 0:
            return count, letters  # the mark itself stands in the text: fastText reads no further
        if row < 0 and encoded[1] == 95 and _is_label(encoded, size):
            continue
        encoded[size] = 62  # >
        begins[length + 1] = size + 1
        count = _ngrams(encoded, begins, length + 1, bits, ranks, len(ends), found, count)
    found[count] = 0
    return count + 1, letters


@kernel
def _ngrams(encoded, begins, length, bits, ranks, words, found, count):
    for first in range(length - 1):
        hashed = np.uint32(2166136261)
        for byte in range(begins[first], begins[first + 1]):
            hashed = _fnv_step(hashed, encoded[byte])
        for last in range(first + 1, min(first + MOST, length)):
            for byte in range(begins[last], begins[last + 1]):
                hashed = _fnv_step(hashed, encoded[byte])
            bucket = hashed % np.uint32(BUCKETS)
            group = np.int64(bucket >> np.uint32(6))
            word, bit = bits[group], np.uint64(bucket & np.uint32(63))
            if (word >> bit) & np.uint64(1):
                below = word & ((np.uint64(1) << bit) - np.uint64(1))
                found[count] = words + np.int64(ranks[group]) + _ones(below)
                count += 1
    return count


@kernel
def _fnv_step(hashed, byte):
    return np.uint32((hashed ^ np.uint32(np.int32(np.int8(byte)))) * np.uint32(16777619))


@kernel
def _ones(bits):
    """Count the bits that are 1."""
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def _encode(point, encoded, size):
    """Write one character in UTF-8; return where the next begins."""
    if point < 0x80:
        encoded[size] = point
        return size + 1
    following = 1 if point < 0x800 else (2 if point < 0x10000 else 3)
    marks = 0xC0 if following == 1 else (0xE0 if following == 2 else 0xF0)
    encoded[size] = marks | (point >> (6 * following))
    for byte in range(1, following + 1):
        encoded[size + byte] = 0x80 | ((point >> (6 * (following - byte))) & 0x3F)
    return size + 1 + following


@kernel
def _row_of_word(encoded, size, texts, ends, slots):
    hashed = np.uint32(2166136261)
    for byte in range(1, size):
        hashed = _fnv_step(hashed, encoded[byte])
    slot = np.int64(hashed) & (len(slots) - 1)
    while slots[slot] >= 0:
        row = slots[slot]
        start = ends[row - 1] if row else 0
        if _equal(encoded, 1, size, texts, start, ends[row]):
            return row
        slot = (slot + 1) & (len(slots) - 1)
    return -1


@kernel
def _equal(left, left_start, left_end, right, right_start, right_end):
    if left_end - left_start != right_end - right_start:
        return False
    for offset in range(left_end - left_start):
        if left[left_start + offset] != right[right_start + offset]:
            return False
    return True


@kernel
def _is_label(encoded, size):
    """Tell whether a word begins with `LABEL`, which fastText reads as no word."""
    return size > len(_LABEL) and _equal(encoded, 1, 1 + len(_LABEL), _LABEL, 0, len(_LABEL))


@kernel
def _likeliest(mean, forks, children):
    """Return the likeliest leaf and its log probability; the likelier side first, so that few are visited."""
    labels = len(forks) + 1
    nodes = np.empty(labels + 1, dtype=np.int64)
    scores = np.empty(labels + 1, dtype=np.float32)
    nodes[0], scores[0] = 2 * labels - 2, 0
    depth, best, best_score = 1, 0, np.float32(-np.inf)
    while depth:
        depth -= 1
        node, score = nodes[depth], scores[depth]
        if score <= best_score:
            continue
        if node < labels:
            best, best_score = node, score
            continue
        dot = np.float32(0)
        for column in range(DIMENSIONS):
            dot += forks[node - labels, column] * mean[column]
        right = np.float32(1.0 / (1.0 + math.exp(-dot)))
        left_score = score + _log(np.float32(1.0 - right))
        right_score = score + _log(right)
        first = 0 if left_score < right_score else 1
        nodes[depth], scores[depth] = children[node - labels, first], min(left_score, right_score)
        nodes[depth + 1] = children[node - labels, 1 - first]
        scores[depth + 1] = max(left_score, right_score)
        depth += 2
    return best, best_score


@kernel
def _log(probability):
    """Return the logarithm as fastText takes it: of a little more, so that it is finite."""
    return np.float32(math.log(np.float64(probability) + 1e-5))
