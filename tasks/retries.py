"""What is worth a second try.

Storage that stuttered and a server that didn't answer are; a bad recipe, an
empty source and a machine too small are the same the second time.
"""

from collections.abc import Iterator

import httpx
from botocore.exceptions import ConnectionError as S3ConnectionError
from botocore.exceptions import HTTPClientError as S3ClientError
from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from lmtrain.errors import LmtrainError, StorageError

TRANSIENT = (
    StorageError,
    ConnectionError,
    TimeoutError,
    S3ConnectionError,
    S3ClientError,
    httpx.TransportError,
)
"""Errors that a later try may not meet. (The first of botocore's isn't Python's ConnectionError.)"""


def is_transient(task: Task, run: TaskRun, state: State) -> bool:
    """Tell Prefect whether a failed stage should be tried again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and deserves_retry(error)


def deserves_retry(error: BaseException) -> bool:
    """Tell whether an error, or what it was raised from, may be gone at the next try.

    The outermost error that is told to a person decides: a source that can't
    be read stays so, though a lost connection stands behind it.
    """
    for known in _chain(error):
        if isinstance(known, TRANSIENT):
            return True
        if isinstance(known, LmtrainError):
            return False
    return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        yield following
        seen.add(id(following))
        following = following.__cause__ or following.__context__
