"""The sentence that tells people how their machine encodes, and when encoders are tried again."""

import pytest

from hw import inventory
from hw.encoders import Candidate, EncoderProbe, failed
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
        tried.append(len(tries))
        return ()

    monkeypatch.setattr(inventory, "probe_encoders", probe)
    cache = ProbeCache()
    await cache.probe(())
    await cache.probe(())
    await cache.probe((AMD,))
    assert tried == [2, 4]
    cache.forget()
    await cache.probe((AMD,))
    assert tried == [2, 4, 4]
