"""How long an S3 server is waited for, and told of: the one place where that is decided.

A server that is restarted, or whose network is away for a while, isn't the end of a
run of hours. Every request is tried again, with growing pauses, until it has failed for
`PATIENCE_SECONDS`; the log tells of it. The clients' own ways of trying again are left
out: within one another they wait for a very long time in silence, and s3fs gives up at
once where nobody listens.
"""

import asyncio
import logging
import time
from contextvars import ContextVar
from typing import Any

import s3fs
from botocore.exceptions import ConnectionError as NoConnectionError
from s3fs.core import S3_RETRYABLE_ERRORS

from lmtrain.errors import StorageError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 180.0
"""From the first failure of a request to its last try."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0

READ_TRIES = 5
"""How often s3fs asks again for a file whose answer broke off; each time the request is a patient one."""

NO_ANSWER = (*S3_RETRYABLE_ERRORS, NoConnectionError, ConnectionError)

BUSY = frozenset({"SlowDown", "RequestTimeout", "XAmzContentSHA256Mismatch"})
"""Codes below 500 with which a server asks for another try."""

_tries: ContextVar[int] = ContextVar("tries", default=READ_TRIES)


class PatientS3(s3fs.S3FileSystem):
    """S3, whose every request is tried again while the server may come back."""

    @property
    def retries(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How often s3fs tries: a request once, because that is waited for here."""
        return _tries.get()

    async def _call_s3(self, method: str, *given: Any, **more: Any) -> Any:
        begun, pause, failures = 0.0, FIRST_PAUSE_SECONDS, 0
        place = f"s3://{more.get('Bucket', '')}/{more.get('Key') or more.get('Prefix') or ''}"
        token = _tries.set(1)
        try:
            while True:
                try:
                    answer = await super()._call_s3(method, *given, **more)
                except Exception as error:
                    if not may_pass(error):
                        raise
                    begun, failures = begun or time.monotonic(), failures + 1
                    _tell_or_give_up(error, place, time.monotonic() - begun, failures, pause)
                else:
                    if failures:
                        logger.warning("%s answers again", place)
                    return answer
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        finally:
            _tries.reset(token)


def _tell_or_give_up(error: Exception, place: str, waited: float, failures: int, pause: float) -> None:
    """Log a failure.

    Raises:
        StorageError: there is no time for another try.
    """
    told = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if waited + pause > PATIENCE_SECONDS:
        raise StorageError(
            f"{place} can't be reached, after {failures} tries in {waited:.0f} s: {told}; nothing that was "
            "finished is lost: run again once the storage answers"
        ) from error
    logger.warning("%s doesn't answer for %.0f s now, trying again in %.1f s: %s", place, waited, pause, told)


def may_pass(error: BaseException | None) -> bool:
    """Tell whether what failed so may succeed later: no answer, half of one, or that of a busy server."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return status >= 500 or response.get("Error", {}).get("Code") in BUSY
        if isinstance(error, NO_ANSWER):
            return True
        error = error.__cause__
    return False
