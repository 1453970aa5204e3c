"""What the area of instances says of the one that is chosen."""

import pytest

from appliance.bus.messages import InstanceState
from appliance.control.schema import Instance
from tests.unit.tui.conftest import stats
from tui.screens.instances import _details

pytestmark = pytest.mark.unit


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
