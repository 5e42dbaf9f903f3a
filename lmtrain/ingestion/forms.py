"""What a file holds and how it is packed, as its name says: `a.jsonl.gz` is JSON lines, in gzip."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
FORMS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".txt": "text",
    ".md": "text",
    ".markdown": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".html": "html",
    ".htm": "html",
    ".warc": "warc",
    ".wet": "warc",
    ".conll": "conll",
    ".bio": "conll",
}
"""Form by suffix; `.wet` is what Common Crawl calls the WARC files of its extracted texts."""


def compression_of(name: str) -> str | None:
    """Return how a file is packed, or None if it is plain."""
    return next((packed for suffix, packed in COMPRESSIONS.items() if name.lower().endswith(suffix)), None)


def form_of(name: str) -> str | None:
    """Return what a file holds, or None if its name doesn't say."""
    name = name.lower()
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return next((form for suffix, form in FORMS.items() if name.endswith(suffix)), None)
