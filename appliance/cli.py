"""The command line: verbs, their arguments, and the exit code of every error."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from appliance import __version__, paths
from appliance.errors import FanlightError

if TYPE_CHECKING:
    from appliance.verbs.context import Context

DONE, FAILED, USAGE, UNREACHABLE, NOT_FOUND, REFUSED = range(6)
_INTERRUPTED = 130
_EVERYWHERE = {"--config": 2, "--state-dir": 2, "--runtime-dir": 2, "--json": 1}
"""The global options, and how many words each is."""

_EXIT_BY_CODE = {
    "bad_config": USAGE,
    "invalid": USAGE,
    "not_found": NOT_FOUND,
    "refused": REFUSED,
    "unauthorized": REFUSED,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    args = parser().parse_args(_spelled_out(sys.argv[1:] if argv is None else argv))
    try:
        return _dispatch(args)
    except FanlightError as exc:
        print(f"fanlight: {exc}", file=sys.stderr)
        return exit_code(exc)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout left; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as exc:
        print(f"fanlight: {exc}", file=sys.stderr)
        return FAILED


def _spelled_out(argv: Sequence[str]) -> list[str]:
    """`enroll URL CODE` is short for `enroll at URL CODE`."""
    words = list(argv)
    if "enroll" in words:
        url = at = words.index("enroll") + 1
        while url < len(words) and (length := _EVERYWHERE.get(words[url].partition("=")[0])):
            url += 1 if "=" in words[url] else length
        if any("://" in word for word in words[url : url + 1]):
            words.insert(at, "at")
    return words


def exit_code(error: FanlightError) -> int:
    """The documented exit code of `error`."""
    from appliance.control.client import ControlUnreachableError

    return (
        UNREACHABLE if isinstance(error, ControlUnreachableError) else _EXIT_BY_CODE.get(error.code, FAILED)
    )


def _dispatch(args: argparse.Namespace) -> int:
    from appliance.verbs.context import Context

    context = Context(
        config_file=args.config,
        state_dir=args.state_dir or paths.state_dir(),
        runtime_dir=args.runtime_dir or paths.runtime_dir(),
        json=args.json,
    )
    return verb(args.verb_at)(context, args)


def verb(where: str) -> "Callable[[Context, argparse.Namespace], int]":
    """The function at `module:name` of appliance.verbs; only this verb's libraries are loaded."""
    module, _, name = where.partition(":")
    found = getattr(importlib.import_module(f"appliance.verbs.{module}"), name)
    return cast("Callable[[Context, argparse.Namespace], int]", found)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="fanlight",
        description="The desktop of this machine in any browser on the network.",
        epilog="exit codes: 0 done, 1 failed, 2 usage or bad configuration, 3 daemon not reachable, "
        "4 not found, 5 refused",
    )
    top.add_argument("--version", action="version", version=f"fanlight {__version__}")
    _global_options(top, default=None)
    top.set_defaults(json=False)
    anywhere = argparse.ArgumentParser(add_help=False)
    _global_options(anywhere, default=argparse.SUPPRESS)
    verbs = _Verbs(top.add_subparsers(metavar="VERB", required=True), anywhere)
    _add_box_verbs(verbs)
    _add_instance_verbs(verbs)
    _add_people_verbs(verbs)
    _add_enroll_verbs(verbs)
    return top


def _global_options(target: argparse.ArgumentParser, default: str | None) -> None:
    group = target.add_argument_group("everywhere")
    group.add_argument("--config", type=Path, metavar="FILE", default=default, help="configuration file")
    group.add_argument(
        "--state-dir", type=Path, metavar="DIR", default=default, help="keys, devices, accounts"
    )
    group.add_argument("--runtime-dir", type=Path, metavar="DIR", default=default, help="holds control.sock")
    group.add_argument("--json", action="store_true", default=default, help="print JSON")


class _Verbs:
    """Adds verbs that all take the global options."""

    def __init__(
        self,
        actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
        anywhere: argparse.ArgumentParser,
    ) -> None:
        self._actions = actions
        self._anywhere = anywhere

    def add(self, name: str, where: str, text: str) -> argparse.ArgumentParser:
        """A verb that is done by `where`, a `module:function` of appliance.verbs."""
        added = self._actions.add_parser(name, help=text, description=text, parents=[self._anywhere])
        added.set_defaults(verb_at=where)
        return added

    def under(self, name: str, text: str) -> "_Verbs":
        """A verb with verbs of its own."""
        added = self._actions.add_parser(name, help=text, description=text, parents=[self._anywhere])
        return _Verbs(added.add_subparsers(metavar="WHAT", required=True), self._anywhere)

    def below(self, verb: argparse.ArgumentParser) -> "_Verbs":
        """Verbs of a verb that does something by itself, too."""
        return _Verbs(verb.add_subparsers(metavar="WHAT"), self._anywhere)


