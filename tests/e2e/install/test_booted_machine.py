"""The installation for good, on a machine with a real systemd and nobody logged in."""

import asyncio
import json
import time
from collections.abc import Callable

import pytest
from playwright.async_api import Browser

from tests.support.machine import BOOTABLE, Machine, plays

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

INSTALL = "/root/fanlight/install.sh"
ADDRESS = "10.0.2.100"
"""Of the machine in its own network (slirp4netns(1))."""


async def _property(box: Machine, name: str) -> str:
    return (await box.run("systemctl", "show", "--property", name, "--value", "fanlight"))[1].strip()


async def _until_active(box: Machine, *, limit: float, not_pid: str = "0") -> str:
    """Main PID of the service, once it is active and another than `not_pid`."""
    async with asyncio.timeout(limit):
        while True:
            pid = await _property(box, "MainPID")
            if pid not in ("0", not_pid) and await _property(box, "ActiveState") == "active":
                return pid
            await asyncio.sleep(0.05)


async def _install(box: Machine, *arguments: str) -> str:
    status, output = await box.run(INSTALL, *arguments, limit=300)
    assert status == 0, output
    return output


CONFIGURED = (
    ('#listen = "0.0.0.0:8443"', 'listen = "0.0.0.0:443"'),
    ('#listen = ""', 'listen = "0.0.0.0:4222"'),
)
PORT_443 = """[Service]
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
AmbientCapabilities=CAP_NET_BIND_SERVICE
"""
REMOTE = """[gateway]
mode = "remote"
[instances]
listen = ""
"""


async def _become_a_gateway(box: Machine) -> None:
    """As README and operations.md say, on port 443; a box of another state on the same machine enrols."""

    async def done(*command: str) -> str:
        status, output = await box.run(*command)
        assert status == 0, output
        return output

    settings = box.root / "etc/fanlight/fanlight.toml"
    text = settings.read_text()
    for shipped, mine in CONFIGURED:
        assert text.count(shipped) == 1
        text = text.replace(shipped, mine)
    settings.write_text(text)
    drop_in = box.root / "etc/systemd/system/fanlight-gateway.service.d/port.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(PORT_443)
    await done("systemctl", "daemon-reload")
    await done("systemctl", "disable", "--now", "fanlight")
    await done("systemctl", "enable", "--now", "fanlight-gateway")
    await done("systemctl", "reload", "fanlight-gateway")
    assert "nothing changed" in await _install(box)
    assert (await done("systemctl", "is-active", "fanlight-gateway")).strip() == "active"

    made = json.loads(await done("fanlight", "enroll", "create", "--json"))
    (box.root / "root/box.toml").write_text(REMOTE)
    directories = ("--state-dir", "/root/box/state", "--runtime-dir", "/root/box/run")
    await done("fanlight", "enroll", "https://127.0.0.1/", made["code"], *directories)
    remote = ("/opt/fanlight/current/bin/fanlight", "run", "--config", "/root/box.toml", *directories)
    await done("systemd-run", "--unit=box", "--quiet", *remote)
    async with asyncio.timeout(30):
        while True:
            parts = json.loads(await done("fanlight", "status", "--json"))["parts"]
            if {each["name"]: each["detail"] for each in parts}["boxes"] == "1 answer":
                break
            await asyncio.sleep(0.2)


async def test_the_service_survives_a_power_cut_and_a_kill_and_may_be_a_gateway_s(
    browser: Browser, machine: Callable[..., Machine], capsys: pytest.CaptureFixture[str]
) -> None:
    box = machine(BOOTABLE)
    await box.boot()
    await _install(box)
    assert await _property(box, "ActiveState") == "active"

    again = await _install(box)
    assert "already there" in again
    assert "nothing changed" in again

    await box.cut_power()
    began = time.monotonic()
    await box.boot()
    pid = await _until_active(box, limit=60)
    booted = time.monotonic() - began
    await plays(browser, await box.share())

    assert (await box.run("sh", "-c", f"kill -KILL {pid}"))[0] == 0
    began = time.monotonic()
    await _until_active(box, limit=20, not_pid=pid)
    healed = time.monotonic() - began
    await plays(browser, await box.share())
    await _become_a_gateway(box)

    with capsys.disabled():
        print(f"\npower on to ready: {booted:.1f} s; healed after kill -9: {healed:.1f} s")


async def _relays(box: Machine) -> dict[str, bool]:
    """What the doctor says of the TURN server that was installed with the box."""
    modes = "stat --format=%a /etc/fanlight/turnserver.conf /etc/fanlight/ice.turn_secret"
    assert (await box.run("sh", "-c", modes))[1].split() == ["600", "600"]
    found = json.loads((await box.run("sh", "-c", "fanlight doctor --json 2>/dev/null"))[1])
    relays = [each for each in found if each["name"].startswith("TURN ")]
    assert [each["detail"] for each in relays if not each["ok"]] == []
    kinds = ("tls" if "turns:" in each["name"] else each["name"][-3:] for each in relays)
    return dict(zip(kinds, (each["ok"] for each in relays), strict=True))


async def test_an_upgrade_that_does_not_start_goes_back_and_uninstall_leaves_nothing(
    machine: Callable[..., Machine],
) -> None:
    box = machine(BOOTABLE)
    await box.boot()
    await _install(box, "--with-turn", ADDRESS, "--with-aws")
    settings = box.root / "etc/fanlight/fanlight.toml"
    assert (await box.run("stat", "--format=%a %U:%G", "/etc/fanlight/fanlight.toml"))[
        1
    ].strip() == "640 root:fanlight"
    settings.write_text(settings.read_text() + "\n# mine\n")
    first = (await box.run("readlink", "/opt/fanlight/current"))[1]

    checkout = box.root / "root/fanlight"
    cli = checkout / "appliance/cli.py"
    working = cli.read_text()
    cli.write_text("raise SystemExit('broken on purpose')\n")
    status, output = await box.run(INSTALL, "--upgrade", limit=300)
    assert status == 1
    assert "failed at: Service" in output
    assert (await box.run("readlink", "/opt/fanlight/current"))[1] == first
    await _until_active(box, limit=60)

    cli.write_text(working + "\n# another tree of the same version\n")
    example = checkout / "examples/fanlight.toml"
    example.write_text("# new defaults\n" + example.read_text())
    await _install(box, "--upgrade")
    second = (await box.run("readlink", "/opt/fanlight/current"))[1]
    assert second != first
    assert (await box.run("/opt/fanlight/current/bin/python", "-c", "import botocore"))[0] == 0
    assert settings.read_text().endswith("# mine\n")
    assert settings.with_name("fanlight.toml.new").read_text().startswith("# new defaults\n")

    await _install(box, "--rollback")
    assert (await box.run("readlink", "/opt/fanlight/current"))[1] == first
    assert await _property(box, "ActiveState") == "active"

    assert await _relays(box) == {"udp": True, "tcp": True, "tls": True}
    await _install(box, "--uninstall", "--purge")
    left = "find /etc /opt /usr/local /var/lib /run -iname '*fanlight*'; getent passwd fanlight"
    assert (await box.run("sh", "-c", left))[1] == ""
