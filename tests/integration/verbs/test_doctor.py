"""The doctor at real legs: sockets, a NATS server, certificates, a whole run."""

import asyncio
import datetime as dt
import ipaddress
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.bus.server import EmbeddedServer
from appliance.config import BusSection, Config, IceSection
from appliance.control.schema import Box, Instance, InstanceStats, Part, Snapshot
from appliance.streamer.ports import claim
from appliance.verbs import doctor_ice
from appliance.verbs import doctor_network as network
from tests.support.ports import free_ports

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
RUNNING = Snapshot(
    box=Box(id="b0", name="desk", version="1", health="live", uptime_s=1),
    parts=[Part(name="bus", ok=False, detail="connection lost")],
)


def leaf(days: int, *addresses: str, begins_in: int = -1) -> x509.Certificate:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "desk")])
    hosts = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + dt.timedelta(days=begins_in))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("certificate", "ok", "words"),
    [
        (leaf(90, "10.0.0.7", "fd00::7"), True, "for all addresses"),
        (leaf(90, "10.0.0.7"), False, "lacks fd00::7"),
        (leaf(1, "10.0.0.7", "fd00::7"), False, "ends"),
        (leaf(90, "10.0.0.7", "fd00::7", begins_in=2), False, "not valid before"),
    ],
)
def test_a_certificate_is_judged_by_dates_and_addresses(
    certificate: x509.Certificate, ok: bool, words: str
) -> None:
    check = network._judge(certificate, ("10.0.0.7", "fd00::7"), "renew it")
    assert check.ok is ok
    assert words in check.detail
    assert ok or check.fix


def test_a_media_port_that_somebody_else_has() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        port = other.getsockname()[1]
        config = Config(ice=IceSection(udp_port=port))
        taken = doctor_ice.ice_port(config, None)
        assert taken.ok is False
        assert str(port) in taken.fix
    assert doctor_ice.ice_port(config, None).ok


@pytest.mark.parametrize(
    ("offset", "ok", "words"),
    [
        (0, True, "instances use UDP {port}"),
        (1, True, "; UDP {port} is somebody else's"),
        (None, None, "maybe by an instance that starts"),
    ],
)
def test_a_media_port_that_our_own_streamer_has(offset: int | None, ok: bool | None, words: str) -> None:
    config = Config(ice=IceSection(udp_port=free_ports(1).start))
    port, opened = claim(range(config.ice.udp_port, config.ice.udp_port + 1), [])
    stats = None if offset is None else InstanceStats(instance="i1", udp_port=port + offset)
    ours = Instance(id="i1", application="desktop", state="running", stats=stats)
    check = doctor_ice.ice_port(config, RUNNING.model_copy(update={"instances": [ours]}))
    for each in opened.values():
        each.close()
    assert check.ok is ok
    assert words.format(port=port) in check.detail


async def test_an_external_bus_is_connected_to(tmp_path: Path) -> None:
    server, started = EmbeddedServer(tmp_path), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(started))
        await asyncio.wait_for(started.wait(), 10)
        address = server.address
        url = address.url.replace("//", f"//{address.user}:{address.password}@")
        check = await network.bus(Config(bus=BusSection(mode="external", url=url)), None)
        serving.cancel()
    assert check.ok, check
    assert address.password not in str(check)


async def test_the_embedded_bus_is_what_the_daemon_says() -> None:
    assert (await network.bus(Config(), None)).ok is None
    check = await network.bus(Config(), RUNNING)
    assert (check.ok, check.detail) == (False, "connection lost")


async def test_a_gateway_that_does_not_answer() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        config = Config.model_validate({"gateway": {"listen": f"127.0.0.1:{closed.getsockname()[1]}"}})
        check = await network.gateway(config, RUNNING)
    assert check.ok is False
    assert check.fix
    assert (await network.gateway(config, None)).ok is None


def test_a_whole_run_without_a_daemon(tmp_path: Path) -> None:
    """In a network namespace of its own: nothing here is asked on this machine's network."""
    directories = ["--state-dir", str(tmp_path), "--runtime-dir", str(tmp_path)]
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "appliance", "doctor", *directories],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 1, done.stderr
    assert "encoder x264 H264 (pyav)" in done.stdout
    assert "daemon: no daemon answers at" in done.stdout
    assert "fix: sudo systemctl start fanlight, or: fanlight run" in done.stdout
