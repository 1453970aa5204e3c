"""The clock of RTP: NTP timestamps of 64 bits, RFC 3550 section 4."""

import time

_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_ERA = (1 << 64) - 1
"""The era that begins in 2036 starts again from zero."""


def ntp_now() -> int:
    """The time by the wall clock."""
    return int((time.time() + _EPOCH) * (1 << 32)) & _ERA


def ntp_of(at_ns: int) -> int:
    """When time.monotonic_ns() was `at_ns`."""
    return ntp_now() - ((time.monotonic_ns() - at_ns) << 32) // 1_000_000_000 & _ERA
