"""The peer to beat inside: aiortc as it comes. x11grab polled, one x264, packets through its own sender.

`python -m bench.stock --display :1 --port N [--playout-delay]`: serves a page that plays the display. With
playout-delay the browser is told not to buffer, and nothing else differs.
"""

import argparse
import asyncio
import fractions
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import aiortc.rtp
import av
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtcrtpsender import RTCRtpSender
from av.video.stream import VideoStream

PAGE = Path(__file__).with_name("page.html")
PLAYOUT_DELAY = RTCRtpHeaderExtensionParameters(
    5, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
)


VideoPacket: TypeAlias = "av.Packet[VideoStream]"


class NoDelay(aiortc.rtp.HeaderExtensionsMap):
    """Writes playout-delay (0, 0) into every packet, where it was agreed on."""

    _agreed = False

    def configure(self, parameters: RTCRtpParameters) -> None:
        super().configure(parameters)
        self._agreed |= PLAYOUT_DELAY in parameters.headerExtensions

    def set(self, values: aiortc.rtp.HeaderExtensions) -> tuple[int, bytes]:
        _, elements = super().set(values)
        return 0xBEDE, elements + bytes((PLAYOUT_DELAY.id << 4 | 2, 0, 0, 0)) * self._agreed


class PacketTrack(MediaStreamTrack):
    """Encoded frames for one viewer."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.packets: asyncio.Queue[VideoPacket] = asyncio.Queue(maxsize=4)

    async def recv(self) -> VideoPacket:
        return await self.packets.get()


def capture(display: str, size: str, fps: int, kbps: int, deliver: Callable[[VideoPacket], None]) -> None:
    """Poll the screen and encode, for ever; a keyframe every two seconds since PLI goes nowhere here."""
    screen = av.open(
        display, format="x11grab", options={"framerate": str(fps), "video_size": size, "draw_mouse": "1"}
    )
    width, height = map(int, size.split("x"))
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.bit_rate, encoder.framerate = kbps * 1000, fractions.Fraction(fps)
    encoder.time_base = fractions.Fraction(1, 90000)
    encoder.gop_size = fps * 2
    encoder.profile = "Baseline"
    encoder.options = {
        "preset": "ultrafast", "tune": "zerolatency", "threads": "1",
        "maxrate": str(kbps * 1000), "bufsize": str(kbps * 1000 // 8),
        "x264-params": "repeat-headers=1:annexb=1",
    }  # fmt: skip
    began = time.perf_counter()
    for frame in screen.decode(video=0):
        picture = frame.reformat(format="yuv420p")
        picture.pts = int((time.perf_counter() - began) * 90000) + 1
        picture.time_base = encoder.time_base
        for packet in encoder.encode(picture):
            deliver(packet)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--display", required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--kbps", type=int, default=4000)
    parser.add_argument("--playout-delay", action="store_true")
    options = parser.parse_args()
    if options.playout_delay:
        HEADER_EXTENSIONS["video"].append(PLAYOUT_DELAY)
        vars(aiortc.rtp)["HeaderExtensionsMap"] = NoDelay
    tracks: list[PacketTrack] = []
    peers: list[RTCPeerConnection] = []

    def put(packet: VideoPacket) -> None:
        for track in tracks:
            if not track.packets.full():
                track.packets.put_nowait(packet)

    async def offer(_: web.Request) -> web.Response:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        track = PacketTrack()
        transceiver = peer.addTransceiver(track, direction="sendonly")
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences(
            [each for each in capabilities if each.mimeType in ("video/H264", "video/rtx")]
        )
        peers.append(peer)
        tracks.append(track)
        await peer.setLocalDescription(await peer.createOffer())
        return web.json_response({"id": len(peers) - 1, "type": "offer", "sdp": peer.localDescription.sdp})

    async def answer(request: web.Request) -> web.Response:
        peer = peers[int(request.match_info["id"])]
        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "answer"))
        return web.Response()

    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        arguments = (options.display, options.size, options.fps, options.kbps)
        deliver = lambda packet: loop.call_soon_threadsafe(put, packet)  # noqa: E731
        threading.Thread(target=capture, args=(*arguments, deliver), daemon=True).start()
        app = web.Application()
        app.add_routes([web.get("/", page), web.post("/offer", offer), web.post("/answer/{id}", answer)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, options.address, options.port).start()
        print(f"ready http://{options.address}:{options.port}/", flush=True)
        await loop.create_future()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
