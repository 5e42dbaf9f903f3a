"""Which documents hang together: the connected components of links, found by tasks of bounded size.

    links ─ (large star ─ small star)* → stars ─ bins → documents of each bin, by group of files

In: pairs of documents. Out: for each linked document its component, which is the
smallest document in it, and the bin that the component was dealt to.

Vertices are dealt to ranges by a hash of their number. Where all fit into one
range, one task finds the components. Else each link is shown to the ranges of
both its ends, and two operations take turns until nothing changes and every
component is a star around its smallest vertex (Kiveris, Lattanzi, Mirrokni, Rastogi and
Vassilvitskii 2014, "Connected components in MapReduce and beyond"): large-star
links the larger neighbours of a vertex to the smallest of its neighbourhood, small-star
the vertex and its smaller ones. Both keep components whole; they take a number
of rounds that grows with the logarithm of the number of vertices, seldom more than ten. No task ever holds
more than the links of its range.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa

from lmtrain.building import ShardOutput, ShardResult
from lmtrain.curation.batches import Batches, write_batches
from lmtrain.distributed.map import Split
from lmtrain.text.kernels import kernel

LINKS_OF_A_RANGE = 1_000_000
"""Links that one task holds, about: 80 MB of memory."""

ROW_BITS = 32
"""A document's number is its file's number and, in so many bits, its row."""

BIN_BITS = 32
"""A bin's number is that of its range and, in so many bits, its place in it."""

Run = Callable[[Any, list[Split], str, Any], list[ShardResult]]
"""`run(function, splits, step, shared)`: `map_shards` with all else given."""


def splits_of(ranges: int) -> list[Split]:
    """Return a split for each range."""
    return [Split(f"{number:06d}", number) for number in range(ranges)]


def stars_of(links: Batches, ranges: int, run: Run) -> Batches:
    """Turn links, as `write_pairs` wrote them, into stars of whole components.

    Args:
        links: a batch for each range.
        ranges: of vertices. A single one is left as it is: `write_bins` joins it.
        run: runs a step.
    """
    for turn in count():
        if ranges == 1:
            break
        large = run(write_stars, splits_of(ranges), f"large-{turn:02d}", (links, ranges, f"large-{turn:02d}"))
        links = Batches.of(links.root, large)
        small = run(write_stars, splits_of(ranges), f"small-{turn:02d}", (links, ranges, f"small-{turn:02d}"))
        links = Batches.of(links.root, small)
        if not sum(result.stats["changed"] for result in [*large, *small]):
            break
    return links


def write_stars(number: int, shared: tuple[Batches, int, str], output: ShardOutput) -> None:
    """Write `STEP-NUMBER.arrow`: the links of a range after one operation; tell how many it changed.

    Args:
        number: of the range.
        shared: the links, the number of ranges, and the step: `large-…` or `small-…`.
        output: where it goes.
    """
    links, ranges, step = shared
    pairs = pairs_in(links.read(number))
    if step.startswith("large"):
        ends = np.concatenate([pairs, pairs[:, ::-1]])
        pairs, changed = large_star(ends[places_of_vertices(ends[:, 0], ranges) == number])
        at_both = False  # the range of the larger end asks for it
    else:
        pairs, changed = small_star(pairs)
        at_both = True
    write_pairs(pairs, ranges, f"{step}-{number:06d}.arrow", output, at_both=at_both)
    output.stats["changed"] = changed


def large_star(ends: np.ndarray) -> tuple[np.ndarray, int]:
    """Link the larger neighbours of each vertex to the smallest vertex of its neighbourhood, itself included.

    Args:
        ends: vertices with one of their neighbours each, all neighbours of a vertex among them,
            shape (entries, 2), int64.

    Returns:
        Pairs (smaller, larger) without repeats, and how many aren't what they were.
    """
    least = np.minimum(_least_neighbours(ends), ends[:, 0])
    larger = ends[:, 1] > ends[:, 0]
    changed = int(np.sum(least[larger] != ends[larger, 0]))
    return _distinct(np.stack([least[larger], ends[larger, 1]], axis=1)), changed


def small_star(pairs: np.ndarray) -> tuple[np.ndarray, int]:
    """Link each vertex and its smaller neighbours to the smallest of them.

    Args:
        pairs: (smaller, larger), all smaller neighbours of a vertex among them, shape (links, 2), int64.

    Returns:
        As `large_star`.
    """
    least = _least_neighbours(pairs[:, ::-1])
    others = pairs[:, 0] != least
    moved = np.stack([least[others], pairs[others, 0]], axis=1)
    kept = np.stack([least, pairs[:, 1]], axis=1)
    return _distinct(np.concatenate([kept, moved])), len(moved)


def _least_neighbours(ends: np.ndarray) -> np.ndarray:
    """Return for each entry the least neighbour of its vertex, shape (entries,)."""
    _, vertices = np.unique(ends[:, 0], return_inverse=True)
    least = np.full(vertices.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, vertices, ends[:, 1])
    return least[vertices]


def _distinct(pairs: np.ndarray) -> np.ndarray:
    ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return ordered[np.r_[True, np.any(ordered[1:] != ordered[:-1], axis=1)][: len(ordered)]]


