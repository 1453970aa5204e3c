"""The Kinesis dialect: what clients and service say, well and badly formed."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInputError
from appliance.signaling import dialects, kinesis, kinesis_master
from appliance.signaling.anbox import Candidate, Offer
from appliance.signaling.kinesis import Action, Delivery, Refused, Request

pytestmark = pytest.mark.unit

PAYLOAD = kinesis.description("offer", "v=0\r\n")


def said(**fields: Any) -> str:
    return json.dumps({"action": "SDP_OFFER", "messagePayload": PAYLOAD, **fields})


def test_keys_are_read_in_camel_and_pascal_case() -> None:
    pascal = json.dumps(
        {"action": "SDP_ANSWER", "RecipientClientId": "v1", "MessagePayload": PAYLOAD, "CorrelationId": "c-1"}
    )
    expected = Request(Action.ANSWER, PAYLOAD, "v1", "c-1")
    assert kinesis.parse(pascal, master=True) == expected
    assert kinesis.parse(kinesis.request(expected), master=True) == expected


def test_a_viewers_recipient_does_not_count() -> None:
    assert kinesis.parse(said(recipientClientId="ProducerMaster"), master=False) == Request(
        Action.OFFER, PAYLOAD
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (said(action="DANCE"), "SDP_OFFER, SDP_ANSWER, ICE_CANDIDATE"),
        (said(action=["SDP_OFFER"]), "'action'"),
        (said(messagePayload=""), "'messagePayload'"),
        (said(messagePayload=7), "'messagePayload'"),
        (said(messagePayload="ä"), "base64"),
        (said(messagePayload="A" * (kinesis.PAYLOAD_CHARACTERS + 4)), "65536"),
        (said(), "'recipientClientId'"),
        (said(recipientClientId=5), "'recipientClientId'"),
        (said(recipientClientId="a b"), "'recipientClientId'"),
    ],
)
def test_what_is_wrong_is_told_to_who_asked_to_hear_of_it(text: str, words: str) -> None:
    silent = kinesis.parse(text, master=True)
    assert isinstance(silent, Refused)
    assert kinesis.status_response(silent) == ""
    asking = kinesis.parse(json.dumps(json.loads(text) | {"correlationId": "c1"}), master=True)
    assert isinstance(asking, Refused)
    told = json.loads(kinesis.status_response(asking))
    assert told["messageType"] == "STATUS_RESPONSE"
    status = told["statusResponse"]
    assert words in status.pop("description")
    assert status == {
        "correlationId": "c1",
        "success": False,
        "errorType": "InvalidArgumentException",
        "statusCode": "400",
    }


@pytest.mark.parametrize("given", ["ä", "a b", "\ud800", "c" * 300])
def test_a_correlation_id_that_is_none_is_told_as_far_as_it_goes(given: str) -> None:
    refused = kinesis.parse(said(correlationId=given), master=False)
    assert isinstance(refused, Refused)
    told = json.loads(kinesis.status_response(refused))["statusResponse"]
    assert told["correlationId"] == given[:256]
    assert "'correlationId'" in told["description"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, said(correlationId=1)])
def test_what_cannot_be_answered_is_refused_in_silence(text: str) -> None:
    refused = kinesis.parse(text, master=False)
    assert isinstance(refused, Refused)
    assert kinesis.status_response(refused) == ""


def test_a_viewer_hears_no_sender_and_a_master_does() -> None:
    from_master = json.loads(kinesis.deliver(Delivery(Action.ANSWER, PAYLOAD)))
    assert from_master == {"messageType": "SDP_ANSWER", "messagePayload": PAYLOAD}
    from_viewer = json.loads(kinesis.deliver(Delivery(Action.OFFER, PAYLOAD, "v1")))
    assert from_viewer["senderClientId"] == "v1"


@pytest.mark.parametrize(
    "event",
    [
        Delivery(Action.OFFER, PAYLOAD, "v1"),
        Delivery(Action.ANSWER, PAYLOAD),
        Delivery(Action.CANDIDATE, PAYLOAD, "v.2"),
        Refused("no", "c1", "ClientLimitExceededException", 400),
    ],
)
def test_a_client_reads_what_the_service_says(event: kinesis.Event) -> None:
    text = kinesis.status_response(event) if isinstance(event, Refused) else kinesis.deliver(event)  # type: ignore[arg-type]
    assert kinesis.read_event(text) == event


def test_a_client_knows_what_else_a_service_says() -> None:
    assert kinesis.read_event(kinesis.go_away()) == kinesis.GoAway()
    assert kinesis.read_event(kinesis.reconnect_ice_server()) == kinesis.ReconnectIceServer()
    assert kinesis.read_event("") == kinesis.Ignored()
    with pytest.raises(InvalidInputError):
        kinesis.read_event('{"messageType":"SDP_OFFER"}')


def test_what_the_service_itself_says_has_a_payload_that_can_be_decoded() -> None:
    told = (kinesis.go_away(), kinesis.reconnect_ice_server(), kinesis.status_response(Refused("no", "c1")))
    assert [base64.b64decode(json.loads(each)["messagePayload"]) for each in told] == [b"{}"] * 3


def test_payloads_of_browsers_are_read() -> None:
    line = {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
    payload = base64.b64encode(json.dumps({**line, "usernameFragment": "x"}).encode()).decode()
    found = kinesis.read_payload(Action.CANDIDATE, payload)
    assert found == Candidate(line["candidate"], "0", 0)  # type: ignore[arg-type]
    assert kinesis.read_payload(Action.CANDIDATE, kinesis.candidate(found)) == found
    assert kinesis.read_payload(Action.OFFER, PAYLOAD) == Offer("v=0\r\n")


def test_a_payload_passes_unread_and_is_read_in_every_base64() -> None:
    sdp = "v=0\r\ns=\u00ff\u00fe\u00ff?>?>~~~a"
    standard = base64.b64encode(json.dumps({"sdp": sdp}, ensure_ascii=False).encode())
    plain = standard.decode()
    assert "/" in plain
    assert plain.endswith("=")
    safe = plain.replace("+", "-").replace("/", "_")
    broken = "\r\n".join(plain[start : start + 76] for start in range(0, len(plain), 76))
    for payload in (plain, plain.rstrip("="), safe, safe.rstrip("="), broken + "\n"):
        passed = kinesis.parse(said(messagePayload=payload), master=False)
        assert passed == Request(Action.OFFER, payload)
        assert kinesis.read_payload(Action.OFFER, payload) == Offer(sdp)
    assert kinesis.parse(said(messagePayload="not base64!"), master=False) == Request(
        Action.OFFER, "not base64!"
    )
    with pytest.raises(InvalidInputError, match="not a JSON object in base64"):
        kinesis.read_payload(Action.OFFER, "not base64!")


@pytest.mark.parametrize("name", ["", "a b", "AWS_x", "aws_", "ü", "x" * 257, "a/b"])
def test_names_that_viewers_may_not_have(name: str) -> None:
    assert not kinesis.is_client_id(name)


def test_the_master_of_an_instance_hears_offers_and_answers_them() -> None:
    assert kinesis_master.parse(said()) == Offer("v=0\r\n")
    event = kinesis.read_event(kinesis_master.answer("v=0\r\n"))
    assert event == Delivery(Action.ANSWER, kinesis.description("answer", "v=0\r\n"))
    with pytest.raises(InvalidInputError, match="action"):
        kinesis_master.parse(said(action="DANCE"))
    assert set(dialects.DIALECTS) == {"anbox", "kinesis", "whep"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.text()
    | st.fixed_dictionaries(
        {},
        optional={
            "action": st.sampled_from([*Action]) | JSON,
            "messagePayload": st.just(PAYLOAD) | JSON,
            "recipientClientId": JSON,
            "correlationId": JSON,
        },
    ).map(json.dumps),
    st.booleans(),
)
def test_nothing_makes_the_parser_stumble(text: str, master: bool) -> None:
    said = kinesis.parse(text, master=master)
    if isinstance(said, Request):
        assert said.action in Action
        try:
            kinesis.read_payload(said.action, said.payload)
        except InvalidInputError:
            return


def test_who_records_has_no_name() -> None:
    text = said(recipientClientId=None)
    assert isinstance(kinesis.parse(text, master=True), kinesis.Refused)
    answer = kinesis.parse(text, master=True, records=True)
    assert isinstance(answer, kinesis.Request)
    assert answer.recipient == ""
    assert isinstance(
        kinesis.parse(said(recipientClientId="a b"), master=True, records=True), kinesis.Refused
    )
