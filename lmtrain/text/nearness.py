"""Which texts are near each other: the Jaccard index of sets of shingles, and what is decided by it.

In: sets of hashes, whole or as bottom-k sketches, and which of them have a band
of their MinHash in common (see `lmtrain.text.similarity`). Out: links between
near ones (`near_links`), or which one is kept in the stead of each (`leaders`).

Beside each kernel stands its definition in plain Python, named `..._plain`,
which tests compare it with.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmtrain.text.kernels import kernel
from lmtrain.text.similarity import joined

SKETCH, SKETCH_BITS = 512, 24
"""Hashes by which a kept document is known to later batches, and their width."""

BUCKET_COMPARISONS = 256
"""Kept documents of one bucket of a band with which a document is compared, at most."""


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Jaccard index |a ∩ b| / |a ∪ b| of two sorted arrays without repeats.

    Two empty sets have 0: a text without words is like no other.
    """
    return float(_sketch_jaccard(a, b, len(a) + len(b)))


def sketch(shingle_array: np.ndarray) -> np.ndarray:
    """Return by what a set is known to later batches: its `SKETCH` smallest hashes of `SKETCH_BITS` bits.

    Args:
        shingle_array: sorted hashes of 32 bits, shape (shingles,).

    Returns:
        Sorted without repeats, shape (at most SKETCH,), uint32.
    """
    ordered = shingle_array.astype(np.uint32, copy=False)[: 2 * SKETCH] >> np.uint32(32 - SKETCH_BITS)
    found = without_repeats(ordered)
    if len(found) < SKETCH < len(shingle_array):
        found = without_repeats(shingle_array.astype(np.uint32) >> np.uint32(32 - SKETCH_BITS))
    return found[:SKETCH]


def without_repeats(ordered: np.ndarray) -> np.ndarray:
    """Return a sorted array of unsigned numbers with each of them once."""
    return ordered[np.diff(ordered, prepend=~ordered[:1]) != 0]


