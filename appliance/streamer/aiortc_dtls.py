"""The adapter's part for DTLS: less around each packet of a handshake, and of what data channels say.

aiortc makes a task for each packet of a handshake, and wakes one for each packet with messages.
Each private has a test that fails when it moves.
"""

import asyncio
import functools
import logging
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

import aiortc.rtcdtlstransport
from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS, RTCDtlsTransport
from cryptography import x509
from OpenSSL import SSL

from appliance.streamer.aiortc_guard import at_once

logger = logging.getLogger(__name__)

_RUN = vars(RTCDtlsTransport)["_RTCDtlsTransport__run"]
_RECORD_BYTES = 1500

T = TypeVar("T")


def install() -> None:
    """Change what aiortc does for the whole process."""
    dtls = vars(aiortc.rtcdtlstransport)
    dtls["certificate_digest"] = _digest
    dtls["asyncio"] = SimpleNamespace(**{**vars(asyncio), "wait_for": _within})
    RTCDtlsTransport._RTCDtlsTransport__run = _run  # type: ignore[attr-defined]


def _digest(certificate: x509.Certificate, algorithm: str) -> str:
    return certificate.fingerprint(X509_DIGEST_ALGORITHMS[algorithm]).hex(":").upper()


async def _within(waiting: Coroutine[Any, Any, T], timeout: float) -> T:  # noqa: ASYNC109 - asyncio names it
    async with asyncio.timeout(timeout):
        return await waiting


async def _run(self: RTCDtlsTransport) -> None:
    """Messages are taken in where they arrive; all else, as before, by who reads what was received."""
    connection: Any = self.transport._connection
    connection.on_messages = functools.partial(_take, self)
    try:
        await _RUN(self)
    finally:
        connection.on_messages = None


def _take(dtls: Any, data: bytes) -> None:
    """One packet, as it came. What fails here ends the transport, as it does in aiortc."""
    dtls._RTCDtlsTransport__rx_bytes += len(data)
    dtls._RTCDtlsTransport__rx_packets += 1
    try:
        dtls._ssl.bio_write(data)
        message = dtls._ssl.recv(_RECORD_BYTES)
        if message and dtls._data_receiver:
            at_once(dtls._data_receiver._handle_data(message))
    except SSL.Error as exc:
        logger.debug("no message: %r", exc)
    except ConnectionError as exc:
        logger.debug("no way to answer: %s", exc)
        dtls._task.cancel()
    except Exception:
        logger.exception("messages of a viewer failed")
        dtls._task.cancel()
