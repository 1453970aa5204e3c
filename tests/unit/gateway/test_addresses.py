"""Addresses of this machine."""

import ipaddress

import pytest

from appliance.gateway.addresses import authority, is_wildcard, machine_addresses

pytestmark = pytest.mark.unit


def test_loopback_comes_last() -> None:
    found = [ipaddress.ip_address(each) for each in machine_addresses()]
    assert len(set(found)) == len(found)
    loopbacks = [each.is_loopback for each in found]
    assert loopbacks == sorted(loopbacks)
    assert loopbacks[-1]


@pytest.mark.parametrize(
    ("address", "text"), [("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]"), ("localhost", "localhost")]
)
def test_addresses_in_urls(address: str, text: str) -> None:
    assert authority(address) == text


def test_wildcards() -> None:
    assert is_wildcard("0.0.0.0")
    assert is_wildcard("::")
    assert not is_wildcard("127.0.0.1")
