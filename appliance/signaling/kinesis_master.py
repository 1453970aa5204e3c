"""The Kinesis dialect as the master of an instance's channel speaks it with one viewer.

A viewer hears answers, and nothing else: there are no words for errors, nor for a stream that starts anew.
Only one that joins a storage session hears an offer, and answers it.
"""

from dataclasses import dataclass

from appliance.errors import InvalidInputError
from appliance.signaling import kinesis
from appliance.signaling.anbox import Answer, Candidate, Offer

JOIN = '{"action":"JOIN"}'
"""What a gateway says of a viewer; no viewer can say it."""


@dataclass(frozen=True, slots=True)
class Join:
    """The viewer would like to be sent an offer."""


def parse(text: str) -> Offer | Answer | Candidate | Join:
    """Read one text frame of a viewer. Raises InvalidInputError naming what is wrong with it."""
    if text == JOIN:
        return Join()
    said = kinesis.parse(text, master=False)
    if isinstance(said, kinesis.Refused):
        raise InvalidInputError(said.description)
    return kinesis.read_payload(said.action, said.payload)


def offer(sdp: str) -> str:
    """An offer to a viewer that asked for one."""
    return kinesis.deliver(kinesis.Delivery(kinesis.Action.OFFER, kinesis.description("offer", sdp)))


def answer(sdp: str) -> str:
    """The answer to a viewer's offer."""
    payload = kinesis.description("answer", sdp)
    return kinesis.deliver(kinesis.Delivery(kinesis.Action.ANSWER, payload))


def error(_: str) -> str:
    """This attempt failed."""
    return ""


def restart(_: str = "") -> str:
    """The stream starts anew: who sees that its connection is gone offers again."""
    return ""


def end(_: str) -> str:
    """It is over; the closed socket says it."""
    return ""


def away() -> str:
    """The gateway goes away: connect again."""
    return kinesis.go_away()