def sketch_jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Estimate the Jaccard index of two sets by their sketches.

    The share of the `SKETCH` smallest hashes of the union that both have (a
    bottom-k sketch; Broder 1997): without bias, and with a standard deviation of
    at most sqrt(J (1 - J) / SKETCH), 0.018 at J = 0.8. Sets that are both smaller
    than that are in their sketches whole, and the index is theirs. Hashes of 24
    bits put n² / 2^24 wrong ones among those in common, of n shingles a text.

    Args:
        a: what `sketch` returns.
        b: likewise.
    """
    return float(_sketch_jaccard(a, b, SKETCH))


def near_links(
    shingle_arrays: Sequence[np.ndarray],
    lengths: np.ndarray,
    buckets: tuple[np.ndarray, np.ndarray],
    threshold: float,
    *,
    fixed: np.ndarray,
    at_most: int = BUCKET_COMPARISONS,
) -> tuple[np.ndarray, int]:
    """Link documents that share a bucket and are near, so that all of a bucket that are near hang together.

    In a bucket the longer documents come first. Each is compared with those before
    it that joined no other, and joins the nearest in length that it is near to, and
    is linked with every one that it is near to. Not all pairs need be compared: the
    Jaccard distance d = 1 - J is a metric (Levandowsky and Winter 1971), so a document
    x can be near a member m of a leader l only if |d(x, l) - d(l, m)| is at most
    1 - threshold, and only of such leaders the members are compared, too, until one is near.
    So two near documents of a bucket are linked or hang together through others,
    as long as no more than `at_most` leaders, and members, are met on the way; of
    more, those nearest in length are compared.

    Fixed documents are known by sketches and are compared with others only. What is
    near one of them leaves whatever else there is, and is compared no further.

    Args:
        shingle_arrays: sorted hashes of each document; of a fixed one its `sketch`.
        lengths: by which documents of a bucket are put in order, the longest first; then as they come.
        buckets: offsets of shape (buckets + 1,) and, laid end to end, the documents of each bucket.
        threshold: least Jaccard index of near documents.
        fixed: which documents are fixed, shape (documents,), bool.
        at_most: leaders, and members, that a document is compared with in each bucket.

    Returns:
        Pairs of indices, shape (links, 2), and how many pairs of sets were compared. What comes of a
        bucket follows from that bucket alone.
    """
    offsets, members = buckets
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    members = members[np.lexsort((members, -lengths[members], ~fixed[members], owner))]
    whole = joined(shingle_arrays)
    shortened = fixed.any()
    sketches = joined(
        [
            sketch(one) if shortened and not old else one
            for one, old in zip(shingle_arrays, fixed, strict=True)
        ]
    )
    return _near_links(*whole, *sketches, lengths, fixed, offsets, members, threshold, at_most)


def near_links_plain(
    shingle_sets: Sequence[set[int]], buckets: Sequence[Sequence[int]], threshold: float
) -> set[tuple[int, int]]:
    """Define what `near_links` holds together: all near pairs of each bucket."""
    return {
        (a, b)
        for bucket in buckets
        for a in bucket
        for b in bucket
        if a < b
        and len(shingle_sets[a] & shingle_sets[b]) >= threshold * len(shingle_sets[a] | shingle_sets[b])
    }


class Leaders(NamedTuple):
    """Which document is kept in the stead of each.

    Attributes:
        kept: index of the kept one, its own if it is kept, shape (documents,), int64.
        similarity: Jaccard index with the kept one, 1 with itself, shape (documents,), float64.
        comparisons: pairs of sets that were compared.
    """

    kept: np.ndarray
    similarity: np.ndarray
    comparisons: int


def leaders(
    shingle_arrays: Sequence[np.ndarray],
    keys: np.ndarray,
    threshold: float,
    *,
    fixed: Sequence[np.ndarray] = (),
    at_most: int = BUCKET_COMPARISONS,
) -> Leaders:
    """Tell for each document which one is kept in its stead.

    Documents come in order of preference. Each is compared with the kept ones
    that share a band with it; it joins the first whose Jaccard index reaches the
    threshold, else it is kept itself. So nothing is chained: a document leaves
    only for one that is close to it and stays.

    Of the kept ones in one bucket of a band only the last `at_most` are compared
    (in order of length: those nearest in length), so that a boilerplate band that
    a hundred thousand documents share costs each of them no more than that. Near
    copies share several bands, and are found by the others.

    Args:
        shingle_arrays: sorted hashes of each document that may leave, the preferred ones first.
        keys: `band_keys` of the fixed documents and of these, shape (all of them, bands).
        threshold: least Jaccard index of a copy.
        fixed: sketches (see `sketch`) of documents that come before all others and stay whatever
            they are like. Others are compared with them by `sketch_jaccard`.
        at_most: kept documents that are compared in each bucket.

    Returns:
        Indices count the fixed documents first.

    Raises:
        ValueError: there aren't as many rows of keys as documents.
    """
    if keys.shape[0] != len(fixed) + len(shingle_arrays):
        raise ValueError(
            f"{len(fixed)} and {len(shingle_arrays)} documents, but {keys.shape[0]} rows of band keys"
        )
    buckets = np.empty(keys.shape, dtype=np.int64)
    for band in range(keys.shape[1]):
        buckets[:, band] = np.unique(keys[:, band], return_inverse=True)[1]
    whole = joined([*(np.empty(0, np.uint32) for _ in fixed), *shingle_arrays])
    sketches = joined([*fixed, *(sketch(given) if len(fixed) else given[:1] for given in shingle_arrays)])
    return Leaders(*_leaders(*whole, *sketches, buckets, threshold, len(fixed), at_most))


def leaders_plain(
    shingle_sets: Sequence[Sequence[int]], keys: np.ndarray, threshold: float, at_most: int
) -> list[int]:
    """Define `leaders` where no document is fixed."""
    buckets: list[dict[int, list[int]]] = [{} for _ in range(keys.shape[1])]
    found = []
    for document, own in enumerate(shingle_sets):
        met = {
            other
            for bucket, key in zip(buckets, keys[document].tolist(), strict=True)
            for other in bucket.get(key, [])[-at_most:]
        }
        near = [
            other
            for other in met
            if len({*own} & {*shingle_sets[other]}) / len({*own, *shingle_sets[other]}) >= threshold
        ]
        leader = min(near, default=document)
        if leader == document and len(own):
            for bucket, key in zip(buckets, keys[document].tolist(), strict=True):
                bucket.setdefault(key, []).append(document)
        found.append(leader)
    return found


@kernel
def _sketch_jaccard(a, b, size):
    """Merge two sorted arrays, up to `size` different hashes if one of them may be cut off at that."""
    limit = size if max(len(a), len(b)) >= size else len(a) + len(b)
    i, j, common, union = 0, 0, 0, 0
    while union < limit and i < len(a) and j < len(b):
        common += a[i] == b[j]
        step_i, step_j = a[i] <= b[j], b[j] <= a[i]
        i += step_i
        j += step_j
        union += 1
    union = min(limit, union + len(a) - i + len(b) - j)
    return common / union if union else 0.0


@kernel
def _near(a, b, threshold):
    """Return the Jaccard index, or 0 as soon as it can't reach the threshold any more."""
    total = len(a) + len(b)
    needed = max(0, int(threshold / (1 + threshold) * total) - 1)
    while needed < total - needed and needed / (total - needed) < threshold:
        needed += 1
    spare_a, spare_b = len(a) - needed, len(b) - needed
    i, j, common = 0, 0, 0
    while i < len(a) and j < len(b):
        common += a[i] == b[j]
        step_i, step_j = a[i] <= b[j], b[j] <= a[i]
        i += step_i
        j += step_j
        if i - common > spare_a or j - common > spare_b:
            return 0.0
    union = total - common
    return common / union if union else 0.0


