"""`fanlight screenshot`."""

import argparse
import asyncio
import base64
import sys
from fractions import Fraction
from pathlib import Path

import av
from av.codec import Codec
from av.error import FFmpegError
from av.video.frame import VideoFrame

from appliance.control.schema import IdParams, Picture
from appliance.errors import InvalidInputError, RefusedError, UnavailableError
from appliance.verbs.context import Context


def screenshot(context: Context, args: argparse.Namespace) -> int:
    """Write what an instance shows now."""
    if (aloud := args.file == Path("-")) and context.json:
        raise InvalidInputError("the picture on standard output leaves no room for --json")
    told = asyncio.run(context.client.call("screenshot", IdParams(id=args.instance), Picture))
    picture = decoded(told)
    if aloud:
        sys.stdout.buffer.write(png(picture))
        return 0
    try:
        args.file.write_bytes(png(picture))
    except PermissionError as exc:
        raise RefusedError(f"{args.file} may not be written by you") from exc
    except OSError as exc:
        raise UnavailableError(f"{args.file}: {exc.strerror}") from exc
    data = {
        "instance": args.instance,
        "file": str(args.file),
        "width": picture.width,
        "height": picture.height,
    }
    context.print(data, str(args.file))
    return 0


def decoded(told: Picture) -> VideoFrame:
    """The picture of a keyframe. Raises UnavailableError."""
    decoder = Codec(told.codec.lower(), "r").create("video")
    try:
        pictures = [*decoder.decode(av.Packet(base64.b64decode(told.data))), *decoder.decode(None)]
    except FFmpegError as exc:
        raise UnavailableError(f"the picture cannot be decoded: {exc}") from exc
    if not pictures:
        raise UnavailableError("the picture cannot be decoded")
    return pictures[0]


def png(picture: VideoFrame) -> bytes:
    """`picture` as a file."""
    encoder = Codec("png", "w").create("video")
    encoder.width, encoder.height = picture.width, picture.height
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    packets = [*encoder.encode(picture.reformat(format="rgb24")), *encoder.encode(None)]
    return b"".join(bytes(each) for each in packets)
