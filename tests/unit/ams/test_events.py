import pytest

from appliance.ams.events import Events

pytestmark = pytest.mark.unit


async def test_each_listener_gets_what_it_asked_for() -> None:
    events = Events()
    with events.listen(frozenset({"lifecycle"})) as one, events.listen(frozenset({"operation"})) as other:
        events.tell("lifecycle", 1)
        events.tell("operation", 2)
        first, second = await one.next(), await other.next()
        assert first
        assert second
        assert (first["type"], first["metadata"], second["metadata"]) == ("lifecycle", 1, 2)


async def test_who_is_too_slow_is_sent_away_after_what_it_has_and_delays_nobody() -> None:
    events = Events()
    with events.listen(frozenset({"lifecycle"})) as slow:
        for number in range(1000):
            events.tell("lifecycle", number)
        got = [await slow.next() for _ in range(257)]
        assert got[-1] is None
        assert [each["metadata"] for each in got if each] == list(range(256))
