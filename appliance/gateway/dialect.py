"""The objects of the Anbox dialect, as they travel over HTTP: bodies strict, answers complete."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from appliance.bus.messages import IceServer, ScreenWish, SessionStatus
from appliance.gateway.operations import Body
from appliance.gateway.sessions import SessionRecord
from appliance.gateway.shares import ShareRecord

_IDLE_MINUTES_MAX = 366 * 24 * 60
_UNIX_TIME_MAX = 2**53 - 1
_VERSION_MAX = 2**31 - 1
_EXPIRY = "unix time within the next 30 days; 0: not said"

Kind = Literal["adb", "view", "control"]
"""Of a share: `adb` is Anbox's; the others are ours and lead to the stream."""

UnixTime = Annotated[int, Field(ge=0, le=_UNIX_TIME_MAX)]


class SessionPost(Body):
    """What a client asks for."""

    app: str = Field(min_length=1)
    region: str = ""
    joinable: bool = False
    ephemeral: bool = True
    screen: ScreenWish | None = None
    extra_data: JsonValue = None
    idle_time_min: int | None = Field(None, ge=0, le=_IDLE_MINUTES_MAX, description="0: until it is deleted")
    app_version: int | None = Field(None, ge=-1, le=_VERSION_MAX, description="-1, 0 or none: the latest")


class JoinPost(Body):
    """The screen a client would like; `disconnect_clients` is history and ignored."""

    screen: ScreenWish | None = None


class IdsToDelete(Body):
    """Sessions to delete."""

    ids: list[str] = Field(min_length=1, max_length=1000)


class SharePost(Body):
    """A share to be made; `expiry_min` is the older spelling of when it ends."""

    type: Kind = "adb"
    description: str = Field("", max_length=200)
    expiry_at: UnixTime = Field(0, description=_EXPIRY)
    expiry_min: int = Field(0, ge=0, le=_IDLE_MINUTES_MAX, description="0: not said")


class SharePatch(Body):
    """What may change of a share."""

    description: str | None = Field(None, max_length=200)
    expiry_at: UnixTime = Field(0, description=_EXPIRY)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Health(_Answer):
    """How the gateway is; `database_nodes` are those of the bus."""

    status: Literal["healthy", "unhealthy"]


class FullHealth(Health):
    """What those learn who have a token."""

    agents: int
    database_nodes: int


class Named(_Answer):
    """An application or a region."""

    name: str


class Invitation(_Answer):
    """A WebSocket URL that carries its own credential, and the ICE servers for the way behind it."""

    url: str
    stun_servers: list[IceServer]


class SessionMade(Invitation):
    """A new session, and the way into it."""

    id: str
    joinable: bool
    region: str
    status: SessionStatus


class SessionShown(_Answer):
    """A session; `container_id` is its instance and `cluster_id` the agent that runs it."""

    id: str
    app: str
    region: str
    joinable: bool
    status: SessionStatus
    status_message: str
    container_id: str
    cluster_id: str

    @classmethod
    def of(cls, record: SessionRecord) -> Self:
        """In the words of the dialect."""
        return cls(
            id=record.id,
            app=record.app,
            region=record.region,
            joinable=record.joinable,
            status=record.status,
            status_message=record.status_message,
            container_id=record.instance or "",
            cluster_id=record.agent,
        )


class NotDeleted(_Answer):
    """A session that could not be deleted, and why."""

    session_id: str
    error_message: str
    status_code: int


class Deleted(_Answer):
    """What became of a batch."""

    deleted_sessions: list[str]
    errors: list[NotDeleted]


class ShareMade(_Answer):
    """A new share with its link."""

    id: str
    type: Kind
    url: str
    expiry_at: int
    expiry_min: int


class ShareListed(_Answer):
    """A share without its link; times are unix times, and `expiry_min` is how long it holds in all."""

    id: str
    session_id: str
    type: str
    description: str
    created_at: int
    expiry_at: int
    expiry_min: int

    @classmethod
    def of(cls, record: ShareRecord) -> Self:
        """In the words of the dialect."""
        return cls(
            id=record.id,
            session_id=record.session,
            type=record.type,
            description=record.description,
            created_at=record.created_at,
            expiry_at=record.expires_at,
            expiry_min=record.minutes,
        )


class ShareShown(ShareListed):
    """A share with its link."""

    url: str
