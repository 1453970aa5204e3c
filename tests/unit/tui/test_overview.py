"""What the overview says of the box."""

import pytest

from appliance.bus.messages import InstanceState
from appliance.bus.stats import InstanceStats
from appliance.control.snapshot import Instance
from tests.unit.tui.conftest import snapshot, stats
from tui.screens.instances import _details
from tui.screens.overview import _box, _facts

pytestmark = pytest.mark.unit


def test_where_the_box_is() -> None:
    told = snapshot()
    assert "place" not in str(_box(told))
    placed = told.model_copy(update={"box": told.box.model_copy(update={"location": "second floor"})})
    assert "second floor" in str(_box(placed))


def test_what_nobody_watches_is_asleep_and_has_no_encoder_to_speak_of() -> None:
    running = Instance(id="i", application="desktop", state=InstanceState.RUNNING)
    asleep = running.model_copy(update={"stats": InstanceStats(instance="i", target_fps=60)})
    for said in (str(_facts(asleep)), str(_details(asleep))):
        assert "asleep until somebody watches" in said
        assert "encoder" not in said
    starting = stats().model_copy(update={"source": "", "encoder": ""})
    assert "asleep" not in str(_facts(running.model_copy(update={"stats": starting})))
    broken = InstanceStats(instance="i", problem="no X server answers")
    assert "asleep" not in str(_facts(running.model_copy(update={"stats": broken})))
