"""The Kinesis dialect as a viewer speaks it with a master: it offers, and hears answers and candidates."""

from appliance.signaling import kinesis
from appliance.signaling.anbox import Answer, Candidate


def offer(sdp: str) -> str:
    """What goes to the service."""
    return kinesis.request(kinesis.Request(kinesis.Action.OFFER, kinesis.description("offer", sdp)))


def parse(text: str) -> Answer | Candidate | None:
    """What the service delivers; None where it is of no concern. Raises InvalidInputError."""
    event = kinesis.read_event(text)
    if not isinstance(event, kinesis.Delivery) or event.action is kinesis.Action.OFFER:
        return None
    said = kinesis.read_payload(event.action, event.payload)
    return said if isinstance(said, Answer | Candidate) else None
