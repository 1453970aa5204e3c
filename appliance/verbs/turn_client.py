"""A STUN and TURN client that takes one leg after the other: the one that fails has a name (RFC 8656)."""

import asyncio
import contextlib
import functools
import re
import socket
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
    def of(cls, url: str) -> "Server":
        """Raises ValueError where `url` is none of these."""
        if not (found := _URL.match(url)):
            raise ValueError(f"{url!r} is not the URL of a STUN or TURN server")
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
    """Connected to a TURN server: `allocate`, then `round_trip`."""

    def __init__(self, client: turn.TurnClientProtocol) -> None:
        self._client = client
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
        """Ours on the way to the relay: as this machine and, where that is another, as the server sees it."""
        own, (seen, _) = _way_to(self.relayed), self._client.mapped_address or ("", 0)
        return tuple(dict.fromkeys((own, seen))) if seen and (":" in seen) == (":" in own) else (own,)

    async def allocate(self) -> None:
        """Set `relayed`. Raises stun.TransactionFailed with the server's reason."""
        self.relayed = await self._client.connect()

    async def round_trip(self) -> float:
        """Seconds from a socket here through the relay and back. Never returns where nothing comes through.

        Both ends begin, as in ICE: a router in between may let only one of them. Raises
        stun.TransactionFailed where the server relays to none of our addresses.
        """
        heard: asyncio.Queue[tuple[Send, bytes, Address]] = asyncio.Queue()
        self._client.receiver = _End(heard, self._client.send_data)
        own = self.own_addresses
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            functools.partial(_End, heard), local_addr=(own[0], 0)
        )
        try:
            port = transport.get_extra_info("sockname")[1]
            permitted = await self._permitted([(each, port) for each in own])
            while True:
                began = time.monotonic()
                transport.sendto(_PING, self.relayed)
                for address in permitted:
                    await self._client.send_data(_PING, address)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_SECONDS):
                        await _until_pong(heard)
                        return time.monotonic() - began
        finally:
            transport.close()

    async def _permitted(self, addresses: list[Address]) -> list[Address]:
        """Those with which the relay may exchange anything from now on."""
        found, refused = [], None
        for each in addresses:
            try:
                await self._client.send_data(_PING, each)
                found.append(each)
            except stun.TransactionFailed as exc:
                refused = exc
        if refused and not found:
            raise refused
        return found


def _way_to(address: Address) -> str:
    """Our own address on the way to `address`; nothing is sent."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


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
