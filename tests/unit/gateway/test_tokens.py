"""Ids, secrets, principals."""

import string
import time

import pytest

from appliance.bus.messages import Role
from appliance.gateway.tokens import Principal, digest, made_at, new_id, new_secret, proves, split

pytestmark = pytest.mark.unit


def test_ids_look_like_xids() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    for each in ids:
        assert len(each) == 20
        assert set(each) <= set(string.digits + "abcdefghijklmnopqrstuv")


def test_ids_know_when_they_were_made() -> None:
    before = int(time.time())
    assert before <= (made_at(new_id()) or 0) <= time.time()
    assert [made_at(each) for each in ("", "i1", "x" * 20, "0" * 24)] == [None] * 4


def test_a_secret_proves_itself_only() -> None:
    secret = new_secret()
    assert proves(secret, digest(secret))
    assert not proves(secret + "x", digest(secret))
    assert secret not in digest(secret)


@pytest.mark.parametrize("token", ["", ".", "a", "a.", "x" * 100, "a.\udcff"])
def test_what_is_no_token_has_neither_id_nor_secret(token: str) -> None:
    assert split(token) == ("", "")


def test_peers_of_one_principal_share_a_tag_and_nothing_else() -> None:
    device = Principal("device", "a", "Pixel", Role.CONTROL)
    share = Principal("share", "a", "guest", Role.VIEW, "s1")
    one, two = device.new_peer(), device.new_peer()
    assert one != two
    assert one.partition("-")[0] == two.partition("-")[0] == device.tag != share.tag
    assert "." not in one
    assert "Pixel" not in one
