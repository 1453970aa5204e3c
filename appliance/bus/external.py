"""A bus that somebody else keeps."""

from appliance.bus.connection import BusAddress
from appliance.config import BusSection


def external(section: BusSection) -> BusAddress:
    """Where [bus] says that it is."""
    return BusAddress(section.url, credentials=section.credentials, ca=section.ca)
