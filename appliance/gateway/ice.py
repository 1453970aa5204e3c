"""ICE servers for one viewer, with short-lived coturn credentials (use-auth-secret)."""

import base64
import hashlib
import hmac
import logging
import time

from appliance.bus.messages import IceServer
from appliance.config import IceSection

logger = logging.getLogger(__name__)

_LIFETIME_SECONDS = 12 * 3600


def ice_servers(section: IceSection, session: str) -> list[IceServer]:
    """What a viewer of `session` may use; empty where nothing is configured, never None.

    TURN follows draft-uberti-behave-turn-rest: user `<expiry>:<name>`, password HMAC-SHA1 of it.
    """
    servers = [IceServer(urls=section.stun)] if section.stun else []
    if section.turn and section.turn_secret:
        user = f"{int(time.time()) + _LIFETIME_SECONDS}:{session}"
        mac = hmac.new(section.turn_secret.encode(), user.encode(), hashlib.sha1).digest()
        servers.append(IceServer(urls=section.turn, username=user, password=base64.b64encode(mac).decode()))
    elif section.turn:
        logger.warning("ice.turn is not used: browsers refuse TURN without ice.turn_secret")
    return servers
