"""A master with the habits of the Kinesis C SDK: port 443 of a name, and no port in anything that it reads.

`python -m tests.support.c_sdk HOST CA CHANNEL`, with the access key in the environment. It says on standard
output how far it got, and ends when the service has closed its socket.
"""

import asyncio
import base64
import json
import os
import ssl
import struct
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from tests.support.kvs import Peer, presigned

REGION = "us-west-2"
AGENT = "AWS-WEBRTC-KVS-AGENT/1.10.2 GCC/12.2.0 Linux/6.1.0 x86_64"
CLIENT = "ProducerMaster"
TOKENS_MOST, SCRATCH_BYTES = 100, 10 * 1024
URIS_MOST, URI_CHARACTERS, NAME_CHARACTERS, ENDPOINT_CHARACTERS = 4, 256, 256, 512
MESSAGE_CHARACTERS = 18750
_TEXT, _CLOSE = 1, 8


class UnknownChannelError(Exception):
    """404, after which the SDK makes the channel."""


class Signature(SigV4Auth):
    """Over the three headers that this SDK signs."""

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        signed = HTTPHeaders()
        signed["host"] = host_of(request.url)
        signed["user-agent"] = AGENT
        signed["x-amz-date"] = request.headers["X-Amz-Date"]
        return signed


