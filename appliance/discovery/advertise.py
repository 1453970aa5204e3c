"""The box on the network: one `_fanlight._tcp` service by multicast DNS (RFC 6762, RFC 6763)."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping

from zeroconf import Error, InterfaceChoice, IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from appliance.discovery import addresses

logger = logging.getLogger(__name__)

SERVICE_TYPE = "_fanlight._tcp.local."
_VALUE_BYTES = 230
"""RFC 6763 6.1: a string of a TXT record has at most 255 bytes, its key included."""
_LABEL_BYTES = 63
"""RFC 1035 2.3.4."""
_GOODBYE_SECONDS = 2.0


class Advertiser:
    """Advertises the gateway's port while served, and takes it back at the end.

    `texts` gives the TXT record as it should be now. `problem` says why nobody can find the box, and is empty
    where all is well.
    """

    def __init__(self, port: int, texts: Callable[[], Mapping[str, str]]) -> None:
        self._port = port
        self._texts = texts
        self._stale = asyncio.Event()
        self.problem = ""
        self.instance_name = ""
        """The name that was registered: another box of the same name makes it `name-2`."""

    def changed(self) -> None:
        """The texts may have changed: tell the network where they did."""
        self._stale.set()

    async def serve(self, started: asyncio.Event) -> None:
        """Advertise until cancelled. A machine without multicast is warned about once, and tried again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_addresses(), name="addresses")
            while True:
                self._stale.clear()
                try:
                    network = AsyncZeroconf(interfaces=InterfaceChoice.All, ip_version=await _ip_version())
                except (OSError, RuntimeError) as exc:
                    self._report(f"no multicast DNS: {exc}")
                    started.set()
                    await self._stale.wait()
                    continue
                try:
                    await self._advertise(network, started)
                finally:
                    await _close(network)

    async def _follow_addresses(self) -> None:
        async for _ in addresses.changes():
            self._stale.set()

    async def _advertise(self, network: AsyncZeroconf, started: asyncio.Event) -> None:
        """Register on `network`, then keep the record true; returns where it must begin anew."""
        info = await self._info(f"{_label(self._texts().get('name') or 'fanlight')}.{SERVICE_TYPE}")
        try:
            await network.async_register_service(info, allow_name_change=True)
        except (Error, OSError) as exc:
            self._report(f"not advertised: {exc or type(exc).__name__}")
            started.set()
            await self._stale.wait()
            return
        self._report("")
        self.instance_name = info.name.removesuffix(f".{SERVICE_TYPE}")
        logger.info("advertised as %r on %s", self.instance_name, ", ".join(info.parsed_addresses()))
        while True:
            started.set()
            await self._stale.wait()
            self._stale.clear()
            fresh = await self._info(info.name)
            try:
                if (fresh.text, fresh.parsed_addresses()) != (info.text, info.parsed_addresses()):
                    announced = await network.async_update_service(fresh)
                    # New interfaces are told what is registered by now, so the record goes first.
                    await network.async_update_interfaces()
                    await announced
                    logger.debug("advertised anew: %s", fresh.decoded_properties)
                else:
                    await network.async_update_interfaces()
            except (Error, OSError) as exc:
                logger.warning("mDNS: %s; advertising from the start", exc or type(exc).__name__)
                self._stale.set()
                return
            info = fresh

    async def _info(self, name: str) -> ServiceInfo:
        return ServiceInfo(
            SERVICE_TYPE,
            name,
            port=self._port,
            properties={key: _cut(value, _VALUE_BYTES) for key, value in self._texts().items()},
            server=f"{socket.gethostname().split('.')[0] or 'fanlight'}.local.",
            parsed_addresses=list(await asyncio.to_thread(addresses.reachable_addresses)),
        )

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            logger.warning("%s; the box is reached by its address only", problem)
        self.problem = problem


async def _ip_version() -> IPVersion:
    """Both families where this machine has an IPv6 address, else zeroconf finds no IPv6 to bind."""
    found = await asyncio.to_thread(addresses.reachable_addresses)
    return IPVersion.All if any(":" in address for address in found) else IPVersion.V4Only


async def _close(network: AsyncZeroconf) -> None:
    """Say goodbye (RFC 6762 10.1), even while being cancelled, but not for long."""
    try:
        # A task that is being cancelled gets no TimeoutError from Python 3.11.2's asyncio.timeout.
        await asyncio.wait_for(network.async_unregister_all_services(), _GOODBYE_SECONDS)
    except (TimeoutError, Error, OSError) as exc:
        logger.debug("no goodbye: %s", exc or type(exc).__name__)
    await network.async_close()


def _label(name: str) -> str:
    """`name` as one DNS label; room is left for the `-2` of a name that is taken."""
    return _cut(name.strip().rstrip("."), _LABEL_BYTES - 4) or "fanlight"


def _cut(text: str, size: int) -> str:
    """`text` in at most `size` bytes of UTF-8, never half a character."""
    return text.encode()[:size].decode(errors="ignore")
