"""The states of a session."""

import pytest

from appliance.bus.messages import SessionStatus as S
from appliance.gateway.sessions import may_become

pytestmark = pytest.mark.unit

ALLOWED = {
    S.CREATED: {S.ACTIVE, S.TERMINATING, S.TERMINATED, S.ERROR},
    S.ACTIVE: {S.TERMINATING, S.TERMINATED, S.ERROR},
    S.TERMINATING: {S.TERMINATED, S.ERROR},
    S.TERMINATED: set(),
    S.ERROR: {S.ACTIVE, S.CREATED},
}


@pytest.mark.parametrize("old", S)
@pytest.mark.parametrize("new", S)
def test_transitions(old: S, new: S) -> None:
    assert may_become(old, new) == (new in ALLOWED[old])