@kernel
def _leaders(flat, offsets, sketches, sketch_offsets, buckets, threshold, fixed, at_most):
    """Walk, for each document, the kept ones in its buckets: lists linked by `following`."""
    documents, bands = buckets.shape
    newest = np.full((documents, bands), -1, dtype=np.int64)  # of each bucket
    following = np.full((documents, bands), -1, dtype=np.int64)  # the one kept before in that bucket
    compared = np.full(documents, -1, dtype=np.int64)
    found = np.arange(documents)
    alike = np.ones(documents)
    comparisons = 0
    for document in range(documents):
        own = flat[offsets[document] : offsets[document + 1]]
        own_sketch = sketches[sketch_offsets[document] : sketch_offsets[document + 1]]
        for band in range(bands if document >= fixed else 0):
            other = newest[buckets[document, band], band]
            steps = 0
            while other >= 0 and steps < at_most:
                steps += 1
                if compared[other] != document and other < found[document]:
                    compared[other] = document
                    comparisons += 1
                    if other < fixed:
                        theirs = sketches[sketch_offsets[other] : sketch_offsets[other + 1]]
                        near = _sketch_jaccard(own_sketch, theirs, SKETCH)
                    else:
                        near = _near(own, flat[offsets[other] : offsets[other + 1]], threshold)
                    if near >= threshold:
                        found[document], alike[document] = other, near
                other = following[other, band]
        if found[document] == document and len(own_sketch):
            for band in range(bands):
                bucket = buckets[document, band]
                following[document, band] = newest[bucket, band]
                newest[bucket, band] = document
    return found, alike, comparisons


