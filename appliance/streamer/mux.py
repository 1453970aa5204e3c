"""One UDP port for all viewers of a streamer: a socket for each local address, and routes to who shares it.

A STUN request belongs to the ICE agent that its USERNAME names, an answer to the one that asked, everything
else to the one that was last proved to be at the sender's address. The rest is dropped, unanswered.
"""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

from appliance.bus.spec import StreamerSpec
from appliance.streamer import ports

logger = logging.getLogger(__name__)

Address = tuple[str, int]
R = TypeVar("R", bound=asyncio.DatagramProtocol)

_BACKLOG_BYTES = 1 << 20  # what may wait for a full socket; more would come too late
_ROUTES_MAX = 64  # of one viewer, so that nobody fills the table by changing ports
_HEADER, _COOKIE = 20, b"\x21\x12\xa4\x42"  # STUN, RFC 8489 section 5
_RESPONSE, _INDICATION = 0x0100, 0x0010
_USERNAME, _ATTRIBUTES_MAX = 0x0006, 16
_ATTRIBUTE = struct.Struct("!HH")


class Channel(asyncio.DatagramTransport):
    """What one ICE agent has of a shared socket: it sends through it, and gets what is routed to it."""

    def __init__(self, shared: "SharedSocket", ufrag: bytes, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__()
        self.ufrag = ufrag
        self.protocol = protocol
        self.addresses: dict[Address, None] = {}
        """Where the other side was proved to be, the latest last."""
        self._shared = shared
        self._closed = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send now, or soon where the socket is full; never wait."""
        if not self._closed:
            self._shared.send(data, addr)

    def learn(self, address: Address) -> None:
        """The other side is at `address`: it proved that by a message with our password or its own."""
        if not self._closed:
            self._shared.route(address, self)

    @contextlib.contextmanager
    def asking(self, transaction: bytes) -> Iterator[None]:
        """Meanwhile the answers to STUN request `transaction` come here."""
        with self._shared.asking(transaction, self):
            yield

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the shared socket: `socket`, `sockname`."""
        return self._shared.transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether nothing comes or goes any more."""
        return self._closed

    def close(self) -> None:
        """Give up all routes; the socket is not touched."""
        if not self._closed:
            self._closed = True
            self._shared.detach(self)
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """The same as `close`: nothing is kept back for this agent alone."""
        self.close()


class SharedSocket(asyncio.DatagramProtocol):
    """The socket of one local address, and its routing tables."""

    transport: asyncio.DatagramTransport

    def __init__(self) -> None:
        self.dropped = 0
        """Packets that belonged to nobody, or did not fit into a full socket."""
        self._agents: dict[bytes, Channel] = {}
        self._routes: dict[Address, Channel] = {}
        self._asked: dict[bytes, Channel] = {}
        self._full = False

    @property
    def idle(self) -> bool:
        """Whether no agent uses it."""
        return not self._agents

    def attach(self, ufrag: bytes, protocol: asyncio.DatagramProtocol) -> Channel:
        """Route what names `ufrag` to `protocol`."""
        channel = self._agents[ufrag] = Channel(self, ufrag, protocol)
        protocol.connection_made(channel)
        return channel

    def detach(self, channel: Channel) -> None:
        """Forget all that leads to `channel`."""
        for address in channel.addresses:
            del self._routes[address]
        channel.addresses.clear()
        if self._agents.get(channel.ufrag) is channel:
            del self._agents[channel.ufrag]

    def route(self, address: Address, channel: Channel) -> None:
        """Let what comes from `address` go to `channel` from now on."""
        if before := self._routes.get(address):
            del before.addresses[address]
        self._routes[address] = channel
        channel.addresses[address] = None
        if len(channel.addresses) > _ROUTES_MAX:
            oldest = next(iter(channel.addresses))
            del channel.addresses[oldest], self._routes[oldest]

    @contextlib.contextmanager
    def asking(self, transaction: bytes, channel: Channel) -> Iterator[None]:
        """Route answers to `transaction` to `channel` meanwhile."""
        self._asked[transaction] = channel
        try:
            yield
        finally:
            del self._asked[transaction]

    def send(self, data: Any, address: Address) -> None:
        """Send, unless so much waits already that it would come too late.

        To a port that is none asyncio would send nothing and end the socket, which is everybody's.
        """
        if self._full or not 0 < address[1] < 1 << 16:
            self.dropped += 1
        else:
            self.transport.sendto(data, address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio opened it."""
        self.transport = cast("asyncio.DatagramTransport", transport)
        cast("asyncio.WriteTransport", transport).set_write_buffer_limits(_BACKLOG_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        """asyncio closed it: so for all who use it."""
        for channel in list(self._agents.values()):
            channel.close()

    def pause_writing(self) -> None:
        """More waits for the network than could still be of use."""
        self._full = True

    def resume_writing(self) -> None:
        """Most of it is on its way."""
        self._full = False

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Find out whose it is."""
        origin: Address = addr[:2]
        if len(data) >= _HEADER and data[0] < 4 and data[4:8] == _COOKIE:  # RFC 7983
            channel = self._owner(data)
        else:
            channel = self._routes.get(origin)
        if channel is None:
            self.dropped += 1
        else:
            channel.protocol.datagram_received(data, origin)

    def error_received(self, exc: Exception) -> None:
        """One packet could not be sent: the network's trouble, which ICE notices by itself."""
        logger.debug("not sent: %s", exc)

    def _owner(self, message: bytes) -> Channel | None:
        kind = message[0] << 8 | message[1]
        if kind & _RESPONSE:
            return self._asked.get(message[8:_HEADER])
        return None if kind & _INDICATION else self._agents.get(named(message))


class Mux:
    """Port `port` of this machine's addresses; `external` is the address that a router forwards to it."""

    def __init__(self, port: int, external: str = "") -> None:
        self.port = port
        self.external = external
        self.sockets: dict[str, SharedSocket] = {}
        self._opening = asyncio.Lock()

    async def attach(self, addresses: Sequence[str], ufrag: str, protocol: Callable[[], R]) -> list[R]:
        """A new `protocol` for each of `addresses` that can be used; each is told its Channel."""
        async with self._opening:
            for gone in self.sockets.keys() - set(addresses) - {ports.LOOPBACK}:
                if self.sockets[gone].idle:
                    self.sockets.pop(gone).transport.close()
            for address in addresses:
                if address not in self.sockets or self.sockets[address].transport.is_closing():
                    try:
                        await self.serve(address, ports.bound(address, self.port))
                    except OSError as exc:
                        logger.warning("%s: UDP %d: %s", address, self.port, exc.strerror)
            # Nothing waits from here on: who is cancelled has either all of it or nothing.
            made = []
            for address in dict.fromkeys(addresses):
                if shared := self.sockets.get(address):
                    made.append(protocol())
                    shared.attach(ufrag.encode(), made[-1])
            return made

    async def serve(self, address: str, opened: socket.socket) -> None:
        """Take over the socket `opened`, which is that of `address`."""
        _, shared = await asyncio.get_running_loop().create_datagram_endpoint(SharedSocket, sock=opened)
        self.sockets[address] = shared

    def close(self) -> None:
        """Close all sockets."""
        for shared in self.sockets.values():
            shared.transport.abort()


@contextlib.asynccontextmanager
async def shared_port(wanted: range, addresses: Sequence[str], external: str = "") -> AsyncIterator[Mux]:
    """The first free port of `wanted` on loopback and all `addresses`; raises UnavailableError."""
    port, opened = ports.claim(wanted, addresses)
    mux = Mux(port, external)
    try:
        for address, each in opened.items():
            await mux.serve(address, each)
        yield mux
    finally:
        mux.close()


def media_port(
    spec: StreamerSpec, addresses: Sequence[str]
) -> contextlib.AbstractAsyncContextManager[Mux | None]:
    """The port that `spec` wants, on loopback and `addresses`; None where viewers have their own."""
    if not spec.udp_port:
        return contextlib.nullcontext()
    wanted = range(spec.udp_port, min(spec.udp_port + spec.udp_ports, 65536))
    return shared_port(wanted, addresses, spec.external_address)


def named(request: bytes) -> bytes:
    """The receiver's part of the USERNAME in a STUN message (RFC 8445 section 7.2.2); empty without one."""
    position = _HEADER
    for _ in range(_ATTRIBUTES_MAX):
        if position + _ATTRIBUTE.size > len(request):
            break
        kind, length = _ATTRIBUTE.unpack_from(request, position)
        position += _ATTRIBUTE.size
        if kind == _USERNAME:
            return request[position : position + length].partition(b":")[0]
        position += length + -length % 4
    return b""
