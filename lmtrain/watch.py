"""How long work is seen and stopped, without the library knowing by whom.

A stage tells its `Watch` how far it is; the command line draws bars from that,
Prefect tasks draw artifacts, tests look at what was told.
"""

import io
import logging
import math
import os
import sys
import time
from typing import Protocol

from tqdm import tqdm


class Watch(Protocol):
    """What a stage tells about itself while it works."""

    def progress(self, done: float, total: float | None, unit: str) -> None:
        """Tell that `done` of `total` (None if unknown) units of work are finished."""

    def figures(self, step: int, **values: float) -> None:
        """Tell measurements of a training step."""

    def log(self, rank: int, host: str, line: str, level: int = logging.INFO) -> None:
        """Tell a line, and where it comes from.

        Args:
            rank: of a training worker; -1 for a data task, and for the stage itself.
            host: where the worker or task runs; empty for the stage itself.
            line: what there is to say; may hold several, as a traceback does.
            level: as `logging` counts them.
        """

    def cancelled(self) -> bool:
        """Tell whether somebody asked to stop."""
        ...


def origin(rank: int, host: str) -> str:
    """Return what stands before a line: `[rank 1 on node-7] `, `[node-7] `, or nothing."""
    if rank >= 0:
        return f"[rank {rank} on {host}] "
    return f"[{host}] " if host else ""


class SilentWatch:
    """Sees nothing and never stops anything."""

    def progress(self, done: float, total: float | None, unit: str) -> None:
        """Ignore progress."""

    def figures(self, step: int, **values: float) -> None:
        """Ignore figures."""

    def log(self, rank: int, host: str, line: str, level: int = logging.INFO) -> None:
        """Ignore lines."""

    def cancelled(self) -> bool:
        """Return False: nobody is there to stop it."""
        return False


class Clock:
    """Says when something is due again, so that a hot loop tells its watch only now and then."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def due(self) -> bool:
        """Return True at most once every `seconds`."""
        now = time.monotonic()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


SHOWN_FIGURES = {
    "loss": "loss {:.3f}",
    "bits_per_byte": "{:.3f} bits/byte",
    "tokens_per_second": "{:,.0f} tokens/s",
    "mfu": "MFU {:.0%}",
    "validation_loss": "validation loss {:.3f}",
    "validation_bits_per_byte": "validation {:.3f} bits/byte",
}
"""How figures stand beside a bar; the first ones where there is no room for all."""

WITHOUT_FIGURES = 44
"""Columns of a bar's shortest line beside its title and figures."""

WITH_FIGURES = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"

SECONDS_BETWEEN_LINES = 10.0


def told_figures(known: dict[str, float], room: float = math.inf) -> str:
    """Return the newest figures that fit, whole: `loss 3.212 · 1.873 bits/byte · 6,624 tokens/s`.

    Args:
        known: figures by name.
        room: columns.
    """
    told = ""
    for name in SHOWN_FIGURES:
        if name in known and (name != "validation_loss" or "validation_bits_per_byte" not in known):
            figure = SHOWN_FIGURES[name].format(known[name])
            longer = f"{told} · {figure}" if told else figure
            if len(longer) > room:
                return told
            told = longer
    return told


class TerminalWatch:
    """Draws a progress bar with a time to go; where no terminal is, writes a line every ten seconds."""

    def __init__(self, title: str, *, interactive: bool | None = None) -> None:
        self.title = title
        self.interactive = sys.stderr.isatty() if interactive is None else interactive
        self.bar: tqdm | None = None
        self.unit = ""
        self.known: dict[str, float] = {}
        self.clock = Clock(SECONDS_BETWEEN_LINES)

    def progress(self, done: float, total: float | None, unit: str) -> None:
        """Move the bar to `done`."""
        if self.bar is None or self.unit != unit or done < self.bar.n:
            self.close()
            self.unit = unit
            self.bar = tqdm(
                desc=f"  {self.title}",
                initial=done,  # pyright: ignore[reportArgumentType]: what was there already took no time
                total=total,
                unit=f" {unit}",
                unit_scale=total is None or total > 10_000,
                mininterval=0.2 if self.interactive else SECONDS_BETWEEN_LINES,
                dynamic_ncols=True,
                file=None if self.interactive else Discard(),
            )
        self.bar.total = total
        self.bar.update(done - self.bar.n)
        if not self.interactive and self.clock.due():
            tqdm.write(str(self.bar), file=sys.stderr)

    def figures(self, step: int, **values: float) -> None:
        """Show the newest figures beside the bar."""
        self.known |= values
        if self.bar is not None:
            self.bar.bar_format = WITH_FIGURES
            self.bar.set_postfix_str(told_figures(self.known, self._room()), refresh=False)

    def _room(self) -> float:
        """Return the columns that figures may take."""
        try:
            return os.get_terminal_size(sys.stderr.fileno()).columns - WITHOUT_FIGURES - len(self.title)
        except OSError:  # no terminal: a line may be as long as it is
            return math.inf

    def log(self, rank: int, host: str, line: str, level: int = logging.INFO) -> None:
        """Write a line above the bar."""
        tqdm.write(f"  {origin(rank, host)}{line}", file=sys.stderr)

    def cancelled(self) -> bool:
        """Return False: in a terminal one presses Ctrl-C."""
        return False

    def close(self) -> None:
        """Finish the bar."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        self.known = {}


class Discard(io.TextIOBase):
    """Takes text and keeps none: a bar that is only asked for its line."""

    def write(self, text: str, /) -> int:
        """Take the text."""
        return len(text)
