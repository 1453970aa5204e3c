"""The doctor at a real coturn: each leg that can break is named, with what mends it."""

import socket
from pathlib import Path

import pytest

from appliance.config import Config, IceSection
from appliance.verbs import doctor_ice, turn_client
from appliance.verbs.proof import Check
from tests.support.ports import free_ports
from tests.support.turn import certificate, coturn, our_coturn

pytestmark = pytest.mark.integration

SECRET = "north"
LOCAL = "127.0.0.1"
LOOPBACK = ("allow-loopback-peers", f"allowed-peer-ip={LOCAL}")


async def judged(state_dir: Path, *urls: str, secret: str = SECRET) -> list[Check]:
    """One check for each of `urls`."""
    stun = [each for each in urls if each.startswith("stun")]
    turn = [each for each in urls if each.startswith("turn")]
    section = IceSection(stun=stun, turn=turn, turn_secret=secret)
    return [each for each in await doctor_ice.servers(Config(ice=section), state_dir) if each.name != "TURN"]


async def test_every_transport_of_our_own_setup_echoes(tmp_path: Path) -> None:
    port = free_ports(2).start
    cert, key = certificate(tmp_path, LOCAL)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.pem").write_bytes(cert.read_bytes())
    urls = (
        f"stun:{LOCAL}:{port}",
        f"turn:{LOCAL}:{port}?transport=udp",
        f"turn:{LOCAL}:{port}?transport=tcp",
        f"turns:{LOCAL}:{port + 1}?transport=tcp",
    )
    async with our_coturn(tmp_path, LOCAL, port, SECRET, *LOOPBACK, f"cert={cert}", f"pkey={key}"):
        checks = await judged(tmp_path, *urls)
        assert [(each.ok, each.detail.split(" ")[0]) for each in checks] == [
            (True, "sees"), (True, "relays"), (True, "relays"), (True, "relays")
        ], checks  # fmt: skip
        (stranger,) = await judged(tmp_path / "elsewhere", urls[3])
    assert stranger.detail.startswith("TLS: the certificate of")
    assert "cert=" in stranger.fix


async def test_secret_clock_and_permission_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_ports(2).start
    url = f"turn:{LOCAL}:{port}"
    async with our_coturn(tmp_path, LOCAL, port, SECRET, "no-tls", "no-dtls"):
        (denied,) = await judged(tmp_path, url)
        assert denied.detail.startswith("permission: it may not relay to 127.0.0.1: 403"), denied
        assert "allowed-peer-ip=127.0.0.1" in denied.fix
        (secret,) = await judged(tmp_path, url, secret="south")
        assert secret.detail == "allocation: refused: the secret here is not the one there"
        assert "south" not in str(secret)
        monkeypatch.setattr(doctor_ice, "LIFETIME_SECONDS", -3600)  # as where our clock is behind
        (skew,) = await judged(tmp_path, url)
    assert skew.detail.startswith("allocation: refused as expired: the clocks")
    assert "timedatectl" in skew.fix


async def test_a_server_that_relays_for_anybody_is_a_fault(tmp_path: Path) -> None:
    port = free_ports(1).start
    async with coturn(tmp_path, LOCAL, port, "no-auth"):
        (check,) = await judged(tmp_path, f"turn:{LOCAL}:{port}")
    assert check.detail == "allocation: it relays for anybody, without credentials"


async def test_quotas_are_told(tmp_path: Path) -> None:
    port = free_ports(2).start
    async with our_coturn(tmp_path, LOCAL, port, SECRET, *LOOPBACK, "no-tls", "no-dtls", "total-quota=1"):
        url = f"turn:{LOCAL}:{port}"
        both = await judged(tmp_path, url, f"{url}?transport=tcp")
    assert [each.ok for each in both].count(False) == 1, both
    assert any("486" in each.detail and "total-quota" in each.fix for each in both)


@pytest.mark.parametrize("scheme", ["stun:{}", "turn:{}", "turn:{}?transport=tcp", "turns:{}"])
async def test_nothing_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(doctor_ice, "_LEG_SECONDS", 2)
    with socket.socket() as closed:
        closed.bind((LOCAL, 0))
        (check,) = await judged(tmp_path, scheme.format(f"{LOCAL}:{closed.getsockname()[1]}"))
    assert check.ok is False
    assert "nothing listens on" in check.detail
    assert "systemctl status" in check.fix


@pytest.mark.parametrize("scheme", ["stun:{}", "turn:{}", "turn:{}?transport=tcp"])
async def test_a_port_that_is_blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(doctor_ice, "_LEG_SECONDS", 0.3)
    port = free_ports(1).start
    with socket.socket(type=socket.SOCK_DGRAM) as silent, socket.socket() as deaf:
        silent.bind((LOCAL, port))
        deaf.bind((LOCAL, port))
        deaf.listen()
        (check,) = await judged(tmp_path, scheme.format(f"{LOCAL}:{port}"))
    assert "blocked on the way" in check.detail, check
    assert f"ufw allow {port}/" in check.fix


async def test_a_name_that_leads_nowhere(tmp_path: Path) -> None:
    impossible = "x" * 64 + ".test"
    (check,) = await judged(tmp_path, f"turn:{impossible}:3478")
    assert check.detail.startswith(f"name: {impossible} has no address")


async def test_a_plain_port_is_not_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_client, "_CONNECT_SECONDS", 0.5)
    port = free_ports(1).start
    async with coturn(tmp_path, LOCAL, port, "no-auth"):
        (check,) = await judged(tmp_path, f"turns:{LOCAL}:{port}")
    assert check.detail.startswith("TLS: ")
    assert "tls-listening-port" in check.fix


async def test_a_missing_secret_is_said(tmp_path: Path) -> None:
    (check,) = await doctor_ice.servers(Config(ice=IceSection(turn=["turn:a"])), tmp_path)
    assert check.ok is False
    assert "turn_secret" in check.fix
    (check,) = await doctor_ice.servers(Config(), tmp_path)
    assert check.ok is None
