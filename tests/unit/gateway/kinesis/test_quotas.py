"""What one socket may say."""

import pytest

from appliance.config import KinesisSection
from appliance.gateway.kinesis.quotas import AWS, MESSAGES_PER_S, Intake, Quotas
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
    ours = Intake(Quotas(viewers=10), master=False, who="channel lobby: v1")
    assert [type(ours.read(offer(LONG))) for _ in range(2)] == [Request, Request]
    assert [each.levelname for each in caplog.records] == ["WARNING"]
    assert isinstance(Intake(AWS, master=False, who="v1").read(offer(LONG)), Refused)


def test_aws_takes_five_descriptions_and_twenty_candidates_a_second() -> None:
    intake = Intake(AWS, master=False, who="v1")
    said = [intake.read(offer()) for _ in range(6)]
    assert [type(each) for each in said] == [Request] * 5 + [Refused]
    assert isinstance(said[-1], Refused)
    assert (said[-1].type, said[-1].correlation_id) == ("ClientLimitExceededException", "c")
    candidate = kinesis.request(Request(Action.CANDIDATE, "AAAA"))
    assert [type(intake.read(candidate)) for _ in range(21)] == [Request] * 20 + [Refused]


def test_a_flood_is_told_from_a_busy_client() -> None:
    intake = Intake(Quotas(viewers=10), master=True, who="master")
    assert not any(intake.floods() for _ in range(int(MESSAGES_PER_S) * 3))
    assert any(intake.floods() for _ in range(int(MESSAGES_PER_S) * 3))
