"""A box out of what a stranger says of itself."""

import pytest

from appliance.discovery.browse import make_box

pytestmark = pytest.mark.unit


def test_a_box_as_it_should_be() -> None:
    texts = {"name": "desk", "id": "b0", "fp": "AA:BB", "path": "/"}
    box = make_box("desk", "desk.local", ["10.0.0.7", "fd00::7"], 8443, texts)
    assert (box.name, box.id, box.url) == ("desk", "b0", "https://10.0.0.7:8443/")


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert make_box("desk", "", ["fd00::7"], 8443, {"fp": "AA"}).url == "https://[fd00::7]:8443/"


def test_a_box_without_addresses_is_reached_by_name() -> None:
    assert make_box("desk", "desk.local", [], 8443, {"fp": "AA"}).url == "https://desk.local:8443/"


def test_without_a_certificate_it_is_plain_http() -> None:
    assert make_box("desk", "", ["10.0.0.7"], 8443, {}).url == "http://10.0.0.7:8443/"


def test_a_terminal_is_safe_from_names() -> None:
    box = make_box("x", "h\x1b.local", ["10.0.0.7"], 1, {"name": "\x1b[2Jbad\x07", "g\nx": "\x9b31m"})
    assert box.name == "[2Jbad"
    assert box.host == "h.local"
    assert box.txt == {"name": "[2Jbad", "gx": "31m"}


@pytest.mark.parametrize("path", ["@evil.example/", ".evil.example", "evil"])
def test_a_path_cannot_lead_to_another_host(path: str) -> None:
    assert make_box("x", "", ["10.0.0.7"], 8443, {"fp": "A", "path": path}).url == "https://10.0.0.7:8443/"
