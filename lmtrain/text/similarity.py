"""What texts are compared by: shingles, MinHash signatures and their bands.

A text becomes the set of hashes of its word n-grams (character n-grams where a
language writes no spaces). MinHash (Broder 1997) sketches the set, and bands of
the sketch (locality-sensitive hashing; Leskovec, Rajaraman and Ullman, chapter 3)
find pairs that may be alike. `lmtrain.text.nearness` tells which of them are.

Beside each kernel stands its definition in plain Python, named `..._plain`,
which tests compare it with.
"""

from collections.abc import Sequence

import numpy as np

from lmtrain.text.characters import code_points, is_word_character
from lmtrain.text.folding import IN_CONTEXT, as_they_are, folded, normalized
from lmtrain.text.kernels import kernel
from lmtrain.text.segmentation import UNSPACED

SEED = 0x6C6D747261696E
"""Of the hash family. Signatures made with different seeds can't be compared."""

NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
"""MinHash of an empty set."""

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x00000100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)
_MASK = (1 << 64) - 1
_BLOCK = 2048
"""Hashes that every function of the family is applied to while they are in the first cache: 16 kB."""


def shingles(text: str, size: int, language: str) -> np.ndarray:
    """Return the set of a text's n-grams as hashes.

    Words are runs of letters, digits and marks of the normalized text;
    everything else parts them. In Chinese and Japanese each such character is a
    word of its own. A text of fewer than `size` words has one shingle, of all of them.

    Args:
        text: any text.
        size: words in a shingle, n ≥ 1.
        language: ISO 639 code; `zh` and `ja` go by characters.

    Returns:
        Sorted hashes without repeats, shape (shingles,), uint64; empty for a text without words.
    """
    hashes, whole = _ngrams_of(_narrow_points(text), folded(), language in UNSPACED, size)
    if not whole:
        hashes, _ = _ngrams_of(_narrow_points(normalized(text)), as_they_are(), language in UNSPACED, size)
    hashes.sort()
    return _without_repeats(hashes)


def _narrow_points(text: str) -> np.ndarray:
    """Return code points in the narrowest form that is at hand: uint8, uint16 or uint32."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    pairs = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16)
    return pairs if len(pairs) == len(text) else code_points(text)


def shingles_plain(text: str, size: int, language: str) -> list[int]:
    """Define `shingles`."""
    words = [""]
    for character in normalized(text):
        if not is_word_character(character):
            words.append("")
        elif language in UNSPACED:
            words.append(character)
        else:
            words[-1] += character
    hashes = []
    for word in filter(None, words):
        hashed = int(_FNV_OFFSET)
        for character in word:
            hashed = ((hashed ^ ord(character)) * int(_FNV_PRIME)) & _MASK
        hashes.append(mix_plain(hashed))
    found = set()
    for start in range(max(len(hashes) - size + 1, min(len(hashes), 1))):
        hashed = 0
        for word in hashes[start : start + size]:
            hashed = ((hashed + word) * int(_GOLDEN)) & _MASK
        found.add(mix_plain(hashed))
    return sorted(found)


def mix_plain(value: int) -> int:
    """Define `_mix`: the finalizer of SplitMix64 (Steele, Lea and Flood 2014), a bijection on 64 bits."""
    value = ((value ^ (value >> 30)) * int(_MIX_1)) & _MASK
    value = ((value ^ (value >> 27)) * int(_MIX_2)) & _MASK
    return value ^ (value >> 31)


def hash_family(permutations: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors and offsets of `permutations` functions x → factor·x + offset mod 2^64.

    Odd factors make each function a bijection, and shingles are already mixed,
    so every element of a union is equally likely to be the least: the share of
    equal MinHashes estimates the Jaccard index without bias.
    """
    state, drawn = SEED, []
    for _ in range(2 * permutations):
        state = (state + int(_GOLDEN)) & _MASK
        drawn.append(mix_plain(state))
    factors = np.array(drawn[::2], dtype=np.uint64) | np.uint64(1)
    return factors, np.array(drawn[1::2], dtype=np.uint64)


