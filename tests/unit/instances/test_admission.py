import pytest

from appliance.errors import NoCapacityError
from appliance.instances.admission import Admission, Slots

pytestmark = pytest.mark.unit


def test_slots_run_out_and_come_back() -> None:
    admission = Admission(Slots(instances=2, encoders=1))
    assert admission.admit("a", video="gpu-preferred", hardware_there=True)
    assert not admission.admit("b", video="gpu-preferred", hardware_there=True), "falls back to software"
    with pytest.raises(NoCapacityError, match="2 instances"):
        admission.admit("c", video="software", hardware_there=True)
    admission.release("a")
    admission.release("a")
    assert admission.free == 1
    assert admission.admit("c", video="gpu", hardware_there=True)


def test_gpu_or_nothing() -> None:
    admission = Admission(Slots(instances=2, encoders=1))
    with pytest.raises(NoCapacityError, match="GPU"):
        admission.admit("a", video="gpu", hardware_there=False)
    assert admission.free == 2


def test_a_closed_house_admits_nobody_and_has_no_slot() -> None:
    admission = Admission(Slots(instances=2, encoders=0))
    admission.admit("a", video="software", hardware_there=False)
    admission.closed = "closed for today"
    assert admission.free == 0
    with pytest.raises(NoCapacityError, match="closed for today"):
        admission.admit("b", video="software", hardware_there=False)
    admission.closed = ""
    assert admission.free == 1
