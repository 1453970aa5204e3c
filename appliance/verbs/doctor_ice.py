"""Legs of the media: the port, the STUN servers, and each TURN server from its name to an echo through it."""

import asyncio
import errno
import functools
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from aioice import stun

from appliance.config import Config
from appliance.control.snapshot import Snapshot
from appliance.ice import LIFETIME_SECONDS, credentials
from appliance.verbs.proof import Check, within
from appliance.verbs.turn_client import Server, TurnClient, binding, turn_client

_LEG_SECONDS = 4.0
_CHECK_SECONDS = 25.0
_UNAUTHORIZED, _FORBIDDEN, _QUOTA, _FULL = 401, 403, 486, 508
_NEVER = 2**31 - 1
_STATUS = "sudo systemctl status fanlight-turn (or coturn) there"


class _BrokenLegError(Exception):
    """The leg that fails, why, and what mends it."""

    def __init__(self, leg: str, why: str, fix: str) -> None:
        super().__init__(f"{leg}: {why}")
        self.fix = fix


def ice_port(config: Config, snapshot: Snapshot | None) -> Check:
    """Open the UDP ports of the media, as streamers do, unless one of ours has them. Blocks."""
    name, first = "ICE port", config.ice.udp_port
    wanted = range(first, min(first + config.limits.instances, 65536)) if first else range(1)
    said = [each.stats for each in snapshot.instances if not each.box] if snapshot else []
    ours = sorted({each.udp_port for each in said if each and each.udp_port})
    blocked = {port: exc for port in wanted if port not in ours and (exc := _refusal(port))}
    news = [f"instances use UDP {_listed(ours)}"] if ours else []
    if free := [port for port in wanted if port not in ours and port not in blocked]:
        news.append(f"UDP {_listed(free)} can be opened" if first else "any UDP port can be opened")
    if not blocked:
        return Check(name, True, "; ".join(news))
    taken = all(exc.errno == errno.EADDRINUSE for exc in blocked.values())
    if taken and len(blocked) <= said.count(None):
        news.append(f"UDP {_listed(blocked)} is taken, maybe by an instance that starts")
        return Check(name, None, "; ".join(news))
    reasons = sorted({str(exc.strerror) for exc in blocked.values()})
    port = next(iter(blocked))
    fix = f"sudo ss -ulpn 'sport = :{port}' shows who has it; or set [ice] udp_port"
    return Check(name, False, "; ".join([f"UDP {_listed(blocked)}: {', '.join(reasons)}", *news]), fix)


def _refusal(port: int) -> OSError | None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind(("", port))
        except OSError as exc:
            return exc
    return None


