"""What a socket URL carries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.bus.messages import Role, ScreenWish
from appliance.errors import UnauthorizedError
from appliance.gateway import tickets
from appliance.gateway.tickets import Ticket, Tickets

pytestmark = pytest.mark.unit

TICKET = Ticket(
    session="s1",
    owner_kind="account",
    owner="tool",
    label="tool",
    role=Role.CONTROL,
    exclusive=True,
    screen=ScreenWish(width=1280, height=720, fps=60),
)


def test_a_ticket_travels_whole() -> None:
    office = Tickets(b"key")
    read = office.read(office.issue(TICKET))
    assert read.model_copy(update={"expires_at": 0}) == TICKET


def test_another_node_with_the_key_reads_it_and_one_without_does_not() -> None:
    token = Tickets(b"key").issue(TICKET)
    assert Tickets(b"key").read(token).session == "s1"
    with pytest.raises(UnauthorizedError):
        Tickets(b"other").read(token)


def test_an_old_ticket_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "LIFETIME_SECONDS", -1)
    token = Tickets(b"key").issue(TICKET)
    with pytest.raises(UnauthorizedError, match="expired"):
        Tickets(b"key").read(token)


@given(st.integers(0, 2000), st.characters())
def test_a_changed_ticket_is_refused(place: int, letter: str) -> None:
    token = Tickets(b"key").issue(TICKET)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    try:
        read = Tickets(b"key").read(changed)
    except UnauthorizedError:
        return
    assert read.model_copy(update={"expires_at": 0}) == TICKET


@given(st.text())
def test_text_is_no_ticket(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        Tickets(b"key").read(text)
