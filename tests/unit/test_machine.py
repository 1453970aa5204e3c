from typing import Any

import pytest

from appliance.config import Config
from appliance.errors import NoCapacityError
from appliance.machine import Machine
from hw.displays import Display
from hw.encoders import EncoderProbe
from hw.gpus import Gpu
from hw.inventory import Inventory
from hw.ladder import Preference

pytestmark = pytest.mark.unit

ONE, TWO = "/dev/dri/renderD128", "/dev/dri/renderD129"
SOFTWARE = EncoderProbe("x264", "H264", "pyav", hardware=False, works=True)


def machine(*encoders: EncoderProbe, vendor: str = "AMD", **video: Any) -> Machine:
    gpus = tuple(Gpu(node, vendor=vendor, render_node=node) for node in (ONE, TWO))
    config = Config.model_validate({"video": video})
    inventory = Inventory(gpus, (*encoders, SOFTWARE), reason="no encoder of any GPU works")
    return Machine(lambda: config, lambda: inventory)


def vaapi(node: str, *, works: bool = True) -> EncoderProbe:
    return EncoderProbe("vaapi", "H264", "pixelflux", hardware=True, works=works, render_node=node)


def test_gpus_that_encode_are_told_by_their_nodes() -> None:
    assert machine(vaapi(ONE), vaapi(TWO)).encoding_gpus() == [ONE, TWO]
    assert machine(vaapi(ONE, works=False), vaapi(TWO)).encoding_gpus() == [TWO]
    assert machine(vaapi(ONE), vaapi(TWO), gpu=TWO).encoding_gpus() == [TWO]
    assert machine().encoding_gpus() == []


def test_an_instance_encodes_on_the_gpu_where_it_has_its_slot() -> None:
    ladder = machine(vaapi(ONE), vaapi(TWO)).encoders("gpu-preferred", render_node=TWO)
    assert [each.render_node for each in ladder] == [TWO, ""]


def test_without_a_slot_it_encodes_in_software_and_the_reason_is_the_cause() -> None:
    (full,) = machine(vaapi(ONE)).encoders("gpu-preferred", render_node=None)
    assert (full.hardware, full.reason) == (False, "all slots of the GPUs are in use")
    (none,) = machine().encoders("gpu-preferred", render_node=None)
    assert none.reason == "no encoder of any GPU works"
    with pytest.raises(NoCapacityError):
        machine().encoders("gpu", render_node=None)


def test_software_in_the_place_of_a_gpu_that_should_encode_is_a_fallback() -> None:
    def fallback(box: Machine, video: Preference = "gpu-preferred") -> bool:
        (software,) = box.encoders(video, render_node=None)
        return software.fallback

    broken = vaapi(ONE, works=False)
    assert fallback(machine(broken))
    assert fallback(machine(), "gpu-preferred"), "no driver, so that nothing could be tried"
    assert fallback(machine(broken, vaapi(TWO), gpu=ONE))
    assert not fallback(machine(broken), "software")
    assert not fallback(machine(broken, encoder="x264"))
    assert not fallback(machine(broken, vendor="Virtio"))
    assert not fallback(machine(vaapi(ONE))), "all slots are in use"


def test_all_of_it_is_told_to_control_clients() -> None:
    inventory = Inventory(
        (Gpu("one", render_node=ONE),), (SOFTWARE,), (Display(":0", "x11", reachable=True),)
    )
    told = Machine(Config, lambda: inventory).hardware()
    assert [told.gpus[0].name, told.encoders[0].name, told.displays[0].name] == ["one", "x264", ":0"]