def places_of_vertices(vertices: np.ndarray, ranges: int) -> np.ndarray:
    """Return the range of each vertex, shape (vertices,), int64."""
    return (mixed(vertices) % np.uint64(ranges)).astype(np.int64)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Return 64 bits that look random for each number (the finalizer of SplitMix64: a bijection), uint64."""
    value = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def write_pairs(
    pairs: np.ndarray, ranges: int, name: str, output: ShardOutput, *, at_both: bool = True
) -> None:
    """Write links for the ranges of both their ends, or of the larger one alone.

    Args:
        pairs: (smaller, larger), shape (links, 2), int64.
        ranges: of vertices.
        name: of the file.
        output: where it goes.
        at_both: whether the smaller end's range gets them, too.
    """
    first, second = (places_of_vertices(pairs[:, end], ranges) for end in (0, 1))
    again = (first != second) & at_both
    pairs, places = np.concatenate([pairs, pairs[again]]), np.concatenate([second, first[again]])
    table = pa.table({"first": pa.array(pairs[:, 0]), "second": pa.array(pairs[:, 1])})
    write_batches(table, places, name, output)


def pairs_in(table: pa.Table) -> np.ndarray:
    """Return links that were read, shape (links, 2), int64."""
    return np.stack([table["first"].to_numpy(), table["second"].to_numpy()], axis=1)


def write_bins(number: int, shared: tuple[Batches, int, np.ndarray, int], output: ShardOutput) -> None:
    """Write `bins-NUMBER.arrow`: the documents of the components whose smallest is of a range, by group.

    Args:
        number: of the range.
        shared: stars of whole components, the number of ranges, the first file of each group, and
            how many documents fill a bin.
        output: where it goes; told the bins, the components and the size of the largest.
    """
    links, ranges, firsts, bin_documents = shared
    pairs = pairs_in(links.read(number))
    pairs = pairs[places_of_vertices(pairs[:, 0], ranges) == number] if ranges > 1 else pairs
    documents, labels = components(pairs)
    bins = bins_of(labels, evenly(len(documents), bin_documents))
    columns = {"document": documents, "component": labels, "bin": bins + (number << BIN_BITS)}
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    write_batches(table, places_of_groups(documents, firsts), f"bins-{number:06d}.arrow", output)
    sizes = np.unique(labels, return_counts=True)[1]
    output.stats = {
        "bins": int(bins.max(initial=-1)) + 1,
        "components": len(sizes),
        "largest_component": int(sizes.max(initial=0)),
    }


def places_of_groups(documents: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Return the group of files that each document is of.

    Args:
        documents: numbers, shape (documents,), int64.
        firsts: number of the first file of each group, in order.
    """
    return np.searchsorted(firsts, documents >> ROW_BITS, side="right") - 1


def evenly(documents: int, at_most: int) -> int:
    """Return how many documents fill a bin if as few bins as can be are filled alike."""
    return max(1, -(-documents // max(1, -(-documents // at_most))))


def bins_of(labels: np.ndarray, bin_documents: int) -> np.ndarray:
    """Return the bin of each document: components, in order, fill one after another, none of them cut.

    Bins are numbered from 0 without gaps.

    Args:
        labels: component of each document, shape (documents,), int64.
        bin_documents: documents after which a new bin is begun.
    """
    _, component, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    filled = (np.cumsum(sizes) - sizes) // bin_documents
    return np.unique(filled, return_inverse=True)[1][component]


def components(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices of a graph and the component of each.

    Args:
        pairs: edges as pairs of vertices, shape (edges, 2), int64.

    Returns:
        Vertices in order and the smallest vertex of each one's component, both of shape (vertices,), int64.
    """
    vertices, places = np.unique(pairs, return_inverse=True)
    return vertices, vertices[_roots(len(vertices), places.reshape(-1, 2))]


def spanning_forest(pairs: np.ndarray) -> np.ndarray:
    """Return the least of a graph's edges that keep its components whole.

    Args:
        pairs: edges as pairs of vertices, shape (edges, 2), int64.

    Returns:
        For each vertex that isn't its component's smallest the pair (smallest, vertex), sorted by
        vertex, shape (links, 2).
    """
    vertices, labels = components(pairs)
    apart = vertices != labels
    return np.stack([labels[apart], vertices[apart]], axis=1)


def components_plain(pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Define `components`."""
    labels = {vertex: vertex for pair in pairs for vertex in pair}
    for _ in labels:
        for a, b in pairs:
            labels[a] = labels[b] = min(labels[a], labels[b])
    return labels


@kernel
def _roots(count, pairs):
    """Union-find with path halving; the root of a component is its smallest vertex."""
    parents = np.arange(count)
    for edge in range(len(pairs)):
        a, b = pairs[edge, 0], pairs[edge, 1]
        while parents[a] != a:
            parents[a] = parents[parents[a]]
            a = parents[a]
        while parents[b] != b:
            parents[b] = parents[parents[b]]
            b = parents[b]
        parents[max(a, b)] = min(a, b)
    for vertex in range(count):
        parents[vertex] = parents[parents[vertex]]
    return parents
