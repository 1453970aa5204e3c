import socket

import pytest

from appliance.bus.messages import IceServer
from appliance.errors import UnavailableError
from appliance.streamer.whip_client import linked, post_offer

pytestmark = pytest.mark.unit

STUN = "<stun:stun.example>; rel=ice-server"
TURN = (
    '<turn:turn.example?transport=udp>; rel="ice-server"; username="user"; credential="my, pass;word"; '
    'credential-type="password"'
)
RELAY = IceServer(urls=["turn:turn.example?transport=udp"], username="user", password="my, pass;word")


@pytest.mark.parametrize("headers", [[STUN, TURN], [f"{STUN}, {TURN}"], [f"{STUN},{TURN}"]])
def test_servers_are_read_from_one_header_or_several(headers: list[str]) -> None:
    assert linked(headers) == [IceServer(urls=["stun:stun.example"]), RELAY]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "<https://example/style.css>; rel=stylesheet",
        '<https://example>; rel="ice-server"',
        "<turn:>; rel=ice-server",
        "<turn:a b>; rel=ice-server",
        "<stun:stun.example>",
    ],
)
def test_what_is_no_ice_server_is_left_out(header: str) -> None:
    assert linked([header, TURN]) == [RELAY]


def test_a_server_does_not_make_us_ask_dozens() -> None:
    assert len(linked([STUN] * 50)) == 8


def test_a_server_that_is_not_there_is_told_in_plain_words() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match=r"^Connection refused$"):
            post_offer(f"http://127.0.0.1:{nobody.getsockname()[1]}/whip", "", "v=0")
