"""One rendition on its way to one shard, which is one subscriber of it, however many viewers it serves."""

import contextlib
from collections.abc import Callable

from appliance.streamer.frames import EncodedFrame, SourceInfo
from appliance.streamer.rtp.feed import SECOND, Queue, Subscribe
from appliance.streamer.shard.wire import Failed, Frame, Link, RenditionName, Started
from appliance.streamer.sources import Sources
from appliance.streamer.steering import SHARE


class Wish:
    """What the viewers of a shard can be sent, as one viewer that controls nothing."""

    target_bps: int | None = None

    def controls(self) -> bool:
        """See steering.Viewer."""
        return False


class Relay:
    """`wake` is called when there is something to `pump`."""

    def __init__(self, name: RenditionName, sources: Sources, wake: Callable[[], None]) -> None:
        self._name = name
        self._sources = sources
        self._wake = wake
        self._rendition = (sources.seconds if name.second else sources.renditions)[name.codec]
        self._pair = sources.pair(name.codec) if name.second else None
        self._wish = Wish()
        self._watched = contextlib.ExitStack()
        self._queue: Queue | None = None
        self._told: SourceInfo | None = None

    def watch(self, wanted: bool) -> None:
        """Whether the shard wants the frames."""
        self._watched.close()
        self._queue = self._told = None
        if wanted:
            with contextlib.ExitStack() as undo:
                self._queue = self._subscribe(undo)
                self._watched = undo.pop_all()
            self._wake()  # there may be frames already

    def request_frame(self, *, keyframe: bool) -> None:
        """The shard needs one."""
        if keyframe:
            self._rendition.request_keyframe()
        else:
            self._rendition.refresh()

    def steer(self, kbps: int) -> None:
        """The shard would have the encoder give so much."""
        self._wish.target_bps = int(kbps * 1000 / SHARE)
        if self._pair:
            self._pair.look()
        else:
            self._sources.steering(self._name.codec).heard(self._wish)

    def pump(self, link: Link) -> None:
        """Send what waits."""
        while self._queue and (frame := self._queue.take()):
            info = self._rendition.info
            if info and info != self._told:
                link.send(Started(rendition=self._name, info=info))
                self._told = info
            link.send(Frame(self._name, frame))

    def check(self, link: Link) -> None:
        """Tell the shard if there are no frames."""
        if self._queue and self._rendition.problem:
            link.send(Failed(rendition=self._name, problem=self._rendition.problem))

    def close(self) -> None:
        """The shard is gone."""
        self.watch(wanted=False)

    def _subscribe(self, stack: contextlib.ExitStack) -> Queue:
        def ready(_: EncodedFrame) -> None:
            self._wake()

        subscribe: Subscribe = self._rendition.subscribe
        if self._pair:
            subscribe = self._pair.subscriptions(self._wish)[SECOND]
        else:
            stack.enter_context(self._sources.steering(self._name.codec).heed(self._wish))
        return stack.enter_context(subscribe(ready))
