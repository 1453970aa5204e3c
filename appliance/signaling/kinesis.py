"""The signaling of Kinesis Video Streams with WebRTC: what clients say to the service, and it to them."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from appliance.errors import InvalidInputError
from appliance.signaling.anbox import Answer, Candidate, Offer

PAYLOAD_CHARACTERS = 65536
QUOTA_CHARACTERS = 10_000
"""AWS takes no longer payload; offers of browsers with several cameras have twice as much."""
_CORRELATION_CHARACTERS = 256
_CORRELATION = re.compile(rf"[a-zA-Z0-9_.-]{{1,{_CORRELATION_CHARACTERS}}}")
_CLIENT_ID = re.compile(r"[a-zA-Z0-9_.-]{1,256}")
_RESERVED = "aws_"
BOX = "fanlight-"
"""With a session after it: how a gateway names itself as the viewer that shows a camera."""
_DIGITS = str.maketrans("-_", "+/", "=\r\n")
_NO_PAYLOAD = "e30="
"""An empty object: for an empty string the C SDK decodes what stands behind it, and drops the message."""


class Action(StrEnum):
    """What one peer can send to another."""

    OFFER = "SDP_OFFER"
    ANSWER = "SDP_ANSWER"
    CANDIDATE = "ICE_CANDIDATE"


@dataclass(frozen=True, slots=True)
class Request:
    """A client sends `payload`, which the service does not read; a viewer's `recipient` is empty."""

    action: Action
    payload: str
    recipient: str = ""
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """What a client said is not relayed; it hears of that only if it gave a correlation id."""

    description: str
    correlation_id: str = ""
    type: str = "InvalidArgumentException"
    status: int = 400


@dataclass(frozen=True, slots=True)
class Delivery:
    """The service hands over what a peer sent; without `sender` it came from the master."""

    action: Action
    payload: str
    sender: str = ""


@dataclass(frozen=True, slots=True)
class GoAway:
    """This connection ends within a minute: connect again."""


@dataclass(frozen=True, slots=True)
class ReconnectIceServer:
    """The ICE servers of this client will not work much longer."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing: AWS acknowledges with empty frames, and newer services may say more than we understand."""


Event = Delivery | Refused | GoAway | ReconnectIceServer | Ignored


def is_client_id(text: str) -> bool:
    """Whether a viewer can have that name."""
    return bool(_CLIENT_ID.fullmatch(text)) and not text.lower().startswith(_RESERVED)


def may_be_claimed(text: str) -> bool:
    """Whether a viewer may call itself that: who has the name of another takes over from it."""
    return is_client_id(text) and not text.startswith(BOX)


def parse(
    text: str, *, master: bool, records: bool = False, payload_characters: int = PAYLOAD_CHARACTERS
) -> Request | Refused:
    """Read one text frame of a client; the case of its keys does not matter.

    Where the service `records` what the master sends, a message of it without a recipient is for the service.
    """
    fields = _object(text)
    if fields is None:
        return Refused("The message is not a JSON object.")
    correlation = fields.get("correlationid") or ""
    if not isinstance(correlation, str):
        return Refused(_invalid("correlationId", "Member must be a string"))
    if correlation and not _CORRELATION.fullmatch(correlation):
        constraint = f"Member must satisfy pattern: {_CORRELATION.pattern}"
        return Refused(_invalid("correlationId", constraint), correlation[:_CORRELATION_CHARACTERS])
    named = master and not (records and not fields.get("recipientclientid"))
    fault = _fault(fields, named=named, payload_characters=payload_characters)
    if fault:
        return Refused(fault, correlation)
    recipient = fields.get("recipientclientid") if master else ""
    return Request(Action(fields["action"]), fields["messagepayload"], recipient or "", correlation)


def _fault(fields: dict[str, Any], *, named: bool, payload_characters: int) -> str:
    """What is wrong with the message; empty where it can be relayed."""
    if fields.get("action") not in list(Action):
        return _invalid("action", f"Member must satisfy enum value set: [{', '.join(Action)}]")
    payload = fields.get("messagepayload")
    if not isinstance(payload, str) or not payload:
        return _invalid("messagePayload", "Member must not be null")
    if len(payload) > payload_characters:
        limit = f"Member must have length less than or equal to {payload_characters}"
        return _invalid("messagePayload", limit)
    if not payload.isascii():
        return _invalid("messagePayload", "Member must be base64")
    recipient = fields.get("recipientclientid")
    if named and not (isinstance(recipient, str) and recipient):
        return _invalid("recipientClientId", "Member must not be null")
    if named and not is_client_id(recipient or ""):
        return _invalid("recipientClientId", f"Member must satisfy pattern: {_CLIENT_ID.pattern}")
    return ""


