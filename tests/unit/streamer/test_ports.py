import contextlib
import socket
from collections.abc import Iterator, Sequence

import pytest

from appliance.errors import UnavailableError
from appliance.streamer import ports
from tests.support.ports import free_ports

pytestmark = pytest.mark.unit


@contextlib.contextmanager
def claimed(wanted: range, addresses: Sequence[str] = ()) -> Iterator[int]:
    port, opened = ports.claim(wanted, addresses)
    try:
        yield port
    finally:
        for each in opened.values():
            each.close()


def test_streamers_side_by_side_take_one_port_after_the_other() -> None:
    wanted = free_ports(3)
    with claimed(wanted) as first, claimed(wanted) as second, claimed(wanted) as third:
        assert [first, second, third] == list(wanted)


def test_the_port_of_one_that_is_gone_is_free_at_once() -> None:
    wanted = free_ports(2)
    with claimed(wanted):
        pass
    with claimed(wanted) as again:
        assert again == wanted.start


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.2"])
def test_a_stranger_on_any_of_the_addresses_has_the_port(address: str) -> None:
    wanted = free_ports(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((address, wanted.start))
        with claimed(wanted, ["127.0.0.2"]) as port:
            assert port == wanted.start + 1


def test_beyond_the_range_any_port_serves_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    wanted = free_ports(1)
    with claimed(wanted), claimed(wanted) as other:
        assert other not in wanted
    assert f"UDP {wanted.start}: taken; media goes through UDP {other}" in caplog.text
    assert "WARNING" in caplog.text


def test_there_may_be_no_port_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_any_port", lambda: wanted.start)
    wanted = free_ports(1)
    with claimed(wanted), pytest.raises(UnavailableError, match=f"UDP {wanted.start}: taken"):
        ports.claim(wanted, [])


def test_an_address_that_is_not_up_yet_is_no_obstacle() -> None:
    wanted = free_ports(1)
    port, opened = ports.claim(wanted, ["192.0.2.1"])
    assert (port, list(opened)) == (wanted.start, [ports.LOOPBACK])
    opened[ports.LOOPBACK].close()


@pytest.mark.parametrize(
    ("address", "level", "option"),
    [
        ("127.0.0.1", socket.IPPROTO_IP, socket.IP_TOS),
        ("::1", socket.IPPROTO_IPV6, socket.IPV6_TCLASS),
    ],
)
def test_a_socket_has_room_and_is_marked_as_interactive_video(address: str, level: int, option: int) -> None:
    with contextlib.closing(ports.bound(address, 0)) as media:
        assert media.getsockopt(level, option) >> 2 == 34
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            assert media.getsockopt(socket.SOL_SOCKET, buffer) > 400_000
        assert not media.getblocking()
