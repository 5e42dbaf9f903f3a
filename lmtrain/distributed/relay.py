"""What stands between training workers and the process that waits for them. Light: it imports no torch."""

from typing import Any

from lmtrain.errors import LmtrainError


class Relay:
    """Carries what workers tell, and whether they shall stop."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.stop = False
        self.result: dict[str, Any] | None = None
        self.error: LmtrainError | None = None
        self.lost: LmtrainError | None = None

    def tell(self, kind: str, payload: dict[str, Any]) -> None:
        """Take in what a worker tells."""
        self.told.append((kind, payload))

    def take(self, stop: bool) -> list[tuple[str, dict[str, Any]]]:
        """Return what was told since the last call."""
        self.stop = self.stop or stop
        told, self.told = self.told, []
        return told

    def stopped(self) -> bool:
        """Return whether the workers shall stop."""
        return self.stop

    def finish(self, result: dict[str, Any] | None, error: LmtrainError | None) -> None:
        """Keep how the training ended."""
        self.result = result or self.result
        self.error = self.error or error

    def lose(self, error: LmtrainError) -> None:
        """Keep who was lost last; it is how the training ended if no restart helps."""
        self.lost = error

    def outcome(self) -> tuple[dict[str, Any] | None, LmtrainError | None]:
        """Return how the training ended."""
        return self.result, self.error or (self.lost if self.result is None else None)
