"""The emulated link between two namespaces, with real packets on it."""

import asyncio
import json
import time

import pytest

from bench.link import VIEWER, Shape, link, mean_kbps, queue_p95

pytestmark = pytest.mark.e2e

PORT = 9000
SEND = f"""
import socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(600):
    out.sendto(b"%f" % time.time() + bytes(1150), ("{VIEWER}", {PORT}))
    time.sleep(0.004)
"""
RECEIVE = f"""
import json, socket, time
inlet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inlet.bind(("{VIEWER}", {PORT}))
print("bound", flush=True)
delays = []
while True:
    data = inlet.recv(2000)
    inlet.settimeout(1)
    delays.append(time.time() - float(data.rstrip(b"\\0")))
    print(json.dumps(delays[-1]), flush=True)
"""


async def test_a_bottleneck_delays_and_drops_what_is_too_much() -> None:
    async with link(Shape(kbps=1000, rtt_ms=50, queue_ms=100)) as wire:
        receiver = await asyncio.create_subprocess_exec(
            *wire.viewer,
            "python3",
            "-c",
            RECEIVE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert receiver.stdout
        await receiver.stdout.readline()
        sender = await asyncio.create_subprocess_exec(*wire.box.prefix, "python3", "-c", SEND)
        first = await receiver.stdout.readline()
        began = time.monotonic()
        await sender.wait()
        told = wire.since(began)
        said, _ = await receiver.communicate()
    delays = [json.loads(line) for line in (first + said).splitlines()]

    assert min(delays) > 0.02
    assert sorted(delays)[len(delays) // 2] > 0.1
    assert len(delays) < 500
    assert mean_kbps(told[5:-2]) == pytest.approx(1000, rel=0.15)
    assert 90 < queue_p95(told) < 200
