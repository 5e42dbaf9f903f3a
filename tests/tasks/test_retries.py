"""Stuttering storage is worth a second try; a bad recipe isn't."""

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError

from lmtrain.errors import CancelledError, RecipeError, ResourceError, SourceError, StageError, StorageError
from tasks.retries import deserves_retry


@pytest.mark.parametrize(
    "error",
    [
        StorageError("the bucket didn't answer"),
        ConnectionResetError("reset by peer"),
        TimeoutError("too slow"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        httpx.ConnectError("refused"),
    ],
)
def test_what_may_be_gone_later_is_tried_again(error):
    assert deserves_retry(error)


@pytest.mark.parametrize("kind", [RecipeError, SourceError, ResourceError, StageError, CancelledError])
def test_what_a_person_must_put_right_is_not_tried_again(kind):
    assert not deserves_retry(kind("the same the second time"))


@pytest.mark.parametrize("error", [KeyError("a defect"), FileNotFoundError("gone"), PermissionError("no")])
def test_a_defect_is_not_tried_again(error):
    assert not deserves_retry(error)


def test_what_an_error_was_raised_from_counts():
    error = RuntimeError("reading failed")
    error.__cause__ = ConnectionResetError("reset by peer")
    assert deserves_retry(error)


def test_an_error_told_to_a_person_hides_what_it_was_raised_from():
    error = SourceError("can't read s3://bucket")
    error.__cause__ = ConnectionResetError("reset by peer")
    assert not deserves_retry(error)
