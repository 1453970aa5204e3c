"""What the area of instances says of the one that is chosen."""

import pytest

from appliance.bus.messages import InstanceState
from appliance.control.snapshot import Instance
from tests.unit.tui.conftest import stats
from tui.screens.instances import _details

pytestmark = pytest.mark.unit


def test_what_runs_elsewhere_has_its_box_and_no_more_than_is_known() -> None:
    running = Instance(id="i", application="desktop", state=InstanceState.RUNNING, restarts=2, uptime_s=5)
    here = str(_details(running))
    assert "box" not in here
    assert "restarts 2" in here
    there = str(_details(running.model_copy(update={"box": "attic", "restarts": None, "uptime_s": None})))
    assert "attic" in there
    assert "up n/a" in there
    assert "restarts n/a" in there


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"recording": "desktop-1.mkv"}, "● desktop-1.mkv"),
        ({"recording_problem": "/kept: the disk is too slow"}, "not at all: /kept: the disk is too slow"),
    ],
)
def test_whether_it_is_recorded(told: dict[str, str], shown: str) -> None:
    running = Instance(id="i", application="desktop", state=InstanceState.RUNNING)
    assert "recorded" not in str(_details(running.model_copy(update={"stats": stats()})))
    recorded = running.model_copy(update={"stats": stats().model_copy(update=told)})
    assert shown in str(_details(recorded))


def test_why_it_shows_this_screen() -> None:
    running = Instance(id="i", application="desktop", state=InstanceState.RUNNING, stats=stats())
    why = "no display on this machine: our own"
    assert why not in str(_details(running))
    assert f"{stats().source}  {why}" in str(_details(running.model_copy(update={"why": why})))
