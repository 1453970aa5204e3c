"""Store and forward: what one connection to a channel is to be handed, whichever node holds the other end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from appliance.bus.channel_messages import ChannelMail
from appliance.bus.connection import Bus
from appliance.bus.mail import OF_ONE_SENDER, Letter, Mail
from appliance.bus.subjects import ARRIVALS, MASTER, STORAGE, mail, unword, word
from appliance.errors import UnavailableError
from appliance.signaling.kinesis import Action, Delivery, Request

logger = logging.getLogger(__name__)

MOST_SECONDS = 120
"""No channel keeps its messages for longer."""
_AGAIN_SECONDS = 1.0
_SENDERS_MOST = 1024


@dataclass(frozen=True, slots=True)
class Held:
    """A message on its way; that of the master, or of who records, has no `sender`.

    Without an action, a connection arrives. Times are the server's: the nodes' own clocks may differ.
    """

    sender: str
    number: int
    at: float
    action: Action | None
    mail: ChannelMail

    @classmethod
    def of(cls, letter: Letter[ChannelMail]) -> "Held":
        """As it lies on the bus."""
        sender, mail = letter.subject.rpartition(".")[2], letter.content
        if mail.action == "ARRIVAL":
            return cls("", letter.number, letter.at, None, mail)
        named = sender not in (MASTER, STORAGE)
        return cls(unword(sender) if named else "", letter.number, letter.at, Action(mail.action), mail)


class Inbox:
    """What `connection` hands over of all that came for its client; without sockets, and without a clock.

    What comes before the connection's own arrival is its backlog, from then on it is live. The arrival of
    another one takes over. A master (`redelivers`) keeps an offer, with what came before it and followed it,
    until it is answered: a master that comes back before that gets it again.
    """

    def __init__(self, connection: str, *, redelivers: bool) -> None:
        self.superseded = False
        self._connection = connection
        self._redelivers = redelivers
        self._backlog: list[Held] | None = []
        self._newer = False
        """Whether another one came after this connection did."""
        self._unanswered: dict[str, dict[str, int] | None] = {}
        """By sender: ids and numbers of what was handed over and still lies there; None once answered."""

    def begin(self) -> None:
        """Read everything once more, as after an outage of the bus."""
        self._backlog = []

    def take(self, held: Held) -> list[Held]:
        """What to hand over now that `held` is there."""
        if held.action is None:
            return self._arrived(held)
        if self._backlog is None:
            return self._fresh([held], held.at)
        self._backlog.append(held)
        return []

    def _arrived(self, arrival: Held) -> list[Held]:
        ours = arrival.mail.id == self._connection
        if not arrival.mail.again:
            self._newer = not ours
        self.superseded |= self._newer and (ours or self._backlog is None)
        if self.superseded or not ours:
            return []
        backlog, self._backlog = self._backlog or [], None
        return self._fresh(_not_overwritten(backlog), arrival.at)

    def _fresh(self, messages: Iterable[Held], now: float) -> list[Held]:
        return [
            each
            for each in messages
            if each.at + each.mail.ttl_s > now
            and each.mail.id not in (self._unanswered.get(each.sender) or {})
        ]

    def handed_over(self, held: Held) -> bool:
        """Whether it may be dropped, now that it was handed over."""
        if not self._redelivers:
            return True
        kept = self._unanswered.setdefault(held.sender, {})
        if kept is None and held.action is not Action.OFFER:
            return True
        if kept is None:
            kept = self._unanswered[held.sender] = {}
        if len(self._unanswered) > _SENDERS_MOST:
            del self._unanswered[next(iter(self._unanswered))]
        kept[held.mail.id] = held.number
        if len(kept) > OF_ONE_SENDER:  # the oldest does not lie there any more
            del kept[next(iter(kept))]
        return False

    def answered(self, sender: str) -> int:
        """An answer went to `sender`: the number of the last message of it that may be dropped, or 0."""
        if sender not in self._unanswered:
            return 0
        kept, self._unanswered[sender] = self._unanswered[sender] or {}, None
        return max(kept.values(), default=0)


def _not_overwritten(messages: list[Held]) -> list[Held]:
    """Without the offers and answers that newer ones replace, and without what belonged to such an offer."""
    newest: dict[str, Held] = {}
    anew = set()
    for each in messages:
        if each.action is Action.CANDIDATE:
            continue
        if each.action is Action.OFFER and each.sender in newest:
            anew.add(each.sender)
        newest[each.sender] = each

    def stands(held: Held) -> bool:
        if held.number >= newest.get(held.sender, held).number:
            return True
        return held.action is Action.CANDIDATE and held.sender not in anew

    return [each for each in messages if stands(each)]


class Mailbox:
    """The mail of one connection to the channel with this key.

    `client` is empty for the master, and STORAGE for who records. Who names nobody means the master; the
    master means who records.
    """

    def __init__(self, bus: Bus, mail: Mail[ChannelMail], channel: str, client: str, connection: str) -> None:
        self._bus = bus
        self._mail = mail
        self._channel = channel
        self._me = word(client) or MASTER
        self._other = MASTER if client else STORAGE
        self._connection = connection
        self._inbox = Inbox(connection, redelivers=not client)
        self._arrived = False

    @property
    def superseded(self) -> bool:
        """Whether a newer connection of the same client gets everything from now on."""
        return self._inbox.superseded

    async def send(self, request: Request, ttl_s: float, letter: str) -> None:
        """Leave it for its recipient; the same `letter` sent again is one. Raises UnavailableError."""
        recipient = word(request.recipient) or self._other
        content = ChannelMail(id=letter, action=request.action.value, payload=request.payload, ttl_s=ttl_s)
        await self._mail.post(mail(self._channel, recipient, self._me), content, once=letter)
        if request.action is Action.ANSWER and (last := self._inbox.answered(request.recipient)):
            await self._drop(recipient, last)

    async def clear(self) -> None:
        """Forget what the master has said so far. Raises UnavailableError while the bus is away."""
        await self._mail.drop(mail(self._channel, self._me, MASTER))

    async def receive(self, hand_over: Callable[[Delivery], Awaitable[None]]) -> None:
        """Hand over what waits and what comes, until another connection takes over."""
        while not self.superseded:
            epoch = self._bus.epoch
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(self._receive(hand_over))
                again = group.create_task(self._bus.reconnected(epoch))
                await asyncio.wait((receiving, again), return_when=asyncio.FIRST_COMPLETED)
                receiving.cancel()
                again.cancel()

    async def _receive(self, hand_over: Callable[[Delivery], Awaitable[None]]) -> None:
        """On one connection of the bus."""
        self._inbox.begin()
        try:
            async with self._mail.read(mail(self._channel, self._me, "*")) as letters:
                arrival = ChannelMail(id=self._connection, action="ARRIVAL", again=self._arrived)
                await self._mail.post(mail(self._channel, self._me, ARRIVALS), arrival)
                self._arrived = True
                async for letter in letters:
                    for each in self._inbox.take(Held.of(letter)):
                        if each.action:
                            await hand_over(Delivery(each.action, each.mail.payload, each.sender))
                        if self._inbox.handed_over(each):
                            await self._drop(word(each.sender) or self._other, each.number)
                    if self.superseded:
                        return
        except UnavailableError as exc:
            logger.info("channel %s: nothing is received for now: %s", self._channel, exc)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _drop(self, sender: str, through: int) -> None:
        """What cannot be dropped now is handed over once more at worst, and not for long."""
        try:
            await self._mail.drop(mail(self._channel, self._me, sender), through)
        except UnavailableError as exc:
            logger.debug("channel %s: %s", self._channel, exc)
