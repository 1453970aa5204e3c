"""Legs that leave the process: daemon, gateway, certificate, bus, mDNS."""

import asyncio
import datetime as dt
import ipaddress
import re
import ssl
from pathlib import Path

import aiohttp
from cryptography import x509

from appliance.bus.connection import BusAddress, connect
from appliance.bus.external import external
from appliance.bus.server import kept_address
from appliance.config import Config
from appliance.control.snapshot import Part, Snapshot
from appliance.discovery.addresses import reachable_addresses
from appliance.discovery.browse import browse
from appliance.errors import UnavailableError
from appliance.verbs.proof import Check

_NOT_RUNNING = "the daemon does not run"
_START = "sudo systemctl start fanlight, or: fanlight run"
_MDNS_SECONDS = 3.0
_EXPIRES_SOON = dt.timedelta(days=3)


def daemon(snapshot: Snapshot | None, why: str) -> list[Check]:
    """The daemon and each of its parts, in its own words."""
    if snapshot is None:
        return [Check("daemon", False, why, _START)]
    box = snapshot.box
    logs = "journalctl -u fanlight -n 50"
    return [
        Check("daemon", True, f"{box.name}, version {box.version}, {box.health}"),
        *(
            Check(f"part {part.name}", part.ok, part.detail, "" if part.ok else logs)
            for part in snapshot.parts
        ),
    ]


async def gateway(config: Config, snapshot: Snapshot | None) -> Check:
    """GET /healthz of the gateway that this box uses."""
    name = "gateway"
    match config.gateway.mode:
        case "off":
            return Check(name, None, "no gateway in the configuration")
        case "embedded":
            if snapshot is None:
                return Check(name, None, _NOT_RUNNING)
            host, port = _local(config)
            base = f"{'http' if config.tls.mode == 'off' else 'https'}://{_authority(host)}:{port}"
            # Its certificate has a check of its own, and a CA that this process does not know.
            trust: ssl.SSLContext | bool = _blind()
        case "remote":
            if snapshot is None or not snapshot.box.urls:
                return Check(name, None, "its address is not known here" if snapshot else _NOT_RUNNING)
            # Whose certificate it is was checked when the box enrolled.
            base, trust = snapshot.box.urls[0].rstrip("/"), _blind()
    fix = _START if config.gateway.mode == "embedded" else f"curl -v {base}/healthz"
    try:
        async with aiohttp.ClientSession() as client, client.get(f"{base}/healthz", ssl=trust) as answer:
            ok = answer.status == 200
            return Check(name, ok, f"{base}/healthz answered {answer.status}", "" if ok else fix)
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        return Check(name, False, f"{base}: {exc or type(exc).__name__}", fix)


async def certificate(config: Config, snapshot: Snapshot | None) -> Check:
    """What the embedded gateway shows: valid today, and for every address of this machine."""
    name = "certificate"
    if config.gateway.mode != "embedded" or config.tls.mode == "off":
        return Check(name, None, "none is served here")
    if snapshot is None:
        return Check(name, None, _NOT_RUNNING)
    _, writer = await asyncio.open_connection(*_local(config), ssl=_blind())
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    own = "renew the files in [tls]" if config.tls.mode == "files" else "sudo systemctl restart fanlight"
    return _judge(x509.load_der_x509_certificate(der), await asyncio.to_thread(reachable_addresses), own)


def _judge(leaf: x509.Certificate, addresses: tuple[str, ...], fix: str) -> Check:
    name, now = "certificate", dt.datetime.now(dt.UTC)
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begins:
        return Check(
            name, False, f"not valid before {begins:%Y-%m-%d %H:%M}", "sudo timedatectl set-ntp true"
        )
    if now + _EXPIRES_SOON > ends:
        return Check(name, False, f"ends {ends:%Y-%m-%d %H:%M}", fix)
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Check(name, False, "it names no host at all", fix)
    named = set(names.get_values_for_type(x509.IPAddress))
    if missing := [each for each in addresses if ipaddress.ip_address(each) not in named]:
        return Check(name, False, f"it lacks {', '.join(missing)}: browsers there will warn", fix)
    return Check(name, True, f"valid until {ends:%Y-%m-%d}, for all addresses")


async def bus(config: Config, state_dir: Path, snapshot: Snapshot | None) -> Check:
    """Connect to NATS; where only the daemon may, it is asked."""
    if config.bus.mode == "external":
        fix = "check [bus] url and credentials, and that nats-server runs there"
        return await _connected(external(config.bus), fix)
    if snapshot is None:
        return Check("NATS", None, _NOT_RUNNING)
    elsewhere = config.gateway.mode == "remote"
    if not elsewhere and (address := await asyncio.to_thread(kept_address, state_dir)):
        return await _connected(address, "journalctl -u fanlight -n 50")
    part = _part(snapshot, "bus")
    if part is None:
        return Check("NATS", None, "the daemon says nothing of it")
    return Check("NATS", part.ok, part.detail, "" if part.ok else _START)


async def _connected(address: BusAddress, fix: str) -> Check:
    try:
        async with connect(address, name="fanlight doctor"):
            return Check("NATS", True, str(address))
    except UnavailableError as exc:
        return Check("NATS", False, _without_user(str(exc)), fix)


async def discovery(config: Config, snapshot: Snapshot | None) -> Check:
    """Ask the network for boxes; this one must be among them."""
    name = "mDNS"
    if not config.discovery.enabled:
        return Check(name, None, "discovery is off")
    if config.gateway.mode != "embedded":
        return Check(name, None, "who has no door of its own is not advertised")
    if snapshot is None:
        return Check(name, None, _NOT_RUNNING)
    if _part(snapshot, "discovery") is None:
        return Check(name, None, "a gateway alone is advertised only with enabled = true in [discovery]")
    fix = "allow multicast and UDP 5353: sudo ufw allow 5353/udp"
    try:
        boxes = await browse(_MDNS_SECONDS)
    except UnavailableError as exc:
        return Check(name, False, str(exc), fix)
    if any(box.id == snapshot.box.id for box in boxes):
        return Check(name, True, f"found itself among {len(boxes)}")
    return Check(name, False, f"no answer to its own query within {_MDNS_SECONDS:.0f} s", fix)


def _part(snapshot: Snapshot, name: str) -> Part | None:
    return next((each for each in snapshot.parts if each.name == name), None)


def _without_user(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//", url)


def _local(config: Config) -> tuple[str, int]:
    host, port = config.gateway.address
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


def _authority(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _blind() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