@dataclass
class Service:
    """HTTPS as libwebsockets speaks it: one request on each connection, and its body in one piece."""

    key: dict[str, str]
    tls: ssl.SSLContext

    async def call(self, origin: str, path: str, body: dict[str, Any]) -> Any:
        """What is answered. Raises UnknownChannelError."""
        host, text = host_of(origin), json.dumps(body, indent="\t").encode()
        head, content = await self._exchange(host, self._signed(host, path, text), text)
        status, headers = int(head[0].split()[1]), dict(line.lower().split(": ", 1) for line in head[1:])
        assert head[0].startswith("HTTP/1.1 "), head[0]
        assert "transfer-encoding" not in headers, "the SDK keeps the last chunk alone"
        assert int(headers["content-length"]) == len(content) < SCRATCH_BYTES
        assert "date" in headers, "the SDK sets its clock by it"
        if status == 404:
            raise UnknownChannelError(headers["x-amzn-errortype"])
        assert status == 200, content
        answer = json.loads(content)
        assert tokens(answer) <= TOKENS_MOST
        return answer

    def _signed(self, host: str, path: str, text: bytes) -> str:
        request = AWSRequest("POST", f"https://{host}{path}", data=text, headers={"user-agent": AGENT})
        Signature(Credentials(*self.key.values()), "kinesisvideo", REGION).add_auth(request)
        headers = {"Host": host, **request.headers, "content-type": "application/json"}
        headers["content-length"] = str(len(text))
        return "".join((f"POST {path} HTTP/1.1\r\n", *(f"{k}: {v}\r\n" for k, v in headers.items()), "\r\n"))

    async def _exchange(self, host: str, head: str, body: bytes) -> tuple[list[str], bytes]:
        reader, writer = await self.connect(host)
        writer.write(head.encode() + body)
        told = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        length = next(int(line.split(": ")[1]) for line in told if line.lower().startswith("content-length"))
        content = await reader.readexactly(length)
        writer.close()
        return told, content

    async def connect(self, host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """On the one port that the SDK knows."""
        reader, writer = await asyncio.open_connection(host, 443, ssl=self.tls, server_hostname=host)
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert chosen in (None, "http/1.1")
        return reader, writer


@dataclass
class Socket:
    """A WebSocket whose client reads text frames, and nothing else (RFC 6455)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, service: Service, endpoint: str, arn: str) -> "Socket":
        """Presigned; `wss` is the protocol that libwebsockets names."""
        url = urlsplit(presigned(service.key, endpoint, arn))
        reader, writer = await service.connect(host_of(endpoint))
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET {url.path}?{url.query} HTTP/1.1", f"Host: {url.hostname}", f"User-Agent: {AGENT}",
            "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Protocol: wss", "Sec-WebSocket-Version: 13", "", "",
        )  # fmt: skip
        writer.write("\r\n".join(head).encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answer.startswith("HTTP/1.1 101 "), answer
        return cls(reader, writer)

    async def next(self) -> dict[str, Any] | int:
        """The next message, or the code with which the service closes."""
        while True:
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server does not mask"
            size = second & 0x7F
            if size == 126:
                size = struct.unpack("!H", await self.reader.readexactly(2))[0]
            content = await self.reader.readexactly(size)
            if first & 0x0F == _CLOSE:
                return int(struct.unpack("!H", content[:2])[0])
            if first & 0x0F == _TEXT:
                assert first & 0x80
                assert size < MESSAGE_CHARACTERS
                found: dict[str, Any] = json.loads(content)
                return found

    def send(self, action: str, recipient: str, content: Any) -> None:
        """In the keys that this SDK writes."""
        payload = base64.b64encode(json.dumps(content).encode()).decode()
        fields = {"action": action, "RecipientClientId": recipient, "MessagePayload": payload}
        text = json.dumps(fields | {"CorrelationId": "1"}, indent="\t").encode()
        mask = os.urandom(4)
        masked = bytes(each ^ mask[place % 4] for place, each in enumerate(text))
        self.writer.write(bytes((0x80 | _TEXT, 0x80 | 126)) + struct.pack("!H", len(text)) + mask + masked)


def host_of(url: str) -> str:
    """The SDK takes what comes before `:` or `/`, and fails where that is a port."""
    assert len(url) <= ENDPOINT_CHARACTERS
    authority = url.split("://")[1].split("/")[0]
    assert ":" not in authority, f"{url}: STATUS_INTERNAL_ERROR"
    return authority


def tokens(found: Any) -> int:
    """As a parser with a table of fixed size counts them."""
    if isinstance(found, dict):
        return 1 + sum(1 + tokens(each) for each in found.values())
    return 1 + sum(map(tokens, found)) if isinstance(found, list) else 1


async def relays(service: Service, origin: str, arn: str) -> list[str]:
    """URIs of the first server, all of them within the tables of the SDK."""
    wish = {"ChannelARN": arn, "ClientId": CLIENT, "Service": "TURN"}
    (server,) = (await service.call(origin, "/v1/get-ice-server-config", wish))["IceServerList"]
    assert len(server["Uris"]) <= URIS_MOST
    assert all(len(each) < URI_CHARACTERS for each in server["Uris"])
    assert max(len(server["Username"]), len(server["Password"])) < NAME_CHARACTERS
    assert server["Ttl"] >= 30
    return list(server["Uris"])


async def call(socket: Socket, endpoint: str, arn: str, service: Service) -> None:
    """Answer one viewer, which is another SDK's."""
    connector = aiohttp.TCPConnector(ssl=service.tls)
    url = presigned(service.key, endpoint, arn, "v1")
    async with aiohttp.ClientSession(connector=connector) as http, http.ws_connect(url) as ws:
        viewer = Peer(ws)
        await viewer.send("SDP_OFFER", "offer")
        offer = await socket.next()
        assert isinstance(offer, dict)
        assert (offer["messageType"], offer["senderClientId"]) == ("SDP_OFFER", "v1")
        socket.send("SDP_ANSWER", "v1", "answer")
        assert await viewer.got() == ("SDP_ANSWER", "answer", None)


async def main(host: str, ca: str, channel: str) -> None:
    """From nothing to a call, and on until the service goes away."""
    tls = ssl.create_default_context(cafile=ca)
    tls.set_alpn_protocols(["http/1.1"])
    key = {name: os.environ[name.upper()] for name in ("aws_access_key_id", "aws_secret_access_key")}
    service, control = Service(key, tls), f"https://{host}"
    try:
        await service.call(control, "/describeSignalingChannel", {"ChannelName": channel})
    except UnknownChannelError:
        kind = {"ChannelType": "SINGLE_MASTER", "SingleMasterConfiguration": {"MessageTtlSeconds": 60}}
        await service.call(control, "/createSignalingChannel", {"ChannelName": channel, **kind})
    found = await service.call(control, "/describeSignalingChannel", {"ChannelName": channel})
    arn = found["ChannelInfo"]["ChannelARN"]
    endpoints = {}
    for role in ("VIEWER", "MASTER"):
        wish = {"Protocols": ["WSS", "HTTPS"], "Role": role}
        asked = {"ChannelARN": arn, "SingleMasterChannelEndpointConfiguration": wish}
        told = await service.call(control, "/getSignalingChannelEndpoint", asked)
        for each in told["ResourceEndpointList"]:
            host_of(each["ResourceEndpoint"])
            endpoints[each["Protocol"], role] = each["ResourceEndpoint"]
    origin = endpoints["HTTPS", "MASTER"]
    say(f"relays {await relays(service, origin, arn)}")
    socket = await Socket.open(service, endpoints["WSS", "MASTER"], arn)
    await call(socket, endpoints["WSS", "VIEWER"], arn, service)
    say("called")
    while isinstance(told := await socket.next(), dict):
        say(told["messageType"])
        if told["messageType"] == "RECONNECT_ICE_SERVER":
            say(f"relays {await relays(service, origin, arn)}")
    say(f"closed {told}")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
