"""Which encoders are worth trying on which machine."""

import pytest

from hw.encoders import Candidate, candidates
from hw.gpus import Gpu

pytestmark = pytest.mark.unit

SOFTWARE = [Candidate("x264", "H264", "pyav"), Candidate("libvpx", "VP8", "pyav")]


def test_without_a_gpu_only_software_is_tried() -> None:
    assert candidates([]) == SOFTWARE


def test_an_intel_gpu_is_tried_through_vaapi_for_both_codecs() -> None:
    intel = Gpu("Intel a780", "Intel", "i915", "0000:00:02.0", "/dev/dri/card0", "/dev/dri/renderD128")
    assert candidates([intel]) == [
        Candidate("vaapi", "H264", "pixelflux", hardware=True, render_node="/dev/dri/renderD128"),
        Candidate("vaapi", "VP8", "pixelflux", hardware=True, render_node="/dev/dri/renderD128"),
        *SOFTWARE,
    ]


def test_an_nvidia_gpu_is_tried_through_both_libraries() -> None:
    nvidia = Gpu("NVIDIA 2684", "NVIDIA", "nvidia", "0000:01:00.0", "/dev/dri/card0", "/dev/dri/renderD128")
    assert candidates([nvidia]) == [
        Candidate("nvenc", "H264", "pixelflux", hardware=True, render_node="/dev/dri/renderD128"),
        Candidate("nvenc", "H264", "pyav", hardware=True, render_node="/dev/dri/renderD128"),
        *SOFTWARE,
    ]


def test_an_nvidia_gpu_without_drm_nodes_still_has_nvenc() -> None:
    in_a_container = Gpu("NVIDIA H200", "NVIDIA", "nvidia", "0000:01:00.0")
    assert candidates([in_a_container])[0] == Candidate("nvenc", "H264", "pyav", hardware=True)


def test_a_jetson_is_tried_without_a_render_node() -> None:
    jetson = Gpu("nvidia,ga10b", "NVIDIA", "nvgpu")
    assert candidates([jetson])[0] == Candidate("tegra", "H264", "pixelflux", hardware=True)


def test_a_card_without_a_render_node_is_not_tried() -> None:
    assert candidates([Gpu("ASPEED 2000", "ASPEED", "ast", "0000:05:00.0", "/dev/dri/card0")]) == SOFTWARE
