"""The doctor at real legs: sockets, a NATS server, certificates, a whole run."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.bus.server import EmbeddedServer, Listen
from appliance.config import BusSection, Config, IceSection
from appliance.control.snapshot import Box, Instance, InstanceStats, Part, Snapshot
from appliance.gatewayd import GatewayDaemon
from appliance.logs import RingBuffer
from appliance.streamer.ports import claim
from appliance.verbs import doctor, doctor_ice
from appliance.verbs import doctor_network as network
from appliance.verbs.doctor_machine import run_legs
from appliance.verbs.doctor_user import daemons_user, tried_as
from appliance.verbs.proof import Check
from tests.support.gateway import serving
from tests.support.ports import free_ports
from tests.support.turn import certificate

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
NOBODY = NOGROUP = 65534
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
        port = free_ports(8).start
        other.bind(("", port))
        config = Config(ice=IceSection(udp_port=port))
        taken = doctor_ice.ice_port(config, None)
        assert taken.ok is False
        assert str(port) in taken.fix
        assert taken.detail.startswith(f"UDP {port}: Address already in use; UDP {port + 1} to ")
    assert doctor_ice.ice_port(config, None).ok


@pytest.mark.parametrize(
    ("offset", "ok", "words"),
    [
        (0, True, "instances use UDP {port}; UDP {next} to {last} can be opened"),
        (8, False, "UDP {port}: Address already in use; instances use UDP {away}; UDP {next} to {last} can"),
        (
            None,
            None,
            "UDP {next} to {last} can be opened; UDP {port} is taken, maybe by an instance that starts",
        ),
    ],
)
def test_a_media_port_that_our_own_streamer_has(offset: int | None, ok: bool | None, words: str) -> None:
    config = Config(ice=IceSection(udp_port=free_ports(8).start))
    port, opened = claim(range(config.ice.udp_port, config.ice.udp_port + 1), [])
    stats = None if offset is None else InstanceStats(instance="i1", udp_port=port + offset)
    ours = Instance(id="i1", application="desktop", state="running", stats=stats)
    check = doctor_ice.ice_port(config, RUNNING.model_copy(update={"instances": [ours]}))
    for each in opened.values():
        each.close()
    assert check.ok is ok
    assert words.format(port=port, next=port + 1, last=port + 7, away=port + 8) in check.detail


def test_every_media_port_of_the_box_is_tried() -> None:
    first = free_ports(8).start
    config = Config(ice=IceSection(udp_port=first))
    with contextlib.ExitStack() as others:
        for offset in (2, 3, 5):
            other = others.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            other.bind(("127.0.0.1", first + offset))
        check = doctor_ice.ice_port(config, None)
    assert check.ok is False
    assert f"UDP {first + 2} to {first + 3}, {first + 5}: Address already in use" in check.detail
    assert doctor_ice.ice_port(config, None).detail == f"UDP {first} to {first + 7} can be opened"
    alone = Config(ice=IceSection(udp_port=65535))
    assert doctor_ice.ice_port(alone, None).detail == "UDP 65535 can be opened"
    anywhere = Config(ice=IceSection(udp_port=0))
    assert doctor_ice.ice_port(anywhere, None).detail == "any UDP port can be opened"


async def test_an_external_bus_is_connected_to(tmp_path: Path) -> None:
    server, started = EmbeddedServer(tmp_path), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(started))
        await asyncio.wait_for(started.wait(), 10)
        address = server.address
        url = address.url.replace("//", f"//{address.user}:{address.password}@")
        check = await network.bus(Config(bus=BusSection(mode="external", url=url)), tmp_path, None)
        serving.cancel()
    assert check.ok, check
    assert address.password not in str(check)


@pytest.mark.parametrize("secure", [False, True])
async def test_the_embedded_bus_is_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    listen = Listen("127.0.0.1", 0, *certificate(tmp_path, "127.0.0.1")) if secure else None
    server = EmbeddedServer(tmp_path, listen)
    async with serving(server):
        check = await network.bus(Config(), tmp_path, RUNNING)
        assert (check.ok, check.detail) == (True, server.address.url)
    monkeypatch.setattr("appliance.bus.connection._CONNECT_SECONDS", 1)
    check = await network.bus(Config(), tmp_path, RUNNING)
    assert check.ok is False
    assert check.fix
    assert server.address.password not in str(check)


@pytest.mark.parametrize("mode", ["embedded", "remote"])
async def test_a_bus_that_only_the_daemon_may_use_is_what_it_says(tmp_path: Path, mode: str) -> None:
    config = Config.model_validate({"gateway": {"mode": mode}})
    if mode == "remote":  # what it was before it enrolled elsewhere
        async with serving(EmbeddedServer(tmp_path)):
            pass
    assert (await network.bus(config, tmp_path, None)).ok is None
    check = await network.bus(config, tmp_path, RUNNING)
    assert (check.ok, check.detail) == (False, "connection lost")


ADVERTISED = Part(name="discovery", ok=True, detail="_fanlight._tcp")


@pytest.mark.parametrize(
    ("sections", "part", "ok", "words"),
    [
        ({}, ADVERTISED, False, "no answer to its own query"),
        ({"discovery": {"enabled": False}}, ADVERTISED, None, "discovery is off"),
        ({"gateway": {"mode": "remote"}}, ADVERTISED, None, "no door of its own"),
        ({"gateway": {"mode": "off"}}, ADVERTISED, None, "no door of its own"),
        ({}, None, None, "a gateway alone is advertised only with"),
    ],
)
async def test_who_is_not_advertised_need_not_find_itself(
    monkeypatch: pytest.MonkeyPatch,
    sections: dict[str, dict[str, object]],
    part: Part | None,
    ok: bool | None,
    words: str,
) -> None:
    async def nobody(_: float) -> list[object]:
        return []

    monkeypatch.setattr(network, "browse", nobody)
    parts = [*RUNNING.parts, *([part] if part else [])]
    check = await network.discovery(
        Config.model_validate(sections), RUNNING.model_copy(update={"parts": parts})
    )
    assert check.ok is ok
    assert words in check.detail


@pytest.mark.parametrize(("section", "advertised"), [(None, False), ({}, False), ({"enabled": True}, True)])
def test_a_gateway_alone_is_advertised_where_its_settings_say_so(
    tmp_path: Path, section: dict[str, bool] | None, advertised: bool
) -> None:
    config = Config.model_validate({} if section is None else {"discovery": section})
    daemon = GatewayDaemon(None, config, tmp_path, tmp_path, RingBuffer())
    assert ("discovery" in [part.name for part in daemon._parts()]) is advertised


async def test_a_gateway_that_does_not_answer() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        config = Config.model_validate({"gateway": {"listen": f"127.0.0.1:{closed.getsockname()[1]}"}})
        check = await network.gateway(config, RUNNING)
    assert check.ok is False
    assert check.fix
    assert (await network.gateway(config, None)).ok is None


async def test_a_gateway_elsewhere_is_asked_where_the_box_is_enrolled() -> None:
    config = Config.model_validate({"gateway": {"mode": "remote"}})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{closed.getsockname()[1]}/"
        enrolled = RUNNING.model_copy(update={"box": RUNNING.box.model_copy(update={"urls": [url]})})
        check = await network.gateway(config, enrolled)
    assert check.ok is False
    assert url.rstrip("/") in check.detail
    assert (await network.gateway(config, RUNNING)).ok is None
    assert (await network.gateway(config, None)).ok is None


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that every user may look into."""
    with tempfile.TemporaryDirectory(prefix="fanlight-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_the_machine_is_tried_as_the_user_of_the_daemon(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = open_folder / "none"
    monkeypatch.setenv("DISPLAY", ":7")
    assert daemons_user(nothing, nothing) == os.geteuid()
    os.chown(open_folder, NOBODY, -1)
    assert daemons_user(nothing, open_folder) == NOBODY
    assert tried_as(NOBODY, nothing, os.getresuid) == (NOBODY, NOBODY, NOBODY)
    assert tried_as(NOBODY, nothing, os.getgroups) == os.getgrouplist("nobody", NOGROUP)
    assert tried_as(NOBODY, nothing, os.getenv, "DISPLAY") is None
    assert tried_as(NOBODY, nothing, os.getenv, "XDG_RUNTIME_DIR") == str(nothing)


def test_root_runs_nothing_of_the_folder_that_it_happens_to_be_in(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("multiprocessing.py", "pickle.py"):
        (open_folder / name).write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(open_folder)
    assert tried_as(NOBODY, open_folder, os.geteuid) == NOBODY
    assert "PYTHONSAFEPATH" not in os.environ


def closed_legs(config: Config, state_dir: Path) -> list[Check]:
    """The machine's, where this user may read no module."""
    sys.meta_path.clear()
    return run_legs(config, state_dir)


def test_the_user_of_the_daemon_need_not_read_what_root_runs(open_folder: Path) -> None:
    checks = tried_as(NOBODY, open_folder, closed_legs, Config(), open_folder)
    assert {"disk", "clock", "uinput"} <= {each.name for each in checks}


async def test_a_state_folder_that_the_daemon_may_not_write_is_no_success_of_root_s(
    open_folder: Path,
) -> None:
    socket_of_nobody = open_folder / "control.sock"
    socket_of_nobody.touch()
    os.chown(socket_of_nobody, NOBODY, -1)
    checks = {each.name: each for each in await doctor._machine(Config(), open_folder, socket_of_nobody)}
    assert checks["disk"].ok is False
    assert checks["disk"].fix == f"sudo chown -R nobody {open_folder}"
    assert checks["clock"].ok


async def test_who_cannot_be_the_daemon_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.os, "geteuid", lambda: NOBODY)
    other, *checks = await doctor._machine(Config(), tmp_path, tmp_path / "control.sock")
    assert (other.name, other.ok, other.fix) == ("user", None, "sudo fanlight doctor")
    assert "the daemon is root, and nobody tried" in other.detail
    assert "disk" not in [each.name for each in checks]


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
