"""What is changed of aioice: its privates are touched here and in aioice_consent.py, each with a test."""

import asyncio
import base64
import functools
import hmac
import ipaddress
import logging
import os
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import aioice.candidate
import aioice.ice
from aioice import Candidate, stun
from aioice.candidate import candidate_foundation, candidate_priority

from appliance.streamer.addresses import KnownAddresses, LookUp
from appliance.streamer.aioice_consent import ConsentingConnection
from appliance.streamer.mux import Channel, Mux
from appliance.streamer.ports import LOOPBACK, tune

logger = logging.getLogger(__name__)

_CHECK_SECONDS = 0.02  # as aioice paces its checks
_GATHER_SECONDS = 2
_UFRAG_CHARACTERS = 8  # all viewers' share one table: the 4 of aioice might meet in it
_SECOND_PREFERENCE = 65534  # next to aioice's 65535
_SILENT_SECONDS = 600  # for so long a TURN server that did not answer is asked after the others
_ADDRESSES_KNOWN = 256  # every pair of candidates has them read again
_EMPTY_REPORT, _EMPTY_BYTES = b"\x80\xc9\0\1", 28
"""A receiver report on nothing (RFC 3550 section 6.4.2): of a still screen Chromium sends two a second.
What is longer, with the index and tag of SRTP, asks for something behind it."""
_STUN_LAST, _SRTP = b"\3", range(128, 192)
"""First bytes (RFC 7983 section 7): aioice would try to read everything as STUN."""
_NO_ADDRESS = (ValueError, OverflowError, LookupError)
"""What the system says of a host or a port that cannot be one."""
_MALFORMED = (struct.error, LookupError, AssertionError)


class _SharedProtocol(aioice.ice.StunProtocol):
    """An ICE agent's end of a shared socket; tells it where the agent's peer was proved to be."""

    transport: Channel
    receiver: "Connection"

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:  # type: ignore[override]
        if data[:4] == _EMPTY_REPORT and len(data) <= _EMPTY_BYTES:
            self.receiver.heard_at = time.monotonic()
            return
        if data[:1] > _STUN_LAST:
            self.receiver.data_received(data, self.local_candidate.component)
            return
        try:
            super().datagram_received(data, addr)
        except _MALFORMED as exc:
            logger.debug("malformed STUN from %s: %r", addr, exc)

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        if message.message_class == stun.Class.RESPONSE:  # only who knew our password gets one
            self.transport.learn(addr)
        super().send_stun(message, addr)

    async def request(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        with self.transport.asking(request.transaction_id):
            response, origin = await super().request(request, addr, integrity_key, retransmissions)
        if integrity_key is not None:
            self.transport.learn(origin)
        return response, origin


class Connection(ConsentingConnection):
    """Gathers on the port of `mux`, or, without one, on ports of its own; waits less for dead servers.

    Each of `turn_servers` is what aioice calls turn_server, turn_ssl, turn_transport, turn_username and
    turn_password, of which it knows but one.
    """

    _silent: ClassVar[dict[tuple[Any, str], float]] = {}
    """TURN servers, and when they did not answer."""

    def __init__(
        self,
        mux: Mux | None = None,
        local_username: str | None = None,
        turn_servers: Sequence[Mapping[str, Any]] = (),
        **options: Any,
    ) -> None:
        super().__init__(local_username=local_username or _random(_UFRAG_CHARACTERS), **options)
        self.turn_servers = turn_servers
        self.on_srtp: Callable[[bytes], None] | None = None
        """Takes in media and RTCP as they come, instead of whoever reads what was received."""
        self._mux = mux
        self._pace: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes, component: int) -> None:
        """Media, feedback, messages. Who sends nothing is not heard: aiortc would end over the first byte."""
        if data:
            self.heard_at = time.monotonic()
            if self.on_srtp and data[0] in _SRTP:
                self.on_srtp(data)
            else:
                super().data_received(data, component)

    async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
        """One that names no place is left out: sending there would close the socket, which is everybody's."""
        if remote_candidate is None or _is_place(remote_candidate):
            await super().add_remote_candidate(remote_candidate)
        else:
            logger.debug("no place: %s port %d", ascii(remote_candidate.host), remote_candidate.port)

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = _GATHER_SECONDS,  # noqa: ASYNC109 - aioice names it
    ) -> list[Candidate]:
        if not self.turn_servers:
            return await self._direct(component, addresses, timeout)
        async with asyncio.TaskGroup() as group:
            relayed = group.create_task(self._relayed(component, timeout))
            direct = await self._direct(component, addresses, timeout)
        return [*direct, *relayed.result()]

    async def _direct(self, component: int, addresses: list[str], seconds: int) -> list[Candidate]:
        if self._mux is not None and addresses:
            return await self._on_shared_port(self._mux, component, addresses, seconds)
        candidates = await super().get_component_candidates(component, addresses, seconds)
        for protocol in self._protocols:
            if found := protocol.transport.get_extra_info("socket"):
                tune(found)
        return candidates

    async def _on_shared_port(
        self, mux: Mux, component: int, addresses: list[str], seconds: float
    ) -> list[Candidate]:
        hosts = await mux.attach(addresses, self.local_username, lambda: _SharedProtocol(self))
        self._protocols += hosts
        for protocol in hosts:
            host, port = protocol.transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = _host_candidate(component, host, port)
        candidates = [protocol.local_candidate for protocol in hosts]
        if any(_version(each.host) == _version(mux.external) for each in candidates):
            candidates.append(_host_candidate(component, mux.external, mux.port, _SECOND_PREFERENCE))
        if self.stun_server is None:
            return candidates
        async with asyncio.TaskGroup() as group:
            mapped = [group.create_task(self._reflexive(each, seconds)) for each in hosts]
        return [*candidates, *(found for task in mapped for found in task.result())]

    async def _relayed(self, component: int, seconds: float) -> list[Candidate]:
        """Of the first TURN server that answers: where UDP is blocked, TCP or TLS may pass."""
        for server in sorted(self.turn_servers, key=self._fell_silent):
            try:
                async with asyncio.timeout(seconds):
                    candidate, protocol = await aioice.ice.relayed_candidate(
                        component=component,
                        hide_related_address=False,
                        protocol_factory=lambda: aioice.ice.StunProtocol(self),
                        **server,
                    )
            except (stun.TransactionError, OSError, TimeoutError, *_NO_ADDRESS) as exc:
                logger.info("no relay of TURN server %s:%d: %r", *server["turn_server"], exc)
                self._silent[server["turn_server"], server["turn_transport"]] = time.monotonic()
            else:
                self._protocols.append(protocol)
                return [candidate]
        return []

    def _fell_silent(self, server: Mapping[str, Any]) -> bool:
        then = self._silent.get((server["turn_server"], server["turn_transport"]))
        return then is not None and time.monotonic() - then < _SILENT_SECONDS

    def _check_periodic(self) -> bool:
        """Start checks at aioice's pace, on a timer: its `connect` would sleep through their success."""
        more = self._pace is not None or self._start_checks()
        return more and not self._check_list

    def _start_checks(self) -> bool:
        more = super()._check_periodic()
        self._pace = (
            asyncio.get_running_loop().call_later(_CHECK_SECONDS, self._start_checks) if more else None
        )
        return more

    async def _reflexive(self, protocol: _SharedProtocol, seconds: float) -> Iterable[Candidate]:
        """What the STUN server sees of the shared port; aioice asks it for IPv4 only."""
        if self.stun_server is None or _version(protocol.local_candidate.host) != 4:
            return ()
        try:
            async with asyncio.timeout(seconds):
                return (await aioice.ice.server_reflexive_candidate(protocol, self.stun_server))[:1]
        except (stun.TransactionError, OSError, TimeoutError, LookupError) as exc:
            logger.debug("%s: no answer of the STUN server: %r", protocol.local_candidate.host, exc)
            return ()


