"""Clusters of copies: how large they are, and what the largest ones say.

In: the documents artifact. Out: a histogram of sizes, and the kept documents of
the largest clusters. Sizes stand in the manifest; of the files only those few
are opened that hold one of these documents.
"""

from collections.abc import Set
from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmtrain.manifest import Artifact
from lmtrain.reporting import humanize

CLUSTERS_SHOWN = 3
EXAMPLE_CHARACTERS = 400


@dataclass(frozen=True)
class Cluster:
    """One cluster: documents in it, the kept one counted, and the beginning of the kept one's text."""

    documents: int
    id: str
    source: str
    text: str

    @property
    def lang(self) -> str | None:
        """The language tag of the text, where it isn't the page's."""
        return humanize.language_tag(self.text)


@dataclass(frozen=True)
class Clusters:
    """All clusters.

    Attributes:
        edges: least sizes of the bins, each bin from the second on twice as wide as the one before, and the
            end of the last.
        counts: clusters in each bin.
        largest: the largest ones.
    """

    edges: list[int]
    counts: list[int]
    largest: list[Cluster]

    @property
    def number(self) -> int:
        """How many clusters there are."""
        return sum(self.counts)


def binned(sizes: dict[str, int]) -> tuple[list[int], list[int]]:
    """Return edges and counts of a histogram: 2, 3 to 4, 5 to 8, 9 to 16 documents and so on.

    Args:
        sizes: how many clusters there are of each size, as it stands in the manifest.
    """
    by_bin: dict[int, int] = {}
    for size, number in sizes.items():
        place = (int(size) - 1).bit_length() - 1
        by_bin[place] = by_bin.get(place, 0) + number
    bins = range(max(by_bin, default=-1) + 1)
    return [2, *((2 << place) + 1 for place in bins)], [by_bin.get(place, 0) for place in bins]


def clusters_of(documents: Artifact | None, withheld: Set[str] = frozenset()) -> Clusters | None:
    """Return what there is to tell of clusters; None if there are none.

    Args:
        documents: the artifact of curated documents.
        withheld: ids of documents whose text isn't shown.
    """
    sizes = documents.stats.get("cluster_sizes") if documents else None
    if documents is None or not sizes:
        return None
    shown = [given for given in documents.stats["largest_clusters"] if given["id"] not in withheld]
    largest = [
        _cluster(documents, given["file"], given["id"], given["documents"])
        for given in shown[:CLUSTERS_SHOWN]
    ]
    return Clusters(*binned(sizes), largest)


def _cluster(documents: Artifact, file: str, identity: str, size: int) -> Cluster:
    record = next(record for record in documents.files("documents") if record.path.endswith(f"/{file}"))
    columns = ["id", "source", "text"]
    rows = pq.read_table(documents.open(record), columns=columns, filters=pc.field("id") == identity)
    (row,) = rows.to_pylist()
    return Cluster(size, identity, row["source"], humanize.excerpt(row["text"], EXAMPLE_CHARACTERS))