def _add_box_verbs(verbs: _Verbs) -> None:
    verbs.add("run", "run:run", "the daemon, in the foreground")
    verbs.add("gateway", "run:gateway", "a gateway alone, for boxes elsewhere, in the foreground")
    verbs.add("status", "status:status", "health, encoder and why, instances, viewers")
    tui = verbs.add("tui", "tui:tui", "the terminal UI, of this box or of another over ssh")
    tui.add_argument("box", nargs="?", metavar="BOX", help="host name for ssh; default: this box")
    tui.add_argument("--read-only", action="store_true", help="look, and change nothing")
    discover = verbs.add("discover", "discover:discover", "boxes on the local network")
    discover.add_argument("--timeout", type=_seconds, default=3.0, metavar="S", help="seconds (default 3)")
    trail = verbs.add("audit", "audit:audit", "who came and went, and what was asked of this box")
    trail.add_argument("--last", type=_count, default=100, metavar="N", help="records (default 100)")
    drain = verbs.add("drain", "drain:drain", "take nobody new, and wait until the last viewer has left")
    drain.add_argument(
        "--timeout", type=_duration, metavar="D", help="30s, 10m: then send away who is left (default: never)"
    )
    drain.add_argument("--off", action="store_true", help="take everybody again")
    verbs.add("doctor", "checks:doctor", "prove every leg and print the fix for what fails")
    _add_bench_verbs(verbs.under("bench", "what this machine manages, measured here and now"))
    verbs.add("check-config", "checks:check_config", "file, line, key and reason for every fault")


def _add_bench_verbs(verbs: _Verbs) -> None:
    encode = verbs.add("encode", "bench:encode", "milliseconds a frame of every encoder")
    encode.add_argument("--frames", type=_count, default=120, metavar="N", help="default 120")
    latency = verbs.add("latency", "bench:latency", "from a change on a screen to its encoded frame")
    latency.add_argument("--changes", type=_count, default=60, metavar="N", help="default 60")
    fan_out = verbs.add("fan-out", "bench:fan_out", "CPU time of a packet, beside aiortc's own sender")
    fan_out.add_argument("--viewers", type=_count, default=50, metavar="N", help="default 50")
    fan_out.add_argument("--kbps", type=_count, default=8000, metavar="N", help="each (default 8000)")
    fan_out.add_argument("--seconds", type=_seconds, default=10.0, metavar="S", help="a run (default 10)")
    for each in (encode, latency, fan_out):
        each.add_argument("--runs", type=_count, default=3, metavar="N", help="medians of N (default 3)")


def _add_instance_verbs(verbs: _Verbs) -> None:
    verbs.add("apps", "instances:apps", "applications that can be launched")
    launch = verbs.add("launch", "instances:launch", "start an application")
    launch.add_argument("app", metavar="APP")
    launch.add_argument("--size", type=_size, metavar="WxH")
    launch.add_argument("--fps", type=_fps, metavar="N")
    launch.add_argument("--no-streaming", action="store_true", help="without a session, for good")
    instances = verbs.add("instances", "instances:instances", "what runs")
    logs = verbs.below(instances).add("logs", "instances:logs", "what one of them said lately")
    logs.add_argument("id", metavar="ID", help="also of one that has ended")
    logs.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="instance, streamer or application (default: all)"
    )
    verbs.add("recordings", "recordings:recordings", "what was recorded, and where it is")
    _add_footage_verbs(verbs)
    keyframe = verbs.add("keyframe", "instances:keyframe", "have an instance encode a whole picture next")
    keyframe.add_argument("instance", metavar="INSTANCE")
    stop = verbs.add("stop", "instances:stop", "stop an instance")
    stop.add_argument("id", metavar="ID")


def _add_footage_verbs(verbs: _Verbs) -> None:
    record = verbs.under("record", "record a running instance, beside those with `record = true`")
    start = record.add("start", "record:start", "record from now on; with FILE until Ctrl-C, and into it")
    stop = record.add("stop", "record:stop", "record no more; with FILE, also put what was recorded into it")
    for each in (start, stop):
        each.add_argument("instance", metavar="INSTANCE")
        text = ".mp4 or .mkv; pictures and sound are not encoded again"
        each.add_argument("file", nargs="?", type=Path, metavar="FILE", help=text)
    screenshot = verbs.add("screenshot", "screenshot:screenshot", "what an instance shows now, as PNG")
    screenshot.add_argument("instance", metavar="INSTANCE")
    screenshot.add_argument("file", type=Path, metavar="FILE", help="- is standard output")