def install() -> None:
    """Change what aioice does for the whole process; to be called once."""
    ice = vars(aioice.ice)
    ice["random_string"] = _random
    read = functools.lru_cache(_ADDRESSES_KNOWN)(ipaddress.ip_address)
    vars(aioice.candidate)["ipaddress"] = SimpleNamespace(ip_address=read)
    vars(stun)["ipaddress"] = SimpleNamespace(
        ip_address=read, IPv4Address=ipaddress.IPv4Address, IPv6Address=ipaddress.IPv6Address
    )
    vars(stun)["message_integrity"] = _integrity
    ice["get_host_addresses"] = functools.partial(
        _host_addresses, original=KnownAddresses(ice["get_host_addresses"])
    )


def _integrity(data: bytes, key: bytes) -> bytes:
    """MESSAGE-INTEGRITY (RFC 8489 section 14.5), in one call of OpenSSL."""
    length = len(data) - stun.HEADER_LENGTH + stun.INTEGRITY_LENGTH
    return hmac.digest(key, stun.set_body_length(data, length), "sha1")


def _random(length: int) -> str:
    """What a name or a password may be (RFC 8839 section 5.4), with one question to the system."""
    return base64.b64encode(os.urandom(length)).decode()[:length]


def host_addresses() -> list[str]:
    """What aioice gathers candidates on."""
    return aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)


def _host_addresses(use_ipv4: bool, use_ipv6: bool, original: LookUp) -> list[str]:
    """A machine without any network still serves its own browser."""
    return original(use_ipv4, use_ipv6) or [LOOPBACK]


def _host_candidate(component: int, host: str, port: int, preference: int = 65535) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host", preference),
        host=host,
        port=port,
        type="host",
    )


def _is_place(candidate: Candidate) -> bool:
    """The zone of an IPv6 address means something on the machine that has it alone (RFC 4007 section 6)."""
    return 0 < candidate.port < 1 << 16 and candidate.host.isascii() and "%" not in candidate.host


def _version(address: str) -> int:
    """4 or 6; 0 of no address."""
    return (6 if ":" in address else 4) if address else 0
