"""Token buckets: how often one caller may do a thing."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

_CALLERS = 4096


class RateLimit:
    """`rate` a second and `burst` at once for each caller; the least recent callers are forgotten."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def adjust(self, rate: float, burst: float) -> None:
        """Another rate from now on; what callers have used stays used."""
        self._rate, self._burst = rate, burst

    def allows(self, caller: str = "") -> bool:
        """Count one; False where that is too much."""
        now = self._clock()
        left, since = self._left.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= 1
        self._left[caller] = (left - 1 if allowed else left, now)
        if len(self._left) > _CALLERS:
            self._left.popitem(last=False)
        return allowed


def caller_of(address: str | None) -> str:
    """The address, or its /64 for IPv6, since one machine has all of that."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
