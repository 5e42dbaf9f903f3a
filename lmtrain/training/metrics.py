"""What a training measures, kept as lines of JSON and for TensorBoard while it runs."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class MetricsLog:
    """Rows of figures by step: in memory for checkpoints, and in a folder for people to follow."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        """Begin anew, or go on after `rows` that a checkpoint held; what else is there is dropped."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.rows = list(rows)
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.writer = _summary_writer(folder / "tensorboard")
        for row in rows:
            self._show(**row)

    @property
    def path(self) -> Path:
        """The file of JSON lines."""
        return self.folder / "metrics.jsonl"

    def add(self, step: int, **values: float) -> None:
        """Write one row."""
        row = {"step": step, **{name: float(f"{value:.6g}") for name, value in values.items()}}
        self.rows.append(row)
        with self.path.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        self._show(step, **values)

    def _show(self, step: int, **values: float) -> None:
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the TensorBoard file."""
        if self.writer is not None:
            self.writer.close()


def _summary_writer(folder: Path) -> Any:
    """Return what writes for TensorBoard; None on a machine without it, which can train all the same."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
