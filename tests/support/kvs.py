"""A client of the signaling sockets as AWS's SDKs are: URLs presigned by botocore, text frames of JSON."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.cloud import Cloud


def presigned(
    key: dict[str, str], endpoint: str, arn: str, client: str | None = None, expires: int = 299
) -> str:
    """The URL of a socket."""
    parameters = {"X-Amz-ChannelARN": arn} | ({} if client is None else {"X-Amz-ClientId": client})
    request = AWSRequest("GET", endpoint, params=parameters)
    credentials = Credentials(key["aws_access_key_id"], key["aws_secret_access_key"])
    SigV4QueryAuth(credentials, "kinesisvideo", "us-west-2", expires=expires).add_auth(request)
    return str(request.prepare().url)


@dataclass
class Peer:
    """One open socket."""

    ws: aiohttp.ClientWebSocketResponse

    async def send(self, action: str, content: Any = None, to: str = "", **more: Any) -> None:
        """Without `to`: to the master."""
        payload = base64.b64encode(json.dumps(content).encode()).decode()
        recipient = {"recipientClientId": to} if to else {}
        await self.ws.send_json({"action": action, "messagePayload": payload, **recipient, **more})

    async def next(self) -> dict[str, Any]:
        """The next message, its payload read."""
        async with asyncio.timeout(10):
            told: dict[str, Any] = json.loads(await self.ws.receive_str())
        if told.get("messagePayload"):
            told["messagePayload"] = json.loads(base64.b64decode(told["messagePayload"]))
        return told

    async def got(self) -> tuple[str, Any, str | None]:
        """Type, content and sender of the next message."""
        told = await self.next()
        return told["messageType"], told["messagePayload"], told.get("senderClientId")

    async def status(self, correlation: str) -> dict[str, Any]:
        """The status response, which must be the next message."""
        told = await self.next()
        assert (told["messageType"], told["statusResponse"]["correlationId"]) == (
            "STATUS_RESPONSE",
            correlation,
        )
        found: dict[str, Any] = told["statusResponse"]
        return found

    async def closed(self) -> int | None:
        """The close code, once everything before it was read."""
        async with asyncio.timeout(10):
            while not self.ws.closed:
                await self.ws.receive()
        return self.ws.close_code


class Watcher:
    """What the viewer of an SDK does, media through aiortc; it knows `codec` alone where one is named."""

    def __init__(self, peer: Peer, codec: str = "") -> None:
        self.peer = peer
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.video: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.connected = asyncio.Event()
        self.pc.on("track", self._take)
        self.pc.on("connectionstatechange", self._note)
        self.codec = codec

    def _take(self, track: Any) -> None:
        if track.kind == "video":
            self.video.set_result(track)

    async def call(self) -> None:
        """Offer, trickle, and take the answer."""
        channel: RTCDataChannel = self.pc.createDataChannel("kvsDataChannel")
        channel.on("message", self.told.put_nowait)
        video = self.pc.addTransceiver("video", direction="recvonly")
        if self.codec:
            known = RTCRtpSender.getCapabilities("video").codecs
            video.setCodecPreferences([each for each in known if each.name == self.codec])
        self.pc.addTransceiver("audio", direction="recvonly")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = self.pc.localDescription.sdp
        lines = [line for line in sdp.splitlines() if not line.startswith(("a=candidate", "a=end-of-cand"))]
        await self.peer.send("SDP_OFFER", {"type": "offer", "sdp": "\r\n".join((*lines, ""))})
        for line in sorted({line for line in sdp.splitlines() if line.startswith("a=candidate")}):
            content = {"candidate": line.removeprefix("a="), "sdpMid": "0", "sdpMLineIndex": 0}
            await self.peer.send("ICE_CANDIDATE", content)
        kind, content, sender = await self.peer.got()
        assert (kind, sender) == ("SDP_ANSWER", None)
        await self.pc.setRemoteDescription(RTCSessionDescription(**content))

    def _note(self) -> None:
        if self.pc.connectionState == "connected":
            self.connected.set()


@contextlib.asynccontextmanager
async def watching(http: aiohttp.ClientSession, url: str, codec: str = "") -> AsyncIterator[Watcher]:
    """A viewer of an instance by a presigned URL, once it has called."""
    async with http.ws_connect(url) as ws:
        watcher = Watcher(Peer(ws), codec)
        try:
            await watcher.call()
            yield watcher
        finally:
            await watcher.pc.close()


@dataclass
class Lobby:
    """A channel with its two endpoints, and one key."""

    key: dict[str, str]
    arn: str
    endpoints: dict[str, str]
    http: aiohttp.ClientSession

    def url(self, role: str, client: str | None = None, **more: Any) -> str:
        """Presigned."""
        return presigned(self.key, self.endpoints[role], self.arn, client, **more)

    @contextlib.asynccontextmanager
    async def master(self) -> AsyncIterator[Peer]:
        async with self.http.ws_connect(self.url("MASTER")) as ws:
            yield Peer(ws)

    @contextlib.asynccontextmanager
    async def viewer(self, client: str) -> AsyncIterator[Peer]:
        async with self.http.ws_connect(self.url("VIEWER", client)) as ws:
            yield Peer(ws)

    def watcher(self, client: str, codec: str = "") -> contextlib.AbstractAsyncContextManager[Watcher]:
        """A viewer of an instance, with media."""
        return watching(self.http, self.url("VIEWER", client), codec)

    async def refusal(self, url: str) -> tuple[int, str, str]:
        """See `refusal`."""
        return await refusal(self.http, url)


async def refusal(http: aiohttp.ClientSession, url: str) -> tuple[int, str, str]:
    """Status, error type and message of an upgrade that is refused."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
    }
    async with http.get(url.replace("ws", "http", 1), headers=headers) as answer:
        body = await answer.json()
        return answer.status, answer.headers["x-amzn-ErrorType"], body["message"]


@contextlib.asynccontextmanager
async def open_lobby(cloud: Cloud, name: str, key: dict[str, str] | None = None) -> AsyncIterator[Lobby]:
    """The channel `name`, made where it is not there yet."""
    key = key or await cloud.key("front")
    video = cloud.client(key)
    try:
        arn = (await video("describe_signaling_channel", ChannelName=name))["ChannelInfo"]["ChannelARN"]
    except video.client.exceptions.ResourceNotFoundException:
        arn = (await video("create_signaling_channel", ChannelName=name))["ChannelARN"]
    endpoints = {}
    for role in ("MASTER", "VIEWER"):
        asked = {"Protocols": ["WSS"], "Role": role}
        found = await video(
            "get_signaling_channel_endpoint", ChannelARN=arn, SingleMasterChannelEndpointConfiguration=asked
        )
        endpoints[role] = found["ResourceEndpointList"][0]["ResourceEndpoint"]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
        yield Lobby(key, arn, endpoints, http)
