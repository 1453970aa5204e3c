"""What the routes work with: the gateway's state, its secrets and its view of the boxes."""

from dataclasses import dataclass

from aiohttp import web

from appliance.bus.channel_messages import ChannelMail
from appliance.bus.connection import Bus
from appliance.bus.mail import Mail
from appliance.bus.messages import DRAINING, IceServer, ScreenWish
from appliance.bus.server import EmbeddedServer
from appliance.bus.state import Bucket, copies_on
from appliance.bus.subjects import MAIL_ALL
from appliance.config import Config
from appliance.errors import UnauthorizedError, UnavailableError
from appliance.gateway.accounts import AccountRecord, Accounts
from appliance.gateway.devices import DeviceRecord, Devices
from appliance.gateway.enrolments import BoxRecord, BusDoor, CodeRecord, Enrolments
from appliance.gateway.kinesis.authority import Authority
from appliance.gateway.kinesis.bridge import Bridge
from appliance.gateway.kinesis.cameras import Cameras
from appliance.gateway.kinesis.channels import Channel, Channels
from appliance.gateway.kinesis.keys import AccessKey, AccessKeys
from appliance.gateway.kinesis.mailbox import MOST_SECONDS
from appliance.gateway.kinesis.presence import Presence
from appliance.gateway.kinesis.quotas import Quotas, Room
from appliance.gateway.metrics import Metrics
from appliance.gateway.pins import PinBook, Pins
from appliance.gateway.registry import Registry
from appliance.gateway.sessions import SessionRecord, Sessions
from appliance.gateway.settings import LiveSettings, SettingsPatch
from appliance.gateway.shares import ShareRecord, Shares
from appliance.gateway.tickets import KeyRecord, Ticket, Tickets, shared_key
from appliance.gateway.tokens import Principal
from appliance.gateway.viewers import Viewers
from appliance.ice import IceSettings, ice_servers


@dataclass(frozen=True, slots=True)
class Context:
    """Made once the bus is there; shared by all routes."""

    config: Config
    bus: Bus
    registry: Registry
    sessions: Sessions
    accounts: Accounts
    devices: Devices
    pins: Pins
    shares: Shares
    tickets: Tickets
    viewers: Viewers
    metrics: Metrics
    settings: LiveSettings
    ice: IceSettings
    enrolments: Enrolments
    access_keys: AccessKeys
    authority: Authority
    channels: Channels
    mail: Mail[ChannelMail]
    room: Room
    presence: Presence
    cameras: Cameras

    @classmethod
    async def open(cls, config: Config, bus: Bus, server: EmbeddedServer | None = None) -> "Context":
        """Open all buckets. Raises UnavailableError without JetStream."""
        keys = await Bucket.open(bus, "keys", KeyRecord)
        registry = Registry()
        sessions = Sessions(await Bucket.open(bus, "sessions", SessionRecord), bus, registry)
        access_keys = AccessKeys(await Bucket.open(bus, "access_keys", AccessKey))
        presence = Presence(bus)
        mail = Mail(bus, "mail", MAIL_ALL, ChannelMail, max_age_s=MOST_SECONDS, replicas=copies_on(bus))
        channels = Channels(await Bucket.open(bus, "channels", Channel), sessions, config.kinesis, bus, mail)
        settings = LiveSettings(config, await Bucket.open(bus, "settings", SettingsPatch), bus)
        metrics = Metrics()
        return cls(
            config=config,
            bus=bus,
            registry=registry,
            sessions=sessions,
            accounts=Accounts(await Bucket.open(bus, "accounts", AccountRecord)),
            devices=Devices(await Bucket.open(bus, "devices", DeviceRecord)),
            pins=Pins(await Bucket.open(bus, "pins", PinBook), await shared_key(keys, "pins")),
            shares=Shares(await Bucket.open(bus, "shares", ShareRecord), await shared_key(keys, "shares")),
            tickets=Tickets(await shared_key(keys, "tickets")),
            viewers=Viewers(bus),
            metrics=metrics,
            settings=settings,
            ice=IceSettings(config.ice),
            enrolments=Enrolments(
                await Bucket.open(bus, "codes", CodeRecord),
                await Bucket.open(bus, "boxes", BoxRecord),
                BusDoor(config.bus, server),
            ),
            access_keys=access_keys,
            authority=Authority(access_keys, channels, settings, metrics),
            channels=channels,
            mail=mail,
            room=Room(Quotas.of(config.kinesis)),
            presence=presence,
            cameras=Cameras(channels, presence, sessions, registry),
        )

    def invite(
        self,
        request: web.Request,
        session: str,
        principal: Principal,
        *,
        exclusive: bool,
        page: bool = False,
        screen: ScreenWish | None = None,
    ) -> tuple[str, list[IceServer]]:
        """The WebSocket URL for `principal`, on the address that the client itself uses, and ICE servers."""
        servers = self.ice_servers(session, principal.new_peer())
        token = self.tickets.issue(
            Ticket(
                session=session,
                owner_kind=principal.kind,
                owner=principal.id,
                label=principal.label,
                role=principal.role,
                exclusive=exclusive,
                page=page,
                screen=screen,
            )
        )
        return self.socket_url(request, session, "slave", token), servers

    def bridge(self, session: str, channel: Channel) -> Bridge:
        """The way between `session` and the master of `channel`."""
        return Bridge(
            session,
            channel,
            self.bus,
            self.mail,
            self.presence,
            Quotas.of(self.config.kinesis).viewers,
            lambda peer: self.ice_servers(session, peer),
        )

    def ice_servers(self, session: str, peer: str) -> list[IceServer]:
        """For one peer of `session`, with credentials that nobody else has."""
        return ice_servers(self.ice.section, f"{session}.{peer}")

    def admit(self, record: SessionRecord, principal: Principal) -> None:
        """Raises UnavailableError where the box of `record` takes nobody new, and `principal` is that.

        A browser that is there may open its socket again; accounts and links may stand for many clients.
        """
        agent, stats = self.registry.agent(record.agent), self.viewers.of(record.id)
        if agent and agent.draining:
            there = stats.viewers if stats and principal.kind == "device" else []
            if not any(viewer.id.startswith(f"{principal.tag}-") for viewer in there):
                self.metrics.refused.labels("draining").inc()
                raise UnavailableError(DRAINING)

    @staticmethod
    def socket_url(request: web.Request, session: str, socket: str, token: str) -> str:
        """Where `socket` of `session` is, in the spelling of the Anbox dialect."""
        base = origin_of(request).replace("http", "ws", 1)
        return f"{base}/1.0/sessions/{session}/sockets/{socket}?token={token}"

    async def owner_of(self, ticket: Ticket) -> Principal:
        """Who holds `ticket`, if that is still somebody. Raises UnauthorizedError."""
        if ticket.owner_kind == "account":
            return await self.accounts.find(ticket.owner)
        if ticket.owner_kind == "device":
            return await self.devices.find(ticket.owner)
        if ticket.owner_kind == "share":
            return await self.shares.find(ticket.owner)
        raise UnauthorizedError("the token of this URL is not valid")


def origin_of(request: web.Request) -> str:
    """The origin under which the client reached us; a proxy on this machine may have ended its TLS."""
    scheme = request.scheme
    if request.remote in ("127.0.0.1", "::1"):
        scheme = "https" if request.headers.get("X-Forwarded-Proto") == "https" else scheme
    return f"{scheme}://{request.host}"
