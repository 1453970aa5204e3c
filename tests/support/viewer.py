"""A headless viewer written from docs/protocol.md: a guest with a share link, media through aiortc."""

import asyncio
import base64
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from urllib.parse import urldefrag

import aiohttp
import aiortc.rtcrtpreceiver
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole


def drain(_: object, input_q: Any, *__: object) -> None:
    """What aiortc runs instead of a decoder."""
    while input_q.get() is not None:
        pass


def stop_decoding() -> None:
    """Make aiortc take media in without decoding it, until this process ends: only the sender costs."""
    vars(aiortc.rtcrtpreceiver)["decoder_worker"] = drain


FrameRow = Sequence[float]
"""RTP timestamp; when captured, then how long capture, encoding and sending took, in ms: docs/protocol.md."""


@contextlib.asynccontextmanager
async def viewer(
    link: str,
    frame_sent: Callable[[FrameRow], None] | None = None,
    noticed: Callable[[str], None] | None = None,
) -> AsyncIterator[RTCPeerConnection]:
    """Connected once entered; its media goes nowhere. The others are called with all that the box tells."""
    base, fragment = urldefrag(link)
    token = fragment.removeprefix("share=")
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sink = MediaBlackhole()
    peer.on("track", sink.addTrack)
    connected, opened = asyncio.Event(), asyncio.Event()

    def changed() -> None:
        if peer.connectionState == "connected":
            connected.set()

    peer.on("connectionstatechange", changed)
    jar = aiohttp.CookieJar(unsafe=True)
    try:
        async with aiohttp.ClientSession(
            base, cookie_jar=jar, connector=aiohttp.TCPConnector(ssl=False)
        ) as http:
            me = await _post(http, "/fanlight/guest", {"share": token})
            joined = await _post(http, f"/fanlight/sessions/{me['session']}/watch", {})
            async with http.ws_connect(joined["url"]) as socket:
                control = peer.createDataChannel("control")
                control.on("open", opened.set)
                if noticed:
                    control.on("message", functools.partial(_notice, noticed))
                if frame_sent:
                    _hear_of_frames(control, frame_sent)
                await negotiate(socket, peer)
                await sink.start()
                async with asyncio.timeout(15):
                    await connected.wait()
                    if noticed:
                        await opened.wait()
                yield peer
    finally:
        await sink.stop()
        await peer.close()


def _notice(noticed: Callable[[str], None], text: str) -> None:
    message = json.loads(text)
    if message["type"] == "fanlight::notice":
        noticed(json.loads(message["data"])["text"])


def _hear_of_frames(control: RTCDataChannel, frame_sent: Callable[[FrameRow], None]) -> None:
    def heard(text: str) -> None:
        message = json.loads(text)
        if message["type"] == "fanlight::frames":
            for row in json.loads(message["data"])["frames"]:
                frame_sent(row)

    control.on("message", heard)
    control.on("open", lambda: control.send('{"type": "fanlight::timing", "data": {"on": true}}'))


async def _post(http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> Any:
    async with http.post(path, json=body) as answer:
        assert answer.status == 200, f"{path}: {answer.status}: {await answer.text()}"
        return await answer.json()


async def negotiate(socket: aiohttp.ClientWebSocketResponse, peer: RTCPeerConnection) -> None:
    await socket.send_json({"type": "discover"})
    async for message in socket:
        data = json.loads(message.data)
        match data["type"]:
            case "resp:discover":
                await socket.send_json(
                    {
                        "type": "settings", "api_version": 2, "data_channels": [], "enable_speaker": True,
                        "enable_microphone": False, "enable_video": True, "enable_camera": False,
                    }
                )  # fmt: skip
            case "offer":
                sdp = base64.b64decode(data["sdp"]).decode()
                await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
                await peer.setLocalDescription(await peer.createAnswer())
                answer = base64.b64encode(peer.localDescription.sdp.encode()).decode()
                await socket.send_json({"type": "answer", "sdp": answer})
                return
            case "error" | "fanlight::end":
                raise AssertionError(f"refused: {data}")
