"""asyncio asks for 256 KiB with each read, which malloc maps and unmaps anew: 15 of 16 us of a datagram."""

from asyncio import selector_events, unix_events

READ_BYTES = 1 << 16  # the largest datagram; malloc takes that from what it has


def install() -> None:
    """Ask for less, in the whole process."""
    for transport in (
        vars(selector_events)["_SelectorTransport"],
        vars(unix_events)["_UnixReadPipeTransport"],
    ):
        transport.max_size = READ_BYTES