@kernel
def _near_fixed(own, length, sketches, sketch_offsets, lengths, earlier, threshold, at_most):
    """Return the place of the first fixed document that is near, -1 if none is, and the comparisons.

    Those within `at_most` / 2 of the document's place in the order of length are compared.
    """
    low, high = 0, len(earlier)
    while low < high:
        middle = (low + high) // 2
        if lengths[earlier[middle]] > length:
            low = middle + 1
        else:
            high = middle
    begin = max(0, min(low - at_most // 2, len(earlier) - at_most))
    end = min(len(earlier), begin + at_most)
    for place in range(begin, end):
        other = earlier[place]
        theirs = sketches[sketch_offsets[other] : sketch_offsets[other + 1]]
        if _sketch_jaccard(own, theirs, SKETCH) >= threshold:
            return other, place - begin + 1
    return -1, end - begin


@kernel
def _near_member(own, flat, offsets, chain, distance, threshold, budget):
    """Return a member of a leader that is near, -1 if none is, and the comparisons.

    `chain` is (first member's place, place of the next, document, distance to the leader).
    """
    place, following, documents, distances = chain
    compared = 0
    while place >= 0 and compared < budget:
        if abs(distances[place] - distance) <= 1 - threshold + 1e-9:
            other = documents[place]
            compared += 1
            if _near(own, flat[offsets[other] : offsets[other + 1]], threshold) >= threshold:
                return other, compared
        place = following[place]
    return -1, compared


@kernel
def _links_of(flat, offsets, documents, threshold, at_most):
    """Link the documents of one bucket, none of them fixed, in their order."""
    count = len(documents)
    leading = np.empty(count, dtype=np.int64)
    newest = np.full(count, -1, dtype=np.int64)
    following = np.full(count, -1, dtype=np.int64)
    distances = np.zeros(count)
    pairs = [(0, 0) for _ in range(0)]
    leaders_count = comparisons = 0
    looser = max(2 * threshold - 1, 0.0)
    for place in range(count):
        document = documents[place]
        own = flat[offsets[document] : offsets[document + 1]]
        joined_one, budget = False, at_most
        for index in range(leaders_count - 1, max(-1, leaders_count - 1 - at_most), -1):
            leader = leading[index]
            other = documents[leader]
            near = _near(own, flat[offsets[other] : offsets[other + 1]], looser)
            comparisons += 1
            if near >= threshold:
                pairs.append((other, document))
                if not joined_one:
                    joined_one = True
                    distances[place] = 1 - near
                    following[place], newest[leader] = newest[leader], place
            elif near >= looser and newest[leader] >= 0:
                chain = (newest[leader], following, documents, distances)
                other, compared = _near_member(own, flat, offsets, chain, 1 - near, threshold, budget)
                budget -= compared
                comparisons += compared
                if other >= 0:
                    pairs.append((other, document))
        if not joined_one and len(own):
            leading[leaders_count] = place
            leaders_count += 1
    return pairs, comparisons


@kernel
def _near_links(
    flat, offsets, sketches, sketch_offsets, lengths, fixed, bucket_offsets, members, threshold, at_most
):
    links = [(0, 0) for _ in range(0)]
    comparisons = 0
    for bucket in range(len(bucket_offsets) - 1):
        documents = members[bucket_offsets[bucket] : bucket_offsets[bucket + 1]]
        old = 0
        while old < len(documents) and fixed[documents[old]]:
            old += 1
        left = np.empty(len(documents) - old, dtype=np.int64)
        count = 0
        for document in documents[old:]:
            own = sketches[sketch_offsets[document] : sketch_offsets[document + 1]]
            other, compared = _near_fixed(
                own, lengths[document], sketches, sketch_offsets, lengths, documents[:old], threshold, at_most
            )
            comparisons += compared
            if other >= 0:
                links.append((other, document))
            else:
                left[count] = document
                count += 1
        pairs, compared = _links_of(flat, offsets, left[:count], threshold, at_most)
        links.extend(pairs)
        comparisons += compared
    found = np.empty((len(links), 2), dtype=np.int64)
    for place, (first, second) in enumerate(links):
        found[place, 0], found[place, 1] = first, second
    return found, comparisons
