"""The order of encoders, and the reasons that people are shown."""

import pytest

from hw.encoders import EncoderProbe
from hw.gpus import Gpu
from hw.inventory import Inventory
from hw.ladder import NoEncoderError, choose

pytestmark = pytest.mark.unit

NVIDIA = Gpu("NVIDIA RTX 4090", "NVIDIA", "nvidia", "0000:01:00.0", "/dev/dri/card0", "/dev/dri/renderD128")
AMD = Gpu("AMD 744c", "AMD", "amdgpu", "0000:03:00.0", "/dev/dri/card1", "/dev/dri/renderD129")
X264 = EncoderProbe("x264", "H264", "pyav", hardware=False, works=True)
LIBVPX = EncoderProbe("libvpx", "VP8", "pyav", hardware=False, works=True)


def hardware(
    name: str, gpu: Gpu, *, works: bool = True, codec: str = "H264", detail: str = ""
) -> EncoderProbe:
    return EncoderProbe(
        name,
        codec,  # type: ignore[arg-type]
        "pixelflux",
        hardware=True,
        works=works,
        detail=detail,
        render_node=gpu.render_node,
    )


def names(ladder: list[EncoderProbe]) -> list[tuple[str, str]]:
    return [(probe.name, probe.codec) for probe in ladder]


def test_hardware_comes_before_software_and_h264_before_vp8() -> None:
    inventory = Inventory((AMD,), (hardware("vaapi", AMD, codec="VP8"), hardware("vaapi", AMD), LIBVPX, X264))
    ladder = choose(inventory)
    assert names(ladder) == [("vaapi", "H264"), ("vaapi", "VP8"), ("x264", "H264"), ("libvpx", "VP8")]
    assert ladder[0].reason == "hardware encoder of AMD 744c"


def test_a_codec_that_is_asked_for_leaves_the_others_out() -> None:
    assert names(choose(Inventory((), (X264, LIBVPX)), codec="vp8")) == [("libvpx", "VP8")]


def test_the_encoder_is_on_the_gpu_that_captures() -> None:
    inventory = Inventory((NVIDIA, AMD), (hardware("nvenc", NVIDIA), hardware("vaapi", AMD), X264))
    for wanted in ("card1", "/dev/dri/renderD129", "0000:03:00.0", "amd"):
        assert names(choose(inventory, gpu=wanted)) == [("vaapi", "H264"), ("x264", "H264")]


def test_a_broken_hardware_encoder_is_named_with_its_cause() -> None:
    broken = hardware("nvenc", NVIDIA, works=False, detail="incompatible client key")
    (only,) = choose(Inventory((NVIDIA,), (broken, X264)))
    assert only.reason == "no encoder of NVIDIA RTX 4090 works: nvenc: incompatible client key"


def test_gpu_only_without_a_gpu_says_so() -> None:
    with pytest.raises(NoEncoderError, match="no GPU on this machine"):
        choose(Inventory((), (X264,)), preference="gpu")


def test_gpu_only_gives_no_software_step() -> None:
    assert names(choose(Inventory((AMD,), (hardware("vaapi", AMD), X264)), preference="gpu")) == [
        ("vaapi", "H264")
    ]


def test_a_gpu_that_is_not_there_is_named_with_those_that_are() -> None:
    inventory = Inventory((AMD,), (hardware("vaapi", AMD), X264))
    with pytest.raises(NoEncoderError, match=r"no GPU 'card7' on this machine \(have: AMD 744c\)"):
        choose(inventory, preference="gpu", gpu="card7")
    (only,) = choose(inventory, gpu="card7")
    assert (only.name, only.reason) == ("x264", "no GPU 'card7' on this machine (have: AMD 744c)")


def test_software_is_chosen_on_request_though_a_gpu_works() -> None:
    (only,) = choose(Inventory((AMD,), (hardware("vaapi", AMD), X264)), preference="software")
    assert (only.name, only.reason) == ("x264", "software encoding is what was asked for")


def test_an_encoder_asked_for_by_name_goes_first() -> None:
    ladder = choose(Inventory((AMD,), (hardware("vaapi", AMD), X264)), encoder="x264")
    assert names(ladder) == [("x264", "H264"), ("vaapi", "H264")]
    assert ladder[0].reason == "asked for by name"


def test_a_named_encoder_that_cannot_be_had_is_never_replaced_silently() -> None:
    broken = hardware("nvenc", NVIDIA, works=False, detail="no session left")
    (broken_step,) = choose(Inventory((NVIDIA,), (broken, X264)), encoder="nvenc")
    assert broken_step.reason == "nvenc was asked for: no session left"
    (unknown_step,) = choose(Inventory((), (X264,)), encoder="vulkan")
    assert unknown_step.reason == "vulkan was asked for: not available here, only x264"


def test_nothing_works_at_all() -> None:
    with pytest.raises(NoEncoderError, match="no encoder for h264 works here"):
        choose(Inventory(), codec="h264")
