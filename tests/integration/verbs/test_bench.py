"""`fanlight bench`, with the encoders, an Xvfb and receivers of this machine."""

import asyncio
import json
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def bench(*arguments: str) -> Any:
    """What `fanlight bench` prints as JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "appliance", "bench", *arguments, "--runs", "1", "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_every_software_encoder_is_measured_at_both_sizes() -> None:
    found = await bench("encode", "--frames", "10")
    measured = {(each["encoder"], each["size"]) for each in found if not each["hardware"]}
    sizes = ("1280x720", "1920x1080")
    assert measured >= {(encoder, size) for encoder in ("x264", "libvpx") for size in sizes}
    for each in found:
        if each["p50_ms"] is not None:
            assert 0 < each["p50_ms"] <= each["p95_ms"]
            assert each["fps"] == pytest.approx(1000 / each["p50_ms"])


async def test_latency_is_from_a_change_on_a_screen_to_its_frame() -> None:
    found = await bench("latency", "--changes", "5")
    assert [each["size"] for each in found] == ["1280x720", "1920x1080"]
    for each in found:
        assert 0 < each["p50_ms"] <= each["p95_ms"] < 5000
        assert each["fps"] > 1


async def test_fan_out_is_measured_beside_aiortc_in_the_same_run() -> None:
    found = await bench("fan-out", "--viewers", "2", "--kbps", "2000", "--seconds", "1")
    assert set(found) == {"fanlight", "aiortc"}
    for each in found.values():
        assert each["viewers"] == 2
        assert each["us_per_packet"] > 0
        assert 100 < each["packets_per_s"] < 2000