def _add_people_verbs(verbs: _Verbs) -> None:
    verbs.add("sessions", "viewers:sessions", "sessions and their state")
    verbs.add("viewers", "viewers:viewers", "who is connected, and how well")
    kick = verbs.add("kick", "viewers:kick", "disconnect a viewer")
    kick.add_argument("id", metavar="ID")
    share = verbs.add("share", "share:share", "a link straight into the stream, no PIN")
    share.add_argument("instance", nargs="?", metavar="INSTANCE", help="default: the first that runs")
    share.add_argument("--role", choices=("view", "control"), default="view")
    share.add_argument(
        "--expires", type=_share_duration, default=12 * 3600, metavar="D", help="1h, 30m, 7d (default 12h)"
    )
    verbs.add("shares", "share:shares", "links that still hold")
    unshare = verbs.add("unshare", "share:unshare", "revoke a link, and end whoever came in by it")
    unshare.add_argument("id", metavar="ID")
    publish = verbs.add("publish", "publish:publish", "send a stream to another server as well, by WHIP")
    publish.add_argument("app", nargs="?", metavar="APP", help="or an instance; without: what is published")
    publish.add_argument("--whip", metavar="URL", help="the server's WHIP endpoint")
    secret = publish.add_mutually_exclusive_group()
    text = "what the endpoint asks for; others here can see it"
    secret.add_argument("--token", default="", metavar="TOKEN", help=text)
    secret.add_argument("--token-file", type=Path, metavar="FILE", help="the file that it stands in")
    publish.add_argument("--stop", action="store_true", help="publish it no more")
    verbs.add("pair", "share:pair", "a PIN that pairs one browser")
    verbs.add("devices", "share:devices", "paired browsers")
    unpair = verbs.add("unpair", "share:unpair", "forget a paired browser")
    unpair.add_argument("id", metavar="ID")
    accounts = verbs.under("account", "API accounts of the Anbox dialect")
    create = accounts.add("create", "accounts:create", "make an account; its token is printed this once")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--expires", type=_duration, default=None, metavar="D", help="default: never")
    accounts.add("list", "accounts:list_all", "all accounts")
    delete = accounts.add("delete", "accounts:delete", "delete an account; its token ends at once")
    delete.add_argument("name", metavar="NAME")
    keys = verbs.under("key", "access keys of the Kinesis dialect")
    create = keys.add("create", "keys:create", "make an access key; its secret is printed this once")
    create.add_argument("name", metavar="NAME")
    create.add_argument(
        "--policy", type=Path, metavar="FILE", help="JSON like an IAM policy (default: everything is allowed)"
    )
    keys.add("list", "keys:list_all", "all access keys")
    delete = keys.add("delete", "keys:delete", "delete an access key; what it signs is void at once")
    delete.add_argument("name", metavar="NAME")


def _add_enroll_verbs(verbs: _Verbs) -> None:
    text = "boxes of a gateway elsewhere: `enroll URL CODE` on the box, the others on the gateway"
    enrolments = verbs.under("enroll", text)
    at = enrolments.add("at", "enroll:enroll", "register this box at a gateway: also as `enroll URL CODE`")
    at.add_argument("url", metavar="URL")
    at.add_argument("code", metavar="CODE", help="of `fanlight enroll create` there")
    create = enrolments.add("create", "enroll:create", "a code for one box; it holds once, for 15 minutes")
    create.add_argument("name", nargs="?", default="", metavar="NAME", help="default: the box's own")
    boxes = enrolments.add("list", "enroll:list_all", "the boxes that are enrolled here")
    boxes.add_argument("--nats", action="store_true", help="as users for the configuration of nats-server")
    delete = enrolments.add("delete", "enroll:delete", "revoke a box: the bus cuts it off at once")
    delete.add_argument("name", metavar="NAME")


def _duration(text: str) -> int:
    from appliance.control.words import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
    if seconds < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is over already")
    return seconds


def _share_duration(text: str) -> int:
    from appliance.control.credentials import SHARE_SECONDS_MAX
    from appliance.control.words import duration

    seconds = _duration(text)
    if seconds > SHARE_SECONDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {duration(SHARE_SECONDS_MAX)}")
    return seconds


def _size(text: str) -> tuple[int, int]:
    from appliance.control.words import parse_size

    try:
        return parse_size(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _fps(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 240):
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate from 1 to 240")
    return int(text)


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from exc
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 3600 seconds")
    return seconds