def _listed(ports: Iterable[int]) -> str:
    """`40000 to 40003, 40005`."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and port == runs[-1][-1] + 1:
            runs[-1].append(port)
        else:
            runs.append([port])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


async def servers(config: Config, state_dir: Path) -> list[Check]:
    """One check for each STUN and TURN URL, side by side."""
    ice = config.ice
    trust = await asyncio.to_thread(_trust, state_dir)
    proofs = {f"STUN {url}": functools.partial(_stun, url) for url in ice.stun}
    if ice.turn_secret:
        proofs |= {f"TURN {url}": functools.partial(_turn, url, ice.turn_secret, trust) for url in ice.turn}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(within(_CHECK_SECONDS, name, proof)) for name, proof in proofs.items()]
    checks = [task.result() for task in tasks]
    if not ice.turn:
        checks.append(
            Check("TURN", None, "none in the configuration: viewers must reach this machine directly")
        )
    elif not ice.turn_secret:
        fix = "set [ice] turn_secret; where it is in a file that only root may read: sudo fanlight doctor"
        checks.append(Check("TURN", False, "ice.turn is set without ice.turn_secret", fix))
    return checks


def _trust(state_dir: Path) -> ssl.SSLContext:
    """What browsers trust, with the authority of this box, as in browsers that were given it. Blocks."""
    context = ssl.create_default_context()
    own = state_dir / "tls" / "ca.pem"
    try:
        context.load_verify_locations(own)
    except (
        OSError,
        ssl.SSLError,
    ):  # none, or not for us to read: then its certificate is judged as anybody's
        return context
    return context


async def _stun(url: str) -> Check:
    name = f"STUN {url}"
    try:
        server = await _resolved(url)
        try:
            async with asyncio.timeout(_LEG_SECONDS):
                seen = await binding(server)
        except OSError as exc:
            raise _unreachable(server, exc) from exc
    except _BrokenLegError as exc:
        return Check(name, False, str(exc), exc.fix)
    return Check(name, True, f"sees this machine as {seen[0]}")


async def _turn(url: str, secret: str, trust: ssl.SSLContext) -> Check:
    name = f"TURN {url}"
    try:
        server = await _resolved(url)
        username, password = credentials(secret, "doctor", int(time.time()) + LIFETIME_SECONDS)
        await _reach(server)
        try:
            async with turn_client(server, username, password, trust) as client:
                await _allocate(client, server, secret, trust)
                seconds = await _echo(client)
        except ssl.SSLError as exc:
            raise _insecure(server, exc) from exc
        except OSError as exc:
            raise _unreachable(server, exc) from exc
    except _BrokenLegError as exc:
        return Check(name, False, str(exc), exc.fix)
    return Check(name, True, f"relays through {client.relayed[0]}, there and back in {seconds * 1e3:.1f} ms")


async def _resolved(url: str) -> Server:
    server = Server.of(url)
    try:
        await asyncio.get_running_loop().getaddrinfo(server.host, server.port)
    except (OSError, UnicodeError) as exc:  # what cannot be a name is not even asked for
        why = f"{server.host} has no address: {getattr(exc, 'strerror', None) or exc}"
        raise _BrokenLegError("name", why, "correct [ice], or the DNS") from exc
    return server


async def _reach(server: Server) -> None:
    """A port that takes connections but answers nothing is another fault than one that is shut."""
    if server.transport == "tcp":
        try:
            async with asyncio.timeout(_LEG_SECONDS):
                _, writer = await asyncio.open_connection(server.host, server.port)
        except OSError as exc:
            raise _unreachable(replace(server, secure=False), exc) from exc
        writer.transport.abort()


def _unreachable(server: Server, exc: OSError) -> _BrokenLegError:
    """Nobody there, or somebody who drops packets: TimeoutError is an OSError too."""
    leg = server.transport.upper()
    if server.secure:  # a connection was made before: it is the handshake that failed
        return _BrokenLegError(
            "TLS", f"{server} completes no handshake", "is it tls-listening-port of coturn?"
        )
    if isinstance(exc, TimeoutError):
        fix = (
            f"open {leg} {server.port} there and in between: sudo ufw allow {server.port}/{server.transport}"
        )
        return _BrokenLegError(leg, f"no answer from {server}: blocked on the way", fix)
    if isinstance(exc, ConnectionRefusedError):
        return _BrokenLegError(leg, f"nothing listens on {server}", _STATUS)
    return _BrokenLegError(
        leg, f"{server}: {exc.strerror or exc}", "check the route: ip route get the address"
    )


def _insecure(server: Server, exc: ssl.SSLError) -> _BrokenLegError:
    if isinstance(exc, ssl.SSLCertVerificationError):
        why = f"the certificate of {server} is refused, by browsers too: {exc.verify_message}"
        return _BrokenLegError(
            "TLS", why, "give coturn (cert=, pkey=) a valid one for this name, and restart it"
        )
    return _BrokenLegError(
        "TLS", f"{server} speaks no TLS: {exc.reason}", f"tls-listening-port={server.port}"
    )


async def _allocate(client: TurnClient, server: Server, secret: str, trust: ssl.SSLContext) -> None:
    try:
        async with asyncio.timeout(_LEG_SECONDS):
            await client.allocate()
    except TimeoutError:
        raise (ConnectionRefusedError() if client.unheard else TimeoutError()) from None
    except stun.TransactionFailed as exc:
        code, reason = exc.response.attributes["ERROR-CODE"]
        if code == _UNAUTHORIZED:
            raise await _why_refused(server, secret, trust) from exc
        fix = "raise user-quota and total-quota" if code == _QUOTA else "widen min-port to max-port"
        fix = fix if code in (_QUOTA, _FULL) else "its log says more: sudo journalctl -u fanlight-turn"
        raise _BrokenLegError("allocation", f"refused: {code} {reason}", f"{fix} (turnserver.conf)") from exc
    if not client.asked_for_credentials:
        why = "it relays for anybody, without credentials"
        raise _BrokenLegError("allocation", why, "use-auth-secret in turnserver.conf, without no-auth")


async def _why_refused(server: Server, secret: str, trust: ssl.SSLContext) -> _BrokenLegError:
    """coturn says 401 to a wrong secret and to an expiry in the past: try one that no clock has reached."""
    username, password = credentials(secret, "doctor", _NEVER)
    try:
        async with turn_client(server, username, password, trust) as again, asyncio.timeout(_LEG_SECONDS):
            await again.allocate()
    except stun.TransactionFailed:
        why = "refused: the secret here is not the one there"
        return _BrokenLegError(
            "allocation", why, "[ice] turn_secret must be static-auth-secret of turnserver.conf"
        )
    hours = LIFETIME_SECONDS // 3600
    why = f"refused as expired: the clocks here and there differ by more than {hours} h"
    return _BrokenLegError("allocation", why, "sudo timedatectl set-ntp true, here and there")


async def _echo(client: TurnClient) -> float:
    try:
        async with asyncio.timeout(_LEG_SECONDS):
            return await client.round_trip()
    except stun.TransactionFailed as exc:
        code, reason = exc.response.attributes["ERROR-CODE"]
        where = ", ".join(client.own_addresses)
        fix = "".join(f"allowed-peer-ip={each} " for each in client.own_addresses) + "in turnserver.conf"
        leg = "permission" if code == _FORBIDDEN else "channel"
        raise _BrokenLegError(leg, f"it may not relay to {where}: {code} {reason}", fix) from exc
    except TimeoutError:
        why = f"nothing came through {client.relayed[0]}:{client.relayed[1]}"
        fix = "open UDP min-port to max-port of turnserver.conf there; behind a router: external-ip"
        raise _BrokenLegError("echo", why, fix) from None
