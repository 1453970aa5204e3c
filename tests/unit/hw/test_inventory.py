"""The sentence that tells people how their machine encodes, and when encoders are tried again."""

import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest

from hw import inventory
from hw.encoders import SESSIONS_TAKEN, Candidate, EncoderProbe, failed
from hw.gpus import Gpu
from hw.inventory import ProbeCache, why_no_hardware

pytestmark = pytest.mark.unit

AMD = Gpu("AMD 744c", "AMD", "amdgpu", "0000:03:00.0", "/dev/dri/card0", "/dev/dri/renderD128")


def test_each_cause_has_its_own_words() -> None:
    assert why_no_hardware([], []) == "no GPU on this machine"
    no_driver = Gpu("NVIDIA 2684", "NVIDIA", "", "0000:01:00.0")
    assert why_no_hardware([no_driver], []) == "no driver for NVIDIA 2684"
    server_vga = Gpu("ASPEED 2000", "ASPEED", "ast", "0000:05:00.0", "/dev/dri/card0")
    assert why_no_hardware([server_vga], []) == "ASPEED 2000: no render node, so no encoder"
    broken = failed(Candidate("vaapi", "H264", "pixelflux", True, AMD.render_node), "libva.so.2 is missing")
    assert why_no_hardware([AMD], [broken]) == "no encoder of AMD 744c works: vaapi: libva.so.2 is missing"


async def test_encoders_are_tried_again_only_when_the_gpus_change(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    async def probe(tries: list[Candidate]) -> tuple[EncoderProbe, ...]:
        if tries:
            tried.append(len(tries))
        return tuple(failed(each, "no") for each in tries)

    monkeypatch.setattr(inventory, "probe_encoders", probe)
    cache = ProbeCache()
    await cache.probe(())
    await cache.probe(())
    await cache.probe((AMD,))
    assert tried == [2, 4]
    cache.forget()
    await cache.probe((AMD,))
    assert tried == [2, 4, 4]


async def test_a_gpu_that_encodes_all_it_can_for_others_is_tried_again_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[list[tuple[str, str]]] = []
    nvidia = Gpu("NVIDIA 2684", "NVIDIA", "nvidia", "0000:01:00.0", render_node="/dev/dri/renderD129")
    taken = f"{SESSIONS_TAKEN}: all 8 are in use"

    async def probe(tries: list[Candidate]) -> tuple[EncoderProbe, ...]:
        first = not tried
        tried.append([(each.name, each.backend) for each in tries])
        return tuple(
            failed(each, taken if each.backend == "pixelflux" else "Generic error")
            if first and each.name == "nvenc"
            else EncoderProbe(**asdict(each), works=each.name != "vaapi", detail="said")
            for each in tries
        )

    monkeypatch.setattr(inventory, "probe_encoders", probe)
    cache = ProbeCache()
    before = await cache.probe((nvidia, AMD))
    assert not cache.known
    after = await cache.probe((nvidia, AMD))
    assert cache.known
    assert tried[1:] == [[("nvenc", "pixelflux"), ("nvenc", "pyav")]]
    assert [each.works for each in before] == [False, False, False, False, True, True]
    assert [each.works for each in after] == [True, False, False, True, True, True]
    await cache.probe((nvidia, AMD))
    assert tried[2:] == [[]]


async def test_the_probe_tells_that_there_is_no_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (x264, _) = await ProbeCache().probe(())
    assert not x264.works
    assert x264.detail.startswith("it could not be tried: ")
