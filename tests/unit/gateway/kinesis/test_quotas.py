"""What one socket may say."""

import pytest

from appliance.bus import mail
from appliance.config import KinesisSection
from appliance.gateway.kinesis.mailbox import MOST_SECONDS
from appliance.gateway.kinesis.quotas import AWS, MESSAGES_PER_S, Intake, Quotas, Room
from appliance.gateway.limits import RateLimit
from appliance.signaling import kinesis
from appliance.signaling.kinesis import Action, Refused, Request

pytestmark = pytest.mark.unit

LONG = "A" * 12_000


def offer(payload: str = "AAAA") -> str:
    return kinesis.request(Request(Action.OFFER, payload, correlation_id="c"))


def test_strict_quotas_are_those_of_aws() -> None:
    assert Quotas.of(KinesisSection(strict_quotas=True, viewers_per_channel=50)) == AWS
    assert Quotas.of(KinesisSection(viewers_per_channel=50)).viewers == 50


def test_a_long_payload_passes_with_one_warning_unless_aws_would_refuse_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours = Intake(Quotas(viewers=10), master=False, who="channel lobby: v1", room=bool)
    assert [type(ours.read(offer(LONG))) for _ in range(2)] == [Request, Request]
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert isinstance(Intake(AWS, master=False, who="v1", room=bool).read(offer(LONG)), Refused)


def test_aws_takes_five_descriptions_and_twenty_candidates_a_second() -> None:
    intake = Intake(AWS, master=False, who="v1", room=bool)
    said = [intake.read(offer()) for _ in range(6)]
    assert [type(each) for each in said] == [Request] * 5 + [Refused]
    assert isinstance(said[-1], Refused)
    assert (said[-1].type, said[-1].correlation_id) == ("ClientLimitExceededException", "c")
    candidate = kinesis.request(Request(Action.CANDIDATE, "AAAA"))
    assert [type(intake.read(candidate)) for _ in range(21)] == [Request] * 20 + [Refused]


def test_one_side_of_a_channel_does_not_fill_the_mail_of_all() -> None:
    bytes_left = RateLimit(rate=0, burst=30_000)
    first, second = (
        Intake(Quotas(viewers=10), master=False, who=who, room=lambda size: bytes_left.allows(cost=size))
        for who in ("v1", "v2")
    )
    said = [first.read(offer(LONG)), second.read(offer(LONG)), second.read(offer(LONG)), first.read(offer())]
    assert [type(each) for each in said] == [Request, Request, Refused, Request]
    assert isinstance(said[2], Refused)
    assert said[2].type == "ClientLimitExceededException"


def test_a_side_of_a_channel_has_its_share_whatever_others_take() -> None:
    quotas = Quotas(10, bytes_per_s=0, bytes_at_once=2000, spare_bytes_per_s=0, spare_bytes_at_once=1000)
    room = Room(quotas)
    assert [room.allows("a", 700, master=False) for _ in range(4)] == [True, True, True, False]
    assert [room.allows("b", 700, master=False) for _ in range(3)] == [True, True, False]
    assert room.allows("a", 700, master=True)


def test_sixteen_channels_that_leave_all_they_may_push_out_nothing_of_others() -> None:
    quotas = Quotas(10)
    share = quotas.bytes_at_once + quotas.bytes_per_s * MOST_SECONDS
    spare = quotas.spare_bytes_at_once + quotas.spare_bytes_per_s * MOST_SECONDS
    assert 16 * 2 * share + spare < mail.BYTES


def test_a_flood_is_told_from_a_busy_client() -> None:
    intake = Intake(Quotas(viewers=10), master=True, who="master", room=bool)
    assert not any(intake.floods() for _ in range(int(MESSAGES_PER_S) * 3))
    assert any(intake.floods() for _ in range(int(MESSAGES_PER_S) * 3))