def joined(shingle_arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lay sets end to end: all hashes, and offsets of shape (sets + 1,), int64."""
    offsets = np.zeros(len(shingle_arrays) + 1, dtype=np.int64)
    np.cumsum([len(given) for given in shingle_arrays], out=offsets[1:])
    flat = np.concatenate(shingle_arrays) if len(shingle_arrays) else np.empty(0, np.uint64)
    return flat, offsets


def signatures(shingle_arrays: Sequence[np.ndarray], permutations: int) -> np.ndarray:
    """Return the MinHash signature of each set.

    Args:
        shingle_arrays: hashes per document, shape (shingles,), uint64.
        permutations: functions of the hash family.

    Returns:
        Shape (documents, permutations), uint64; a row of `NOTHING` for an empty set.
    """
    flat, offsets = joined(shingle_arrays)
    return _minhashes(flat, offsets, *hash_family(permutations))


def signature_plain(hashes: Sequence[int], permutations: int) -> list[int]:
    """Define one row of `signatures`."""
    factors, adds = hash_family(permutations)
    return [
        min(((int(factor) * int(hashed) + int(add)) & _MASK for hashed in hashes), default=int(NOTHING))
        for factor, add in zip(factors, adds, strict=True)
    ]


def band_keys(signature_rows: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Return one hash for each band of each signature.

    Args:
        signature_rows: shape (documents, at least bands · rows), uint64.
        bands: bands of the locality-sensitive hash.
        rows: MinHashes in a band.

    Returns:
        Shape (documents, bands), uint64; `NOTHING` where the document is empty, and only there.
    """
    return _band_keys(np.ascontiguousarray(signature_rows), bands, rows)


@kernel
def _mix(value):
    value = (value ^ (value >> _30)) * _MIX_1
    value = (value ^ (value >> _27)) * _MIX_2
    return value ^ (value >> _31)


@kernel
def _ngrams_of(characters, table, single, size):
    units, whole = _unit_hashes(characters, table, single)
    return _ngram_hashes(units, size), whole


@kernel
def _unit_hashes(characters, table, single):
    """Hash each word (each character if `single`): FNV-1a over code points, then mixed.

    A character that goes by its neighbours ends it: what was hashed is worth nothing then.
    """
    hashes = np.empty(len(characters), dtype=np.uint64)
    count, hashed, inside = 0, _FNV_OFFSET, False
    for place in range(len(characters)):
        point = table[characters[place]]
        if point == IN_CONTEXT:
            return hashes[:0], False
        if point:
            hashed = (hashed ^ np.uint64(point)) * _FNV_PRIME
            inside = True
            if not single:
                continue
        if inside:
            hashes[count] = _mix(hashed)
            count, hashed, inside = count + 1, _FNV_OFFSET, False
    if inside:
        hashes[count] = _mix(hashed)
        count += 1
    return hashes[:count], True


@kernel
def _ngram_hashes(units, size):
    words = min(size, len(units))
    count = len(units) - words + 1 if words else 0
    hashes = np.empty(count, dtype=np.uint64)
    for start in range(count):
        hashed = np.uint64(0)
        for place in range(start, start + words):
            hashed = (hashed + units[place]) * _GOLDEN
        hashes[start] = _mix(hashed)
    return hashes


@kernel
def _without_repeats(ordered):
    count = 0
    for place in range(len(ordered)):
        if place == 0 or ordered[place] != ordered[place - 1]:
            ordered[count] = ordered[place]
            count += 1
    return ordered[:count].copy()


@kernel
def _minhashes(flat, offsets, factors, adds):
    """Take one function after another over hashes that fit into the first cache.

    The least stays in a register, and LLVM makes vector instructions of the inner loop, slower ones
    where it is written with `min`.
    """
    least = np.full((len(offsets) - 1, len(factors)), NOTHING)
    for document in range(len(offsets) - 1):
        for start in range(offsets[document], offsets[document + 1], _BLOCK):
            values = flat[start : min(start + _BLOCK, offsets[document + 1])]
            for each in range(len(factors)):
                factor, add, found = factors[each], adds[each], least[document, each]
                for place in range(len(values)):
                    hashed = factor * values[place] + add
                    found = hashed if hashed < found else found
                least[document, each] = found
    return least


@kernel
def _band_keys(signature_rows, bands, rows):
    keys = np.empty((len(signature_rows), bands), dtype=np.uint64)
    for document in range(len(signature_rows)):
        for band in range(bands):
            hashed, empty = np.uint64(band), True
            for place in range(band * rows, (band + 1) * rows):
                value = signature_rows[document, place]
                empty = empty and value == NOTHING
                hashed = _mix((hashed + value) * _GOLDEN)
            keys[document, band] = NOTHING if empty else min(hashed, NOTHING - np.uint64(1))
    return keys
