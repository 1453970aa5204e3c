"""A STUN and TURN client that takes one leg after the other: the one that fails has a name (RFC 8656)."""

import asyncio
import contextlib
import functools
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, cast

from aioice import stun, turn

_URL = re.compile(
    r"^(?P<scheme>stun|turns?):(?P<host>\[[^\]]+\]|[^:?]+)(:(?P<port>\d+))?(\?transport=(?P<via>udp|tcp))?$"
)
_LIFETIME_SECONDS, _CHANNEL_REFRESH_SECONDS = 600, 500
_FIRST_CHANNEL = 0x4000
_CONNECT_SECONDS, _AGAIN_SECONDS = 4.0, 0.25
_PING, _PONG = b"fanlight ping", b"fanlight pong"

Address: TypeAlias = tuple[str, int]
Send: TypeAlias = Callable[[bytes, Address], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Server:
    """Where a `stun:`, `turn:` or `turns:` URL leads to (RFC 7064, RFC 7065)."""

    host: str
    port: int
    transport: str
    secure: bool

    @classmethod
    def of(cls, url: str) -> "Server | None":
        """None where `url` is none of these."""
        if not (found := _URL.match(url)):
            return None
        secure = found["scheme"] == "turns"
        return cls(
            host=found["host"].strip("[]"),
            port=int(found["port"] or (5349 if secure else 3478)),
            transport=found["via"] or ("tcp" if secure else "udp"),
            secure=secure,
        )

    def __str__(self) -> str:
        return f"{self.transport.upper()} {self.port} of {self.host}"


class _Asker(asyncio.DatagramProtocol):
    """Waits for the answer to one STUN request."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Address] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Address) -> None:  # noqa: ARG002  (asyncio's signature)
        try:
            mapped = stun.parse_message(data).attributes.get("XOR-MAPPED-ADDRESS")
        except ValueError:
            return
        if mapped and not self.answer.done():
            self.answer.set_result(mapped[:2])

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def binding(server: Server) -> Address:
    """How the STUN server sees us. Never returns where nothing answers; raises OSError."""
    transport, asker = await asyncio.get_running_loop().create_datagram_endpoint(
        _Asker, remote_addr=(server.host, server.port)
    )
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    try:
        while True:
            transport.sendto(bytes(request))
            done, _ = await asyncio.wait((asker.answer,), timeout=_AGAIN_SECONDS)
            if done:
                return asker.answer.result()
    finally:
        transport.close()


class _Datagrams(turn.TurnClientUdpProtocol):
    """Notes that the other machine said that nobody listens there (ICMP)."""

    unheard = False

    def error_received(self, exc: Exception) -> None:
        self.unheard = self.unheard or isinstance(exc, ConnectionRefusedError)


class _End(asyncio.DatagramProtocol):
    """One end of the way through the relay: hands on what comes in, with the means to answer it."""

    def __init__(self, heard: "asyncio.Queue[tuple[Send, bytes, Address]]", send: Send | None = None) -> None:
        self._heard = heard
        self._send = send

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        datagrams = cast("asyncio.DatagramTransport", transport)

        async def send(data: bytes, address: Address) -> None:
            datagrams.sendto(data, address)

        self._send = send

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self._send:
            self._heard.put_nowait((self._send, data, addr))


class TurnClient:
    """Connected to a TURN server: `allocate`, then `permit`, then `round_trip`."""

    def __init__(self, client: turn.TurnClientProtocol) -> None:
        self._client = client
        self._channels = iter(range(_FIRST_CHANNEL, turn.CHANNEL_NUMBER_MAX))
        self.relayed: Address = ("", 0)

    @property
    def unheard(self) -> bool:
        """Whether the other machine said that nobody listens there."""
        return isinstance(self._client, _Datagrams) and self._client.unheard

    @property
    def asked_for_credentials(self) -> bool:
        """Whether the server wanted to know who we are."""
        return self._client.integrity_key is not None

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """Ours as this machine and as the server see it."""
        own = self._client.transport.get_extra_info("sockname")[0]
        seen = self._client.mapped_address
        return tuple(dict.fromkeys((own, seen[0] if seen else own)))

    async def allocate(self) -> None:
        """Set `relayed`. Raises stun.TransactionFailed with the server's reason."""
        self.relayed = await self._client.connect()

    async def permit(self, address: Address) -> None:
        """Let `address` and the relay hear each other. Raises stun.TransactionFailed."""
        channel = next(self._channels)
        await self._client.channel_bind(channel, address)
        self._client.channel_to_peer[channel] = address
        self._client.peer_to_channel[address] = channel
        self._client.channel_refresh_at[channel] = time.time() + _CHANNEL_REFRESH_SECONDS

    async def round_trip(self) -> float:
        """Seconds from a socket here through the relay and back. Never returns where nothing comes through.

        Both ends begin, as in ICE: a router in between may let only one of them.
        """
        heard: asyncio.Queue[tuple[Send, bytes, Address]] = asyncio.Queue()
        self._client.receiver = _End(heard, self._client.send_data)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            functools.partial(_End, heard), local_addr=(self.own_addresses[0], 0)
        )
        near = (self.own_addresses[0], transport.get_extra_info("sockname")[1])
        refused: list[stun.TransactionFailed] = []
        permitted = 0
        try:
            for each in self.own_addresses:
                try:
                    await self.permit((each, near[1]))
                    permitted += 1
                except stun.TransactionFailed as exc:
                    refused.append(exc)
            if not permitted:
                raise refused[0]
            while True:
                began = time.monotonic()
                transport.sendto(_PING, self.relayed)
                if near in self._client.peer_to_channel:
                    await self._client.send_data(_PING, near)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_SECONDS):
                        await _until_pong(heard)
                        return time.monotonic() - began
        finally:
            transport.close()


async def _until_pong(heard: "asyncio.Queue[tuple[Send, bytes, Address]]") -> None:
    while True:
        send, data, sender = await heard.get()
        if data == _PONG:
            return
        await send(_PONG, sender)


@contextlib.asynccontextmanager
async def turn_client(
    server: Server, username: str, password: str, trust: ssl.SSLContext
) -> AsyncIterator[TurnClient]:
    """Connect; the allocation ends with the block. Raises OSError, ssl.SSLError."""
    address, loop = (server.host, server.port), asyncio.get_running_loop()
    options = (address, username, password, _LIFETIME_SECONDS, _CHANNEL_REFRESH_SECONDS)
    client: turn.TurnClientProtocol
    if server.transport == "tcp":
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, client = await loop.create_connection(
                lambda: turn.TurnClientTcpProtocol(*options), *address, ssl=trust if server.secure else None
            )
    else:
        _, client = await loop.create_datagram_endpoint(lambda: _Datagrams(*options), remote_addr=address)
    try:
        yield TurnClient(client)
    finally:
        if client.relayed_address:
            await client.delete()
        client.transport.close()
