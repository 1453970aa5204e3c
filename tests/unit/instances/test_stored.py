"""An instance that records what a master sends is as good as watched; one that cannot says so."""

from typing import Any

import pytest

from appliance.bus.messages import InstanceState, Screen
from appliance.bus.stats import InstanceStats
from appliance.config import ApplicationSection
from appliance.control.snapshot import Instance as Shown
from appliance.controller import _instance_problems
from appliance.instances.idle import IdlePolicy
from appliance.instances.instance import Instance, Wish

pytestmark = pytest.mark.unit


def instance(*, channel: bool = True, **told: Any) -> Instance:
    application = ApplicationSection(name="door", kind="test-pattern")
    running = Instance("i", application, Screen(), "s", IdlePolicy(3), Wish(channel=channel, record=True))
    running.stats = InstanceStats(instance="i", **told)
    return running


def test_it_is_kept_while_the_master_sends() -> None:
    assert instance(recording="door-1.mkv").stored
    assert not instance(recording="door-1.mkv", problem="the camera is away").stored
    assert not instance(recording_problem="the disk is full").stored


def test_a_recorded_application_ends_like_others() -> None:
    assert not instance(channel=False, recording="desktop-1.mkv").stored


def test_what_is_not_recorded_is_a_problem() -> None:
    stats = InstanceStats(instance="i", recording_problem="/kept: less than 256 MiB are free")
    shown = Shown(id="i", application="door", state=InstanceState.RUNNING, stats=stats)
    (problem,) = _instance_problems([shown])
    assert (problem.severity, problem.what) == (
        "error",
        "door is not recorded: /kept: less than 256 MiB are free",
    )
