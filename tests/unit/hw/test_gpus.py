"""A machine without any of it, and the names that mean a GPU."""

import pytest
import pyudev

from hw import gpus
from hw.gpus import Gpu

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("failure", [ImportError("no library named udev"), PermissionError("/sys")])
def test_a_machine_without_libudev_or_sysfs_has_no_gpus(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def broken() -> pyudev.Context:
        raise failure

    monkeypatch.setattr(pyudev, "Context", broken)
    assert gpus.list_gpus() == ()


def test_a_gpu_answers_to_every_name_it_has_and_to_nothing_else() -> None:
    gpu = Gpu("AMD 744c", "AMD", "amdgpu", "0000:03:00.0", "/dev/dri/card1", "/dev/dri/renderD129")
    for wanted in ("amd", "AMDGPU", "card1", "renderD129", "/dev/dri/card1", "0000:03:00.0", "AMD 744c"):
        assert gpu.answers_to(wanted)
    for wanted in ("", "card0", "nvidia", "0000:01:00.0"):
        assert not gpu.answers_to(wanted)
