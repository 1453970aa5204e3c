"""ICE servers for one peer, with short-lived coturn credentials (use-auth-secret)."""

import base64
import hashlib
import hmac
import logging
import time

from appliance.bus.messages import IceServer
from appliance.config import IceSection

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 12 * 3600


class IceSettings:
    """The servers that clients are told of, as the settings say right now."""

    def __init__(self, section: IceSection) -> None:
        self.section = section

    def change(self, section: IceSection) -> bool:
        """Whether relays that clients were told of may not work any more."""
        old, self.section = self.section, section
        return (old.turn, old.turn_secret) != (section.turn, section.turn_secret)


def ice_servers(section: IceSection, who: str) -> list[IceServer]:
    """What the peer `who` may use; empty where nothing is configured, never None."""
    servers = [IceServer(urls=section.stun)] if section.stun else []
    if section.turn and section.turn_secret:
        username, password = credentials(section.turn_secret, who, int(time.time()) + LIFETIME_SECONDS)
        servers.append(IceServer(urls=section.turn, username=username, password=password))
    elif section.turn:
        logger.warning("ice.turn is not used: browsers refuse TURN without ice.turn_secret")
    return servers


def credentials(secret: str, who: str, expires_at: int) -> tuple[str, str]:
    """User `<expiry>:<who>`, and HMAC-SHA1 of it for a password (draft-uberti-behave-turn-rest-00)."""
    user = f"{expires_at}:{who}"
    mac = hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(mac).decode()
