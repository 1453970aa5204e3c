"""What the audit trail is told of instances and viewers."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from appliance import audit
from appliance.bus.messages import Role, Screen
from appliance.bus.stats import ViewerStats
from appliance.config import ApplicationSection
from appliance.instances.idle import IdlePolicy
from appliance.instances.instance import Instance
from appliance.instances.manager import InstanceManager
from appliance.witness import Witness

pytestmark = pytest.mark.unit

LAPTOP, LAPTOP_AGAIN, PHONE = "daaa-1", "daaa-2", "dbbb-1"


def instance() -> Instance:
    application = ApplicationSection(name="desktop", kind="desktop")
    return Instance("i1", application, Screen(), "s1", IdlePolicy())


def seen(*viewers: str, state: str = "connected") -> list[ViewerStats]:
    return [ViewerStats(id=each, label="x", role=Role.VIEW, state=state) for each in viewers]


@pytest.fixture
def house() -> Any:
    """All instances there are."""
    return SimpleNamespace(instances={"i1": instance()})


def told(house: Any, directory: Path, *looks: list[ViewerStats]) -> list[tuple[str, str]]:
    """Events with their viewers, after these statistics of the one instance, which then ends."""
    witness = Witness("box1", cast("InstanceManager", house), lambda: pytest.fail("no bus is needed"))
    with audit.kept(directory):
        witness.changed()
        for viewers in looks:
            witness._look(house.instances["i1"], viewers)
        house.instances.clear()
        witness.changed()
    return [(each.event, each.viewer) for each in audit.read(directory, 100)]


def test_who_is_there_when_an_instance_ends_has_left(house: Any, tmp_path: Path) -> None:
    assert told(house, tmp_path, seen(PHONE), seen(PHONE, LAPTOP), seen(LAPTOP)) == [
        ("start", ""), ("join", PHONE), ("join", LAPTOP), ("leave", PHONE), ("leave", LAPTOP), ("end", "")
    ]  # fmt: skip


def test_who_never_connected_never_came(house: Any, tmp_path: Path) -> None:
    assert told(house, tmp_path, seen(PHONE, state="connecting"), seen()) == [("start", ""), ("end", "")]


def test_another_socket_of_the_same_viewer_is_no_news(house: Any, tmp_path: Path) -> None:
    events = told(house, tmp_path, seen(LAPTOP), seen(LAPTOP_AGAIN))
    assert events == [("start", ""), ("join", LAPTOP), ("leave", LAPTOP_AGAIN), ("end", "")]


def test_the_trail_is_no_part_of_the_log(
    house: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        told(house, tmp_path)
    assert not caplog.records
