"""GStreamer's webrtcbin under the load of appliance/bench/fan_out.py: same frames, same deaf receivers.

`python -m bench.packets` is the process of its receivers: aiortc by itself takes no RSA certificate, which is
what webrtcbin has.
"""

import asyncio
import time

import aiohttp
from aiortc.rtcdtlstransport import RTCCertificate, SRTPProtectionProfile
from OpenSSL import SSL

from appliance.bench.fan_out import FPS, PacketCost
from appliance.bench.receivers import receive, receivers
from bench.processes import cpu_seconds
from bench.systems import Job, synthetic_gstreamer

_WARM_UP_S = 2.0
_SEQUENCES = 1 << 16


async def webrtcbin(viewers: int, kbps: int, seconds: float) -> PacketCost:
    """One run, `kbps` for each viewer."""
    async with (
        synthetic_gstreamer(Job("", fps=FPS, kbps=kbps)) as server,
        receivers("bench.packets") as process,
        aiohttp.ClientSession(server.url) as http,
    ):
        for _ in range(viewers):
            async with http.post("/offer") as answer:
                offered = await answer.json()
            sdp = await process.answer(offered["sdp"])
            async with http.post(f"/answer/{offered['id']}", data=sdp):
                await process.connected()
        await asyncio.sleep(_WARM_UP_S)
        first, cpu, began = await _sequence(http), cpu_seconds(server.pid), time.monotonic()
        await asyncio.sleep(seconds)
        cpu, elapsed = cpu_seconds(server.pid) - cpu, time.monotonic() - began
        packets = viewers * ((await _sequence(http) - first) % _SEQUENCES)
    return PacketCost(viewers, 1e6 * cpu / packets, 100 * cpu / elapsed / viewers, packets / elapsed)


async def _sequence(http: aiohttp.ClientSession) -> int:
    async with http.get("/sequence") as answer:
        return int(await answer.text())


def accept_rsa() -> None:
    """Let aiortc in this process connect to peers with RSA certificates."""
    make = RTCCertificate._create_ssl_context

    def with_rsa(self: RTCCertificate, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        context = make(self, srtp_profiles=srtp_profiles)
        context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
        return context

    RTCCertificate._create_ssl_context = with_rsa  # type: ignore[method-assign]


if __name__ == "__main__":
    accept_rsa()
    asyncio.run(receive())
