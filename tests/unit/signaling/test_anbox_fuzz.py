"""Whatever a socket brings is read or refused."""

import pytest
from hypothesis import given

from appliance.errors import InvalidInputError
from appliance.signaling import anbox
from tests.support.signals import signals

pytestmark = pytest.mark.unit


@given(signals())
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    try:
        assert isinstance(anbox.parse(text), anbox.ClientMessage)
    except InvalidInputError as exc:
        reason = str(exc)
    else:
        return
    assert 0 < len(reason) < 200
