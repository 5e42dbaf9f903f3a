"""How work on files is cut: by the files alone, never by the number of workers."""

from collections.abc import Sequence

from lmtrain.storage import SourceFile


def cut_files(files: Sequence[SourceFile], target_bytes: int) -> list[list[int]]:
    """Cut a listing into runs of about equal bytes.

    There are as many runs as whole or begun targets in the sum, and a file
    belongs to the run in which its middle lies: so runs differ by a file at
    most, and a file larger than the target is a run of its own or nearly.

    Args:
        files: in the order of the listing.
        target_bytes: about so many bytes in a run.

    Returns:
        Positions in `files`, each once and in order; no run is empty.
    """
    total = sum(file.bytes for file in files)
    count = max(-(-total // target_bytes), 1)
    runs: dict[int, list[int]] = {}
    before = 0
    for place, file in enumerate(files):
        middle = before + file.bytes / 2
        runs.setdefault(min(int(middle * count / max(total, 1)), count - 1), []).append(place)
        before += file.bytes
    return list(runs.values())


def split_name(number: int) -> str:
    """Return the name of the n-th split: names sort as numbers do."""
    return f"{number:05d}"
