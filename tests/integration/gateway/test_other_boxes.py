"""A box that is let in speaks for itself, and for no other."""

import pytest

from appliance.bus import subjects
from appliance.bus.messages import SessionGrant, SessionRequest
from appliance.bus.stats import InstanceStats
from appliance.errors import RefusedError
from tests.support.gateway import FakeAgent, FakeStreamer, Street, until

pytestmark = pytest.mark.integration


async def test_a_box_asks_for_no_session_in_the_name_of_another(here: Street) -> None:
    session = await FakeAgent(here.bus).ask_for_session()
    request = SessionRequest(agent="box1", application="desktop", session=session)
    with pytest.raises(RefusedError, match="somebody else"):
        await here.bus.request(subjects.sessions("box2"), request, SessionGrant)
    assert [each.id for each in await here.gateway.sessions()] == [session]


async def test_a_box_does_not_say_who_watches_at_another(here: Street) -> None:
    viewers = here.gateway._context.viewers
    session = await FakeAgent(here.bus).ask_for_session()
    await FakeStreamer(here.bus, session).tell_viewers("d1-x")
    theirs, own = subjects.id_of("box2", "i1"), subjects.id_of("box2", "i2")
    await here.bus.publish(subjects.stats(theirs), InstanceStats(instance=theirs, session=session))
    await here.bus.publish(subjects.stats(own), InstanceStats(instance=own))
    await until(lambda: own in [each.instance for each in viewers.stats()])
    found = viewers.of(session)
    assert found
    assert [each.id for each in found.viewers] == ["d1-x"]
    assert theirs not in [each.instance for each in viewers.stats()]
