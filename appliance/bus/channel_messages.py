"""What gateway nodes tell each other of signaling channels."""

from typing import Literal

from appliance.bus.messages import Message


class ChannelMail(Message):
    """What one client of a channel sent to another, kept until that is there, for `ttl_s` at most."""

    id: str
    action: Literal["SDP_OFFER", "SDP_ANSWER", "ICE_CANDIDATE", "ARRIVAL"]
    """The last one is sent by the recipient itself: from here on `id` is the connection that it reads on."""
    payload: str = ""
    ttl_s: float = 0.0
    again: bool = False
    """An arrival after an outage of the bus, which takes over from nobody."""


class ChannelClient(Message):
    """A signaling connection to a channel; `client` is empty for the master."""

    connection: str
    client: str = ""
    label: str = ""
    """Who it is, for people: the name of its access key."""
    address: str = ""
    since: float


class ChannelJoin(Message):
    """The master, or this viewer, of a channel with media storage wants to be sent an offer."""

    client: str = ""


class ChannelDeleted(Message):
    """A channel is gone, and so is what its sockets were for."""


class ChannelPresence(Message):
    """Who is connected to a channel at one gateway node; it is gone when nothing came for 3 periods."""

    node: str
    channel: str
    clients: list[ChannelClient] = []
