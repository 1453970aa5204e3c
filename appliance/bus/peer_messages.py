"""What gateways and streamers tell each other of signaling peers."""

from typing import Literal

from appliance.bus.messages import IceServer, Message, Role, ScreenWish


class Opened(Message):
    """The answer to who opens a peer."""

    known: bool = False
    """It was there already, with all that it was told."""


class PeerEvent(Message):
    """Something that happened to one signaling peer of a session."""

    kind: Literal["open", "message", "close", "kick", "keyframe", "notice"]
    """`keyframe` and `notice` may be of no peer: the box wants one, or has something to say to all."""
    peer: str = ""
    text: str = ""
    dialect: Literal["anbox", "kinesis", "whep"] = "anbox"
    role: Role = Role.VIEW
    exclusive: bool = False
    """Takes over from other exclusive peers, as a client of the Anbox dialect does."""
    page: bool = False
    """Our own page: it knows the `fanlight::` messages."""
    resumed: bool = False
    """Opened again after the streamer restarted: the client believes it is connected."""
    label: str = ""
    """Who it is, for people: device or account name."""
    address: str = ""
    screen: ScreenWish | None = None
    ice_servers: list[IceServer] = []
    source: bool = False
    """It is no viewer: at its other end is the master whose picture the instance shows."""

    @property
    def fluent(self) -> bool:
        """Whether it knows our own messages; SDKs of the Anbox dialect hand them to whoever uses them."""
        return self.page or self.dialect != "anbox"


class PeerReply(Message):
    """What the streamer says to one signaling peer; without text it only looks whether anybody listens."""

    kind: Literal["message", "close"]
    text: str = ""


class Revocation(Message):
    """A principal may not watch any more; `tag` is what ids of its viewers begin with."""

    tag: str
    reason: str
