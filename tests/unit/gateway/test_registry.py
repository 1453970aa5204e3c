"""Which box hosts what."""

import pytest

from appliance.bus.messages import AgentAnnounce, ApplicationInfo, InstanceInfo, InstanceState
from appliance.gateway.registry import FRESH_SECONDS, Registry

pytestmark = pytest.mark.unit


class Clock:
    """Goes when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def announce(
    name: str, *, slots: int = 1, load: float = 0.0, region: str = "", apps: str = "demo"
) -> AgentAnnounce:
    return AgentAnnounce(
        id=name,
        name=name,
        region=region,
        applications=[ApplicationInfo(name=each, kind="command") for each in apps.split()],
        instances=[
            InstanceInfo(id=f"{name}-i", application="demo", state=InstanceState.RUNNING, session=f"{name}-s")
        ],
        slots_free=slots,
        slots_total=4,
        load=load,
    )


def ids(found: list[AgentAnnounce]) -> list[str]:
    return [each.id for each in found]


def test_free_slots_come_before_load() -> None:
    registry = Registry(Clock())
    for each in (
        announce("busy", slots=2, load=3.0),
        announce("calm", slots=2, load=1.0),
        announce("roomy", slots=3, load=9.0),
        announce("full", slots=0),
        announce("other", slots=9, apps="else"),
    ):
        registry.hear(each)
    assert ids(registry.candidates("demo")) == ["roomy", "calm", "busy"]
    assert registry.applications() == ["demo", "else"]


def test_what_a_silent_box_hosts_is_not_known() -> None:
    registry = Registry(clock := Clock())
    registry.hear(announce("a"))
    clock.now = FRESH_SECONDS
    registry.hear(announce("b"))
    assert registry.hosted() == [("b", "b-s")]


def test_a_region_is_a_must_and_none_is_any() -> None:
    registry = Registry(Clock())
    registry.hear(announce("a", region="attic"))
    registry.hear(announce("b", region="cellar"))
    assert ids(registry.candidates("demo", "cellar")) == ["b"]
    assert registry.candidates("demo", "moon") == []
    assert ids(registry.candidates("demo")) == ["a", "b"]
    assert registry.regions() == ["attic", "cellar"]


def test_silence_and_goodbyes() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.hear(announce("a"))
    registry.hear(announce("b"))
    assert registry.instance_of("a-s")
    registry.hear(announce("b").model_copy(update={"leaving": True}))
    assert ids(registry.agents()) == ["a"]
    clock.now = FRESH_SECONDS + 1
    assert registry.agents() == []
    assert registry.unresponsive() == 1
    assert registry.instance_of("a-s") is None
    registry.hear(announce("a"))
    assert registry.agent("a")
    assert registry.unresponsive() == 0


def test_a_box_announces_its_own_sessions_alone() -> None:
    registry = Registry(clock := Clock())
    registry.hear(announce("a"))
    clock.now = 1.0
    theirs, own = announce("a").instances, announce("b").instances
    registry.hear(announce("b").model_copy(update={"instances": theirs + own}))
    assert registry.told_of("a-s") == (theirs[0], 0.0)
    assert registry.told_of("b-s") == (own[0], 1.0)
    assert [each.instances for each in registry.agents()] == [theirs, own]
    registry.hear(announce("a").model_copy(update={"instances": []}))
    assert registry.told_of("a-s") is None
    registry.hear(announce("b").model_copy(update={"leaving": True}))
    assert registry.told_of("b-s") is None
