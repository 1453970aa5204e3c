"""The installation for good, on a machine with a real systemd and nobody logged in."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any

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


def _try_it_as_root(box: Machine) -> None:
    """What `./install.sh --run` leaves behind as root, with a link out of it."""
    state = box.root / "var/lib/fanlight"
    (state / "tls").mkdir(parents=True)
    (state / "box-id").touch(0o600)
    (state / "box-id").write_text("0123456789abcdef")
    (state / "link").symlink_to("/etc/hostname")


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
    _try_it_as_root(box)
    shown = await _install(box)
    others = "find /var/lib/fanlight ! -user fanlight; stat --format=%U /etc/hostname"
    assert (await box.run("sh", "-c", others))[1] == "root\n"
    assert re.search(r"^PIN  \d{6}\nURL  https://\S+:8443/$", shown, re.MULTILINE), shown
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
    await _until_active(box, limit=60, not_pid=pid)
    healed = time.monotonic() - began
    await plays(browser, await box.share())
    await _become_a_gateway(box)

    with capsys.disabled():
        print(f"\npower on to ready: {booted:.1f} s; healed after kill -9: {healed:.1f} s")


async def _versions(box: Machine) -> tuple[str, str]:
    """The current one, and the one before."""
    links = [await box.run("readlink", f"/opt/fanlight/{name}") for name in ("current", "previous")]
    return links[0][1].strip(), links[1][1].strip()


async def _fail_to_roll_back(box: Machine, version: str) -> None:
    command = box.root / "opt/fanlight" / version / "bin/fanlight"
    command.write_text("#!/bin/sh\nexit 2\n")
    status, output = await box.run(INSTALL, "--rollback", limit=300)
    assert status == 1
    assert "failed at: Service" in output


async def _give_the_secret_to_a_gateway(box: Machine) -> None:
    switch = "systemctl disable --now fanlight && systemctl enable --now fanlight-gateway"
    compare = "cmp /etc/fanlight/ice.turn_secret /run/credentials/fanlight-gateway.service/ice.turn_secret"
    status, output = await box.run("sh", "-c", f"{switch} && {compare}")
    assert status == 0, output


async def _doctor(box: Machine) -> list[dict[str, Any]]:
    _, output = await box.run("sh", "-c", "fanlight doctor --json 2>/dev/null")
    found: list[dict[str, Any]] = json.loads(output)
    return found


async def _the_doctor_is_the_service(box: Machine) -> None:
    found = {each["name"]: each for each in await _doctor(box)}
    assert found["encoder x264 H264 (pyav)"]["ok"], found
    assert (found["disk"]["ok"], found["disk"]["detail"].split()[-1]) == (True, "/var/lib/fanlight")
    assert (await box.run("chown", "nobody", "/var/lib/fanlight"))[0] == 0  # where root may write
    found = {each["name"]: each for each in await _doctor(box)}
    assert "sudo chown -R fanlight /var/lib/fanlight" in found["disk"]["fix"]
    assert (await box.run("chown", "fanlight", "/var/lib/fanlight"))[0] == 0


async def _relays(box: Machine) -> dict[str, bool]:
    """What the doctor says of the TURN server that was installed with the box."""
    modes = "stat --format=%a /etc/fanlight/turnserver.conf /etc/fanlight/ice.turn_secret"
    assert (await box.run("sh", "-c", modes))[1].split() == ["600", "600"]
    found = await _doctor(box)
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
    await _the_doctor_is_the_service(box)
    settings.write_text(settings.read_text() + "\n# mine\n")
    first, _ = await _versions(box)

    checkout = box.root / "root/fanlight"
    cli = checkout / "appliance/cli.py"
    working = cli.read_text()
    cli.write_text("raise SystemExit('broken on purpose')\n")
    status, output = await box.run(INSTALL, "--upgrade", limit=300)
    assert status == 1
    assert "failed at: Service" in output
    assert await _versions(box) == (first, "")
    await _until_active(box, limit=60)

    cli.write_text(working + "\n# another tree of the same version\n")
    example = checkout / "examples/fanlight.toml"
    example.write_text("# new defaults\n" + example.read_text())
    await _install(box, "--upgrade")
    second, before = await _versions(box)
    assert second != first
    assert before == first
    assert (await box.run("/opt/fanlight/current/bin/python", "-c", "import botocore"))[0] == 0
    assert settings.read_text().endswith("# mine\n")
    assert settings.with_name("fanlight.toml.new").read_text().startswith("# new defaults\n")

    await _install(box, "--rollback")
    assert await _versions(box) == (first, second)
    assert await _property(box, "ActiveState") == "active"
    await _fail_to_roll_back(box, second)
    assert await _versions(box) == (first, second)
    await _until_active(box, limit=60)

    assert await _relays(box) == {"udp": True, "tcp": True, "tls": True}
    await _give_the_secret_to_a_gateway(box)
    await _install(box, "--uninstall", "--purge")
    left = "find /etc /opt /usr/local /var/lib /run -iname '*fanlight*'; getent passwd fanlight"
    assert (await box.run("sh", "-c", left))[1] == ""
