"""Ids become words of subjects, so that a server can confine a box."""

import pytest

from appliance.bus import subjects
from appliance.gateway.kinesis.channels import Channel

pytestmark = pytest.mark.unit


def test_a_session_is_below_its_agent() -> None:
    session = subjects.id_of("box-1", "abc")
    assert subjects.up(session) == "session.box-1.abc.up"
    assert subjects.down(session, "p") == "session.box-1.abc.down.p"
    assert subjects.stats(subjects.id_of("box-1", "i")) == "instance.box-1.i.stats"


def test_an_id_belongs_to_the_whole_name_of_its_agent_only() -> None:
    session = subjects.id_of("box-1", "abc")
    assert subjects.agent_of(session) == "box-1"
    assert subjects.belongs(session, "box-1")
    assert not subjects.belongs(session, "box")
    assert not subjects.belongs("abc", "box-1")


def test_mail_has_no_word_that_the_servers_of_a_cluster_misread() -> None:
    arn = "arn:aws:kinesisvideo:us-east-1:000000000000:channel/lobby.1/1795269896850"
    channel = Channel(name="lobby.1", arn=arn, created_at=0.0, version="1")
    assert (
        subjects.mail(channel.key, subjects.word("v.1"), subjects.MASTER)
        == "mail.lobby=1~1795269896850.v=1.+"
    )
    assert "@" not in subjects.mail(channel.key, subjects.MASTER, subjects.ARRIVALS)
