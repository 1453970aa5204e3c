from typing import Any

import pytest

from appliance.config import Config
from appliance.errors import NoCapacityError
from appliance.instances.admission import Admission, Seat

pytestmark = pytest.mark.unit


def admission(*gpus: str, instances: int = 4, **section: Any) -> Admission:
    config = Config.model_validate({"limits": {"instances": instances}, "instances": section})
    return Admission(lambda: config, lambda: gpus)


def test_slots_run_out_and_come_back() -> None:
    box = admission("a", instances=2, encoder_slots=1)
    assert box.admit("1", video="gpu-preferred").gpu == "a"
    assert box.free_encoders == 0
    assert box.admit("2", video="gpu-preferred") == Seat(), "falls back to software"
    with pytest.raises(NoCapacityError, match="2 instances"):
        box.admit("3", video="software")
    box.release("1")
    box.release("1")
    assert (box.free, box.free_encoders) == (1, 1)
    assert box.admit("3", video="gpu").gpu == "a"


def test_gpu_or_nothing() -> None:
    box = admission()
    with pytest.raises(NoCapacityError, match="GPU"):
        box.admit("1", video="gpu")
    assert box.free == 4


def test_software_takes_no_slot_of_a_gpu() -> None:
    box = admission("a", encoder_slots=1)
    assert box.admit("1", video="software").gpu is None
    assert box.free_encoders == 1


@pytest.mark.parametrize(("scheduling", "seats"), [("spread", "abab"), ("binpack", "aabb")])
def test_several_gpus_are_filled_in_turn_or_one_by_one(scheduling: str, seats: str) -> None:
    box = admission("a", "b", scheduling=scheduling, gpu_slots=2)
    assert [box.admit(str(number), video="gpu").gpu for number in range(4)] == list(seats)
    with pytest.raises(NoCapacityError):
        admission("a", "b", gpu_slots=0).admit("5", video="gpu")


def test_a_larger_instance_goes_where_it_fits() -> None:
    box = admission("a", "b", scheduling="binpack", gpu_slots=3)
    box.admit("1", video="gpu")
    assert box.admit("2", video="gpu", gpu_slots=3) == Seat("b", 3)
    assert box.admit("3", video="gpu-preferred", gpu_slots=3) == Seat()
    assert box.admit("4", video="gpu", gpu_slots=2) == Seat("a", 2)


def test_a_kind_of_gpu_may_be_asked_for() -> None:
    box = admission("a", "b")
    assert box.admit("1", video="gpu", among=["b"]).gpu == "b"
    with pytest.raises(NoCapacityError):
        box.admit("2", video="gpu", among=[])


def test_a_closed_house_admits_nobody_and_has_no_slot() -> None:
    box = admission(instances=2)
    box.admit("1", video="software")
    box.closed = "closed for today"
    assert box.free == 0
    with pytest.raises(NoCapacityError, match="closed for today"):
        box.admit("2", video="software")
    box.closed = ""
    assert box.free == 1
