"""Ids become words of subjects, so that a server can confine a box."""

import pytest

from appliance.bus import subjects

pytestmark = pytest.mark.unit


def test_a_session_is_below_its_agent() -> None:
    session = subjects.id_of("box-1", "abc")
    assert subjects.up(session) == "session.box-1.abc.up"
    assert subjects.down(session, "p") == "session.box-1.abc.down.p"
    assert subjects.stats(subjects.id_of("box-1", "i")) == "instance.box-1.i.stats"


def test_an_id_belongs_to_the_whole_name_of_its_agent_only() -> None:
    session = subjects.id_of("box-1", "abc")
    assert subjects.belongs(session, "box-1")
    assert not subjects.belongs(session, "box")
    assert not subjects.belongs("abc", "box-1")
