"""The envelope."""

import json

import pytest

from appliance.errors import (
    ConfigError,
    ConflictError,
    FanlightError,
    InvalidInputError,
    LimitExceededError,
    NoCapacityError,
    NotFoundError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)
from appliance.gateway.envelope import accepted, failure, status_of, success

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInputError, 400),
        (UnauthorizedError, 401),
        (RefusedError, 403),
        (NotFoundError, 404),
        (NoCapacityError, 404),
        (ConflictError, 409),
        (LimitExceededError, 429),
        (UnavailableError, 503),
        (FanlightError, 500),
        (ConfigError, 500),
    ],
)
def test_errors_have_their_status(error: type[FanlightError], status: int) -> None:
    assert status_of(error("x")) == status


def test_a_conflict_is_a_bad_request_to_anbox() -> None:
    assert status_of(ConflictError("x"), conflict=400) == 400


def test_envelopes() -> None:
    assert json.loads(success(["a"], total=7).text or "") == {
        "type": "sync",
        "status": "success",
        "status_code": 200,
        "metadata": ["a"],
        "total_size": 7,
    }
    assert json.loads(accepted().text or "")["type"] == "async"
    answer = failure(404, "gone")
    assert answer.status == 404
    assert json.loads(answer.text or "") == {
        "type": "error",
        "status": "failed",
        "status_code": 404,
        "error": "gone",
    }
