"""The machine's addresses are looked up once, and again when the kernel says so."""

import socket
from collections.abc import Iterator

import pytest

from appliance.streamer.addresses import KnownAddresses

pytestmark = pytest.mark.unit


class Machine:
    """`said` is the kernel's end of what it says of changes."""

    def __init__(self) -> None:
        self.addresses = ["192.0.2.1"]
        self.asked: list[tuple[bool, bool]] = []
        self.known = KnownAddresses(self.look_up)
        self.known.close()
        self.said, self.known._changes = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.known._changes.setblocking(False)

    def look_up(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        self.asked.append((use_ipv4, use_ipv6))
        return self.addresses[:]


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.known.close()
    made.said.close()


def test_they_are_looked_up_once_for_each_kind(machine: Machine) -> None:
    for _ in range(3):
        assert machine.known(True, True) == machine.known(True, False) == ["192.0.2.1"]
    assert machine.asked == [(True, True), (True, False)]


def test_who_asks_may_change_what_it_gets(machine: Machine) -> None:
    machine.known(True, True).clear()
    assert machine.known(True, True) == ["192.0.2.1"]


def test_they_are_looked_up_again_once_they_changed(machine: Machine) -> None:
    machine.known(True, True)
    machine.addresses.append("192.0.2.2")
    machine.said.send(b"one")
    machine.said.send(b"another")
    assert machine.known(True, True) == machine.known(True, True) == ["192.0.2.1", "192.0.2.2"]
    assert len(machine.asked) == 2


def test_what_was_missed_counts_as_a_change(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Overrun:
        """A socket that lost something, once."""

        def __init__(self) -> None:
            self.errors = [BlockingIOError(), OSError(105, "No buffer space available")]

        def recv(self, size: int) -> bytes:
            raise self.errors.pop()

        def close(self) -> None:
            pass

    machine.known(True, True)
    monkeypatch.setattr(machine.known, "_changes", Overrun())
    machine.known(True, True)
    assert len(machine.asked) == 2
