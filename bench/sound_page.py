"""A page that plays the sound of a PulseAudio, through a network that loses.

`python -m bench.sound_page --pulse unix:/path --port N [--frame-ms 20] [--stock] [--loss 1] [--viewers 0]`:
`--stock` leaves the packets to aiortc, without redundancy and with nothing in pauses. `--viewers` more of the
bench's receivers get a picture of 8 Mb/s from the same process. `/result` tells when
packets were lost, and when sound was encoded after a pause.
"""

import argparse
import asyncio
import random
import time
from typing import Any

from aiohttp import web
from aiortc.sdp import SessionDescription, candidate_from_sdp, candidate_to_sdp

from appliance.bench.fan_out import Frames, connect
from appliance.bench.receivers import receivers
from appliance.signaling.anbox import Settings
from appliance.streamer.audio import AudioSource
from appliance.streamer.broadcast import Broadcast
from appliance.streamer.connection import MediaConnection
from appliance.streamer.frames import Codec
from appliance.streamer.sources import Sources
from appliance.streamer.talkspurts import EncodedAudio
from appliance.streamer.tracks import SoundFan

LOAD_KBPS = 8000

PAGE = """<!doctype html><script>
(async () => {
  const pc = (window.pc = new RTCPeerConnection());
  pc.ontrack = ({ track }) => {
    const speaker = (window.speaker = new Audio());
    speaker.srcObject = new MediaStream([track]);
    speaker.play();
  };
  const offer = await (await fetch('/offer', { method: 'POST' })).text();
  await pc.setRemoteDescription({ type: 'offer', sdp: offer });
  await pc.setLocalDescription(await pc.createAnswer());
  await fetch('/answer', { method: 'POST', body: pc.localDescription.sdp });
})();
window.inbound = async () => [...(await pc.getStats()).values()].find((each) => each.type === 'inbound-rtp');
</script>"""


class Network(asyncio.DatagramProtocol):
    """Between streamer and browser; loses this share of the RTP that goes to the browser."""

    def __init__(self, loss: float) -> None:
        self.lost: list[float] = []
        """When, in seconds of the wall clock."""
        self.own = self.streamer = self._browser = ("", 0)
        self._loss = loss
        self._random = random.Random(1)  # noqa: S311
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.own = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if address != self.streamer:
            self._browser = address
            self._transport.sendto(data, self.streamer)
            return
        is_rtp = 128 <= data[0] < 192 and not 192 <= data[1] < 224
        if is_rtp and self._random.random() < self._loss:
            self.lost.append(time.time())
        elif self._browser[1]:
            self._transport.sendto(data, self._browser)


def through(sdp: str, address: tuple[str, int]) -> str:
    """`sdp` with one candidate, at `address`."""
    description = SessionDescription.parse(sdp)
    candidate = candidate_from_sdp("1 1 udp 2130706431 0.0.0.0 9 typ host")
    candidate.ip, candidate.port = address
    lines = [line for line in sdp.splitlines() if not line.startswith(("a=candidate:", "a=end-of-"))]
    at = next(number for number, line in enumerate(lines) if line.startswith("m="))
    assert description.media
    lines.insert(at + 1, "")
    lines[at + 1] = f"a=candidate:{candidate_to_sdp(candidate)}"
    return "\r\n".join((*lines, ""))


def host_address(sdp: str) -> tuple[str, int]:
    """Of the first IPv4 candidate."""
    for media in SessionDescription.parse(sdp).media:
        for candidate in media.ice_candidates:
            if ":" not in candidate.ip:
                return candidate.ip, candidate.port
    raise SystemExit("this machine has no IPv4 address that a browser could reach")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pulse", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--frame-ms", type=int, default=20)
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--loss", type=float, default=0, help="percent")
    parser.add_argument("--viewers", type=int, default=0)
    options = parser.parse_args()

    fan, frames = SoundFan(), Frames(LOAD_KBPS)
    broadcast = Broadcast(lambda: frames)
    sources = Sources({Codec.H264: broadcast}, fan, own_packets=not options.stock)
    connected = asyncio.Event()

    def changed(state: str) -> None:
        if state == "connected":
            connected.set()

    connection = MediaConnection(sources, [], changed=changed, channel=lambda _: None)
    network = Network(options.loss / 100)

    onsets: list[float] = []
    silent = True

    def deliver(packet: EncodedAudio) -> None:
        nonlocal silent
        was_silent, silent = silent, len(packet.data) <= 3
        if was_silent and not silent:
            onsets.append(time.time())
        if not options.stock or not silent:
            fan.deliver(packet)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def offer(_: web.Request) -> web.Response:
        sdp = await connection.offer(Settings(enable_video=False))
        network.streamer = host_address(sdp)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: network, local_addr=(network.streamer[0], 0)
        )
        return web.Response(text=through(sdp, network.own))

    async def answer(request: web.Request) -> web.Response:
        await connection.take_answer(through(await request.text(), network.own))
        await connected.wait()
        return web.Response()

    async def result(_: web.Request) -> web.Response:
        return web.json_response({"lost": network.lost, "onsets": onsets})

    app = web.Application()
    app.add_routes(
        [
            web.get("/", page),
            web.post("/offer", offer),
            web.post("/answer", answer),
            web.get("/result", result),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port).start()
    async with receivers() as process, asyncio.TaskGroup() as group:
        group.create_task(AudioSource(pulse_server=options.pulse, frame_ms=options.frame_ms).run(deliver))
        if options.viewers:
            group.create_task(broadcast.run())
        for _ in range(options.viewers):
            await connect(sources, process)
        print(f"ready http://127.0.0.1:{options.port}/", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
