"""Boxes on the local network, by multicast DNS. What they say of themselves is not trusted."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from zeroconf import Error, InterfaceChoice, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from appliance.discovery.addresses import reachable_addresses
from appliance.errors import UnavailableError

logger = logging.getLogger(__name__)

SERVICE_TYPE = "_fanlight._tcp.local."
_RESOLVE_MS = 3000
_BOXES_MAX = 500


@dataclass(frozen=True, slots=True)
class Box:
    """One box as it advertises itself."""

    name: str
    id: str
    host: str
    addresses: tuple[str, ...]
    port: int
    url: str
    """The viewer page, by the first address."""
    txt: dict[str, str] = field(default_factory=dict)


async def browse(timeout_s: float) -> list[Box]:
    """All boxes that answer within `timeout_s`, by name. Raises UnavailableError without multicast."""
    found: tuple[Box, ...] = ()
    try:
        async with asyncio.timeout(timeout_s):
            async for boxes in watch():
                found = boxes
    except TimeoutError:
        pass
    return list(found)


async def watch() -> AsyncIterator[tuple[Box, ...]]:
    """Yield all boxes, by name, whenever one appears, changes or goes. Raises UnavailableError."""
    found = await asyncio.to_thread(reachable_addresses)
    version = IPVersion.All if any(":" in address for address in found) else IPVersion.V4Only
    try:
        network = AsyncZeroconf(interfaces=InterfaceChoice.All, ip_version=version)
    except (OSError, RuntimeError) as exc:
        raise UnavailableError(f"no multicast DNS on this machine: {exc}") from exc
    changes: asyncio.Queue[tuple[str, ServiceStateChange]] = asyncio.Queue(maxsize=_BOXES_MAX)

    def changed(
        zeroconf: Zeroconf,  # noqa: ARG001  (zeroconf calls with these names)
        service_type: str,  # noqa: ARG001
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if not changes.full():
            changes.put_nowait((name, state_change))

    boxes: dict[str, Box] = {}
    try:
        async with AsyncServiceBrowser(network.zeroconf, SERVICE_TYPE, handlers=[changed]):
            while True:
                name, change = await changes.get()
                before = boxes.get(name)
                if change is ServiceStateChange.Removed:
                    boxes.pop(name, None)
                elif (box := await _resolve(network, name)) and (len(boxes) < _BOXES_MAX or before):
                    boxes[name] = box
                if boxes.get(name) != before:
                    yield tuple(sorted(boxes.values(), key=lambda each: (each.name.lower(), each.id)))
    finally:
        await network.async_close()


async def _resolve(network: AsyncZeroconf, name: str) -> Box | None:
    try:
        info = AsyncServiceInfo(SERVICE_TYPE, name)
        if not await info.async_request(network.zeroconf, _RESOLVE_MS) or not info.port:
            return None
    except (Error, OSError) as exc:
        logger.debug("mDNS: %s: %s", name, exc or type(exc).__name__)
        return None
    return make_box(
        name.removesuffix(f".{SERVICE_TYPE}"),
        (info.server or "").rstrip("."),
        info.parsed_scoped_addresses(IPVersion.V4Only) + info.parsed_scoped_addresses(IPVersion.V6Only),
        info.port,
        {key: value or "" for key, value in info.decoded_properties.items()},
    )


def make_box(instance: str, host: str, addresses: list[str], port: int, texts: dict[str, str]) -> Box:
    """A Box of what came over the network: printable, and with a URL that leads to that host only."""
    txt = {_printable(key): _printable(value) for key, value in texts.items()}
    host, addresses = _printable(host), [_printable(address) for address in addresses]
    at = addresses[0] if addresses else host
    path = txt.get("path", "")
    scheme = "https" if txt.get("fp") else "http"
    return Box(
        name=txt.get("name") or _printable(instance),
        id=txt.get("id", ""),
        host=host,
        addresses=tuple(addresses),
        port=port,
        url=f"{scheme}://{f'[{at}]' if ':' in at else at}:{port}{path if path.startswith('/') else '/'}",
        txt=txt,
    )


def _printable(text: str) -> str:
    """Without control characters: names of strangers reach terminals."""
    return "".join(letter for letter in text if letter.isprintable())
