"""ICE servers."""

import base64
import hashlib
import hmac
import time

import pytest

from appliance.config import IceSection
from appliance.ice import ice_servers

pytestmark = pytest.mark.unit


def test_nothing_configured_is_an_empty_list() -> None:
    assert ice_servers(IceSection(), "s1") == []


def test_turn_gets_credentials_that_coturn_accepts() -> None:
    section = IceSection(stun=["stun:a:3478"], turn=["turn:b:5349", "turns:b:443"], turn_secret="hush")
    stun, turn = (each.model_dump() for each in ice_servers(section, "s1.p1"))
    assert stun == {"urls": ["stun:a:3478"], "username": "", "password": ""}
    assert turn["urls"] == ["turn:b:5349", "turns:b:443"]
    user = str(turn["username"])
    expiry, _, name = user.partition(":")
    assert name == "s1.p1"
    assert int(expiry) > time.time()
    mac = hmac.new(b"hush", user.encode(), hashlib.sha1).digest()
    assert turn["password"] == base64.b64encode(mac).decode()


def test_turn_without_a_secret_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    assert ice_servers(IceSection(turn=["turn:b:5349"]), "s1") == []
    assert "turn_secret" in caplog.text
