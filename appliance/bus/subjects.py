"""Subjects on the bus. Routed by session id, never by agent id, once a session exists."""

GATEWAY_SESSIONS = "gateway.sessions"
"""Request: SessionRequest -> SessionGrant. Queue group `gateway`: answered once."""

GATEWAY_SETTINGS = "gateway.settings"
"""SettingsPatch: what `PATCH /1.0/config` has changed so far, told to every gateway node."""

ANNOUNCE_ALL = "agent.*.announce"
STATE_ALL = "session.*.state"
STATS_ALL = "instance.*.stats"
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


def up(session: str) -> str:
    """Request: PeerEvent of kind `open` -> Done. Published: the other kinds of PeerEvent."""
    return f"session.{session}.up"


def down(session: str, peer: str) -> str:
    """PeerReply, from the streamer to the gateway node that holds the peer's socket."""
    return f"session.{session}.down.{peer}"


def hello(session: str) -> str:
    """StreamerHello: a (re)started streamer asks gateways to open their sockets' peers again."""
    return f"session.{session}.hello"


def state(session: str) -> str:
    """SessionState, from streamer (active) and agent (terminating, terminated, error)."""
    return f"session.{session}.state"


def stats(instance: str) -> str:
    """InstanceStats, 1 Hz and when a viewer leaves."""
    return f"instance.{instance}.stats"
