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

    def allows(self, caller: str = "", cost: float = 1) -> bool:
        """Count `cost`; False, and nothing is counted, where that is too much."""
        left = self._left_of(caller)
        allowed = left >= cost
        self._left[caller] = (left - cost if allowed else left, self._clock())
        self._left.move_to_end(caller)
        if len(self._left) > _CALLERS:
            self._left.popitem(last=False)
        return allowed

    def exhausted(self, caller: str = "") -> bool:
        """Whether one more would be too much; counts nothing."""
        return self._left_of(caller) < 1

    def _left_of(self, caller: str) -> float:
        now = self._clock()
        left, since = self._left.get(caller, (self._burst, now))
        return min(self._burst, left + (now - since) * self._rate)


def caller_of(address: str | None) -> str:
    """The address, or its /64 for IPv6, since one machine has all of that."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
