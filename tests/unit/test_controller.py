"""What of an instance wants a person, and what mends it."""

import pytest

from appliance.bus.messages import InstanceState
from appliance.bus.stats import InstanceStats
from appliance.control.snapshot import Instance
from appliance.controller import _instance_problems

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("no encoder of NVIDIA 2684 works: nvenc: no libcuda", "fanlight doctor"),
        ("nvenc: the device has no NVENC session to spare", "set [instances] encoder_slots"),
    ],
)
def test_software_where_a_gpu_should_encode_is_an_error_with_its_cause(reason: str, fix: str) -> None:
    stats = InstanceStats(instance="i", encoder="x264", encoder_reason=reason, software_fallback=True)
    shown = Instance(id="i", application="desktop", state=InstanceState.RUNNING, stats=stats)
    (problem,) = _instance_problems([shown])
    assert (problem.severity, problem.what) == ("error", f"desktop encodes in software: {reason}")
    assert problem.fix.startswith(fix)
