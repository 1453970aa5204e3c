"""What a streamer needs of a dialect, whichever its viewer speaks; an empty text is not said."""

from collections.abc import Mapping
from typing import Protocol

from appliance.signaling import anbox, kinesis_master, whep


class Dialect(Protocol):
    """Text in, frozen dataclasses out."""

    def parse(self, text: str, /) -> anbox.ClientMessage | kinesis_master.Join:
        """Read one text frame of a client. Raises InvalidInputError."""

    def answer(self, sdp: str, /) -> str:
        """The answer to its offer."""

    def error(self, message: str, /) -> str:
        """This attempt failed."""

    def restart(self, reason: str = "", /) -> str:
        """Begin again on the same socket."""

    def end(self, reason: str, /) -> str:
        """It is over."""

    def away(self) -> str:
        """The gateway goes away, and the client should come back."""


DIALECTS: Mapping[str, Dialect] = {"anbox": anbox, "kinesis": kinesis_master, "whep": whep}
"""By their names in PeerEvent."""