def _invalid(member: str, constraint: str) -> str:
    return f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}"


def deliver(delivery: Delivery) -> str:
    """For the recipient: what was sent to it."""
    sender = {"senderClientId": delivery.sender} if delivery.sender else {}
    return _text(messageType=delivery.action, messagePayload=delivery.payload, **sender)


def status_response(refused: Refused) -> str:
    """For who sent it; empty where it did not ask to hear of it. All four are strings."""
    if not refused.correlation_id:
        return ""
    return _text(
        messageType="STATUS_RESPONSE",
        messagePayload=_NO_PAYLOAD,
        statusResponse={
            "correlationId": refused.correlation_id,
            "success": False,
            "errorType": refused.type,
            "statusCode": str(refused.status),
            "description": refused.description,
        },
    )


def go_away() -> str:
    """For a client that should connect again."""
    return _text(messageType="GO_AWAY", messagePayload=_NO_PAYLOAD)


def reconnect_ice_server() -> str:
    """For a client that should ask for ICE servers again."""
    return _text(messageType="RECONNECT_ICE_SERVER", messagePayload=_NO_PAYLOAD)


def request(sent: Request) -> str:
    """What a client sends to the service."""
    optional = {"recipientClientId": sent.recipient, "correlationId": sent.correlation_id}
    given = {key: value for key, value in optional.items() if value}
    return _text(action=sent.action, messagePayload=sent.payload, **given)


def read_event(text: str) -> Event:
    """Read what the service says to a client. Raises InvalidInputError for a delivery without its payload."""
    fields = _object(text) or {}
    match kind := fields.get("messagetype"):
        case "GO_AWAY":
            return GoAway()
        case "RECONNECT_ICE_SERVER":
            return ReconnectIceServer()
        case "STATUS_RESPONSE":
            return _status(fields.get("statusresponse"))
        case Action.OFFER | Action.ANSWER | Action.CANDIDATE:
            payload, sender = fields.get("messagepayload"), fields.get("senderclientid") or ""
            if not isinstance(payload, str) or not isinstance(sender, str) or _decoded(payload) is None:
                raise InvalidInputError(f"{kind}: no payload in base64")
            return Delivery(Action(kind), payload, sender)
    return Ignored()


def _status(response: Any) -> Refused:
    told = _folded(response) if isinstance(response, dict) else {}
    status = str(told.get("statuscode", ""))
    return Refused(
        str(told.get("description", "")),
        str(told.get("correlationid", "")),
        str(told.get("errortype", "")),
        int(status) if status.isdecimal() and len(status) <= 3 else 0,
    )


def description(kind: str, sdp: str) -> str:
    """The payload of an `offer` or `answer`."""
    return _encoded({"type": kind, "sdp": sdp})


def candidate(found: Candidate) -> str:
    """The payload of an ICE candidate."""
    return _encoded(
        {"candidate": found.candidate, "sdpMid": found.sdp_mid, "sdpMLineIndex": found.sdp_mline_index}
    )


def read_payload(action: Action, payload: str) -> Offer | Answer | Candidate:
    """What a peer put into a message. Raises InvalidInputError that names what is wrong with it."""
    raw = _decoded(payload)
    fields = _object(raw.decode(errors="replace"), fold=False) if raw is not None else None
    if fields is None:
        raise InvalidInputError("messagePayload: not a JSON object in base64")
    if action is Action.CANDIDATE:
        return _candidate(fields)
    sdp = fields.get("sdp")
    if not isinstance(sdp, str):
        raise InvalidInputError("messagePayload: sdp: must be a string")
    return Offer(sdp) if action is Action.OFFER else Answer(sdp)


def _candidate(fields: dict[str, Any]) -> Candidate:
    line, mid, index = (fields.get(key) for key in ("candidate", "sdpMid", "sdpMLineIndex"))
    if not isinstance(line, str):
        raise InvalidInputError("messagePayload: candidate: must be a string")
    if not isinstance(mid, str | None) or not isinstance(index, int | None) or isinstance(index, bool):
        raise InvalidInputError("messagePayload: sdpMid, sdpMLineIndex: must be a string and a number")
    if mid is None and index is None:
        raise InvalidInputError("messagePayload: neither sdpMid nor sdpMLineIndex")
    return Candidate(line, mid, index)


def _object(text: str, *, fold: bool = True) -> dict[str, Any] | None:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    return _folded(fields) if fold else fields


def _folded(fields: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in fields.items()}


def _decoded(payload: str) -> bytes | None:
    """SDKs differ in alphabet, padding and line breaks."""
    digits = payload.translate(_DIGITS)
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _encoded(fields: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode()


def _text(**fields: Any) -> str:
    return json.dumps(fields, separators=(",", ":"))
