"""Subjects on the bus. Routed by session id, never by agent id, once a session exists.

Ids of sessions and instances are `<agent>-<own>` and become two words here, so that a server can confine each
box to `agent.<agent>.*`, `session.<agent>.>` and `instance.<agent>.>`.
"""

GATEWAY_SETTINGS = "gateway.settings"
"""SettingsChanged, to every gateway node."""

GATEWAY_REVOKED = "gateway.revoked"
"""Revocation, to the nodes that hold sockets of whom it concerns."""

ANNOUNCE_ALL = "agent.*.announce"
SESSIONS_ALL = "gateway.sessions.*"
STATE_ALL = "session.*.*.state"
HELLO_ALL = "session.*.*.hello"
STATS_ALL = "instance.>"
QUEUE_GATEWAY = "gateway"


def announce(agent: str) -> str:
    """AgentAnnounce, every 2 s and on every change."""
    return f"agent.{agent}.announce"


def launch(agent: str) -> str:
    """Request: LaunchRequest -> LaunchReply, or an error with its code."""
    return f"agent.{agent}.launch"


def stop(agent: str) -> str:
    """Request: StopRequest -> Done."""
    return f"agent.{agent}.stop"


def sessions(agent: str) -> str:
    """Request: SessionRequest -> SessionGrant. Queue group `gateway`: answered once."""
    return f"gateway.sessions.{agent}"


def up(session: str) -> str:
    """Request: PeerEvent of kind `open` -> Opened. Published: the other kinds of PeerEvent."""
    return f"session.{_words(session)}.up"


def down(session: str, peer: str) -> str:
    """PeerReply, from the streamer to the gateway node that holds the peer's socket."""
    return f"session.{_words(session)}.down.{peer}"


def hello(session: str) -> str:
    """StreamerHello: a (re)started streamer asks gateways to open their sockets' peers again."""
    return f"session.{_words(session)}.hello"


def state(session: str) -> str:
    """SessionState, from streamer (active) and agent (terminating, terminated, error)."""
    return f"session.{_words(session)}.state"


def publication(session: str) -> str:
    """Request: Publication -> Done. The box tells the streamer where its stream goes as well."""
    return f"session.{_words(session)}.publication"


def recording(session: str) -> str:
    """Request: RecordOrder -> Recorded. The box has the streamer record, or end that."""
    return f"session.{_words(session)}.recording"


def screenshot(session: str) -> str:
    """Request: ScreenshotOrder -> Picture."""
    return f"session.{_words(session)}.screenshot"


def stats(instance: str) -> str:
    """InstanceStats, 1 Hz and when a viewer leaves."""
    return f"instance.{_words(instance)}.stats"


def stats_of(agent: str) -> str:
    """InstanceStats of all instances of one agent."""
    return f"instance.{agent}.*.stats"


def id_of(agent: str, own: str) -> str:
    """The id of a session or instance of `agent`; `own` has no dash."""
    return f"{agent}-{own}"


def agent_of(identity: str) -> str:
    """Whose a session or instance is."""
    return identity.rpartition("-")[0]


def own_of(identity: str) -> str:
    """What a session or instance is called by its agent."""
    return identity.rpartition("-")[2]


def belongs(identity: str, agent: str) -> bool:
    """Whether a session or instance is one of `agent`."""
    return agent_of(identity) == agent


def inbox(agent: str) -> str:
    """Where a confined box gets its answers."""
    return f"_INBOX_{agent}"


JOIN_ALL = "channel.*.join"
PRESENCE_ALL = "channel.*.presence"
MAIL_ALL = "mail.>"
"""ChannelMail: `mail.<channel>.<recipient>.<sender>`, where `+` is the master, `~` records, `!` arrives.

No word has an `@`: between the servers of a cluster, what is after the last one is taken for the subject.
"""
MASTER = "+"
STORAGE = "~"
ARRIVALS = "!"


def presence(channel: str) -> str:
    """ChannelPresence, every 5 s and on every change; `channel` is its key."""
    return f"channel.{channel}.presence"


def join(channel: str) -> str:
    """ChannelJoin, to the nodes that bridge it to its instance or hold its viewers."""
    return f"channel.{channel}.join"


def deleted(channel: str) -> str:
    """ChannelDeleted, to the nodes that hold its sockets."""
    return f"channel.{channel}.deleted"


def mail(channel: str, recipient: str, sender: str) -> str:
    """ChannelMail from one client of a channel to another, by their words."""
    return f"mail.{channel}.{recipient}.{sender}"


def mail_of(channel: str) -> str:
    """All ChannelMail of a channel."""
    return f"mail.{channel}.>"


def word(name: str) -> str:
    """A name of letters, digits, `_`, `-` and `.` as one word of a subject."""
    return name.replace(".", "=")


def unword(word: str) -> str:
    """The name that `word` was made of."""
    return word.replace("=", ".")


def _words(identity: str) -> str:
    return ".".join(identity.rsplit("-", 1))
