"""The recipe for SDKs that know one port and Amazon's names only: hosts, certificate, port 443."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.box import box, configured, running, settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

NAME = "kinesisvideo.us-west-2.amazonaws.com"
ENTER = 'ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@"'


def configuration(relay: str) -> str:
    """Of a gateway, with one TURN server."""
    return settings(
        gateway='listen = "0.0.0.0:443"',
        tls=f'names = ["{NAME}"]',
        ice=f'turn = ["turn:{relay}:3478?transport=udp"]\nturn_secret = "secret"',
    )


async def test_the_c_sdk_finds_the_gateway_where_amazons_would_be(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n127.0.0.1 {NAME}\n")
    prefix = ("unshare", "--net", "--mount", "sh", "-c", ENTER, str(hosts))
    async with box(tmp_path, configuration("one.example.org"), prefix=prefix, verb="gateway") as gateway:
        key = await gateway.cli("key", "create", "camera")
        environment = {
            "AWS_ACCESS_KEY_ID": key["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": key["secret_access_key"],
        }
        ca = tmp_path / "state/tls/ca.pem"
        there = ("nsenter", f"--target={gateway.pid}", "--net", "--mount", "--wd", "--", sys.executable, "-m")
        sdk = (*there, "tests.support.c_sdk", NAME, ca, "door")
        async with running(sdk, env=environment, stderr=tmp_path / "sdk") as camera:
            try:
                await camera.line(r"relays \['turn:one\.example\.org:")
                await camera.line("called")
                configured(tmp_path, configuration("two.example.org"))
                os.kill(gateway.pid, signal.SIGHUP)
                await camera.line("RECONNECT_ICE_SERVER")
                await camera.line(r"relays \['turn:two\.example\.org:")
                os.kill(gateway.pid, signal.SIGTERM)
                await camera.line("GO_AWAY")
                await camera.line("closed 1001")
            except AssertionError as exc:
                raise AssertionError(f"{exc}\n{(tmp_path / 'sdk').read_text()[-4000:]}") from None
