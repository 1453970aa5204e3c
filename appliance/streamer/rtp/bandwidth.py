"""How much may be sent to one viewer: GCC (draft-ietf-rmcat-gcc-02) on transport-wide feedback, or REMB."""

from array import array

from appliance.streamer.rtp.bursts import BurstAssembler
from appliance.streamer.rtp.loss import Loss
from appliance.streamer.rtp.lull import Gist, Lull, gist_of
from appliance.streamer.rtp.probing import PLENTY, Probe, Prober
from appliance.streamer.rtp.queue_delay import StandingQueue
from appliance.streamer.rtp.rate_control import Evidence, RateControl
from appliance.streamer.rtp.receiver_estimate import ReceiverEstimate
from appliance.streamer.rtp.sent_packets import Received, Report, SentPackets
from appliance.streamer.rtp.squeeze import Squeeze
from appliance.streamer.rtp.throughput import Throughput
from appliance.streamer.rtp.trains import Trains
from appliance.streamer.rtp.transport_feedback import Feedback
from appliance.streamer.rtp.trendline import Trendline, Usage

_RTT_WEIGHT = 0.125
_RTT_UNKNOWN_S = 0.1
_RATE_S, _RATE_NOW_S = 0.5, 0.2
_REPORT_S = 1.0  # what a receiver report is about
_DRAIN_S = 0.2
_DRAIN_LEAST = 0.2
_PAUSED = 0.25
_UNTOLD_S = 1.0
_RECEIVED = 0.85  # of what it receives, a receiver allows so much where packets queue
_CLOCK_JUMP_S = 3.0
_SILENCE_S = 0.5
_SILENCE_STEP = 0.7
_ROOM, _MUCH_ROOM = 1.25, 1.5
_BLURRED_S = 0.03
_NEARLY = 0.95
_LULL_MESSAGES = 4


class BandwidthEstimator:
    """Sans-IO: times are seconds of one monotonic clock; octets are of UDP payloads, as sent."""

    def __init__(self, *, start_bps: int, floor_bps: int, ceiling_bps: int) -> None:
        self.target_bps = start_bps
        """What may be sent now, retransmissions and padding included; from floor to ceiling."""
        self.rtt_s: float | None = None
        """From sending to hearing about it, smoothed; None before the first feedback."""
        self.ceiling_bps = ceiling_bps
        """May be changed at any time; counts from the next message of feedback on."""
        self._floor_bps = floor_bps
        self._packets = SentPackets()
        self._bursts = BurstAssembler()
        self._trend = Trendline()
        self._trains = Trains()
        self._queue = StandingQueue()
        self._squeeze = Squeeze()
        self._sending = Throughput()
        self._arriving = Throughput()
        self._loss = Loss()
        self._prober = Prober()
        self._lull = Lull()
        self._rate = RateControl(start_bps)
        self._receiver = ReceiverEstimate()
        self._answered = False
        self._reported = 0.0
        self._delay: float | None = None
        self._octets = 0
        self._squeezed: float | None = None
        self._stood: tuple[float, float] | None = None
        """When the last packet that was told of had left, and how long a queue it met; seconds."""
        self._unanswered: float | None = None

    @property
    def carried_bps(self) -> float:
        """What the way is thought to carry; the target is less while a queue is drained."""
        return self._rate.rate

    @property
    def loss(self) -> float:
        """Share of the packets of about the last second, 0 to 1."""
        return self._loss.share if self._answered else self._reported

    @property
    def random_loss(self) -> float | None:
        """The same where it does not come from a queue that is full; None where it may."""
        return self._loss.unexplained if self._queue.calm and not self._loss.on_trial else None

    @property
    def queue_delay_s(self) -> float:
        """How long packets stand in the queue of the bottleneck."""
        return self._queue.delay_s

    @property
    def all_arrived(self) -> bool:
        """Whether the viewer told that it has all of the last packets."""
        return self._packets.complete

    def standing_octets(self, most_s: float, now: float) -> float:
        """What stands before the bottleneck now, which keeps no more than it carries in `most_s`."""
        if self._stood is None:
            since, queue_s, rate = now - _UNTOLD_S, 0.0, self._rate.rate / 8 / _RECEIVED
        else:
            (since, queue_s), rate = self._stood, self._rate.rate / 8
        return self._packets.standing(queue_s * rate, since, rate, most_s * rate, now)

    def sent(self, sequence: int, octets: int, now: float, probe: int | None = None) -> None:
        """A packet with this transport sequence number (of 16 bits or not wrapped; consecutive) has left."""
        if self._unanswered is None:
            self._unanswered = now
        self._packets.add(sequence, octets, now, probe)

    def sent_together(self, first: int, sizes: "array[int]", octets: int, now: float) -> None:
        """The same of packets of these octets, `octets` in all, from this number on."""
        if self._unanswered is None:
            self._unanswered = now
        self._packets.add_together(first, sizes, octets, now)

    def on_feedback(self, feedback: Feedback, now: float) -> None:
        """A message of the viewer; what it says about packets that were not sent is passed over."""
        report = self._packets.resolve(feedback)
        self._answered, self._unanswered = True, None
        lull = self._lull
        if self._at_ease and lull.goes_on(report, self._queue.base_s, now):
            if gist := lull.gist(_LULL_MESSAGES):
                self._note(*gist)
            return
        if gist := lull.gist():
            self._note(*gist)
        if newest := lull.newest():
            self._evaluate(*newest)
        self._evaluate(report, now)

    @property
    def _at_ease(self) -> bool:
        """Whether the target is higher than anybody needs, and nothing stirs."""
        ample = self._delay is not None and self._rate.rate >= PLENTY * self.ceiling_bps
        return ample and self._queue.calm and self._trend.usage is Usage.NORMAL and not self._loss.suspicious

    def on_remb(self, bps: int, now: float) -> None:
        """The receiver's own estimate, of interest until the first transport feedback."""
        if not self._answered:
            self._rate.rate = self._receiver.judge(bps, self._rate.rate, self._sent_lately(now), now)
            self._set_target(now)

    def on_report(self, lost: float, now: float) -> None:
        """The share of lost packets by a receiver report, of interest until the first transport feedback."""
        self._reported = lost
        sending = None if self._answered else self._sent_lately(now, _REPORT_S)
        if sending is not None:
            self._rate.rate = self._receiver.judge_loss(lost, self._rate.rate, sending, now)
            self._set_target(now)

    def on_silence(self, now: float) -> bool:
        """Call some times a second: backs off when feedback that is due has not come, and says so."""
        if not self._answered or self._unanswered is None:
            return False
        if now - self._unanswered <= _SILENCE_S + 2 * (self.rtt_s or _RTT_UNKNOWN_S):
            return False
        self._unanswered = now
        self._rate.rate *= _SILENCE_STEP
        self._prober.at_once(now)
        self._set_target(now)
        return True

    def _sent_lately(self, now: float, window_s: float = _RATE_S) -> float | None:
        """Without feedback, bits per second; None where nothing was sent for long enough."""
        if self._unanswered is None:
            return None
        if not self._octets:
            self._sending.begin(self._unanswered)
        self._sending.add(now, self._packets.octets - self._octets)
        self._octets = self._packets.octets
        return self._sending.rate_bps(window_s)

    def probe_due(self, now: float) -> Probe | None:
        """A cluster to send now; each is given out once."""
        if not self._queue.calm or self._trend.usage is Usage.OVER or self._loss.suspicious:
            return None
        return self._prober.due(self._rate.rate, self.ceiling_bps, self._sending.rate_bps(_RATE_S), now)

    def _evaluate(self, report: Report, now: float) -> None:
        received = report.received
        if received.sent:
            gist = gist_of(received)
            if self._delay is None or abs(gist.least_delay - self._delay) > _CLOCK_JUMP_S:
                self._begin(min(received.arrivals), now)
            self._measure(gist, now, report.untold)
            self._look_closely(received)
        self._loss.add(len(received.sent), report.missing, report.found, now, queued=self._queue.long)
        if received.sent:
            self._control(report, now)

    def _note(self, gist: Gist, now: float) -> None:
        """Messages that told of nothing new; this was the last of them."""
        self._measure(gist, now)
        self._loss.add(gist.packets, 0, 0, now, queued=False)

    def _measure(self, gist: Gist, now: float, untold: int = 0) -> None:
        rtt, known = now - gist.last_sent, self.rtt_s
        self.rtt_s = rtt if known is None else known + _RTT_WEIGHT * (rtt - known)
        self._delay = gist.least_delay
        self._arriving.add(gist.last_arrival, gist.octets + untold)
        self._sending.add(now, self._packets.octets - self._octets)
        self._octets = self._packets.octets
        if self._queue.add(gist.least_delay, gist.delays / gist.packets, gist.packets, now):
            self._rate.unlearn()
            self._prober.at_once(now)

    def _look_closely(self, received: Received) -> None:
        last_sent = received.sent[-1]
        self._stood = last_sent, self._queue.stood(received.arrivals[-1] - last_sent)
        self._squeezed = self._squeeze.add(received, self._queue.base_s)
        for burst in self._bursts.add(received):
            self._trend.add(burst)
            self._trains.add(burst)

    def _begin(self, arrival: float, now: float) -> None:
        """At first, and where the viewer's clock jumped: nothing compares with what was before."""
        self._trend.reset()
        self._trains.reset()
        self._bursts.reset()
        self._queue.reset()
        self._squeeze.reset()
        self._arriving.begin(arrival)
        self._sending.begin(now)
        self._octets = self._packets.octets

    def _control(self, report: Report, now: float) -> None:
        rate, queue, loss = self._rate, self._queue, self._loss
        arriving = self._arriving.rate_bps(_RATE_S)
        trains = self._trains.speed_bps(now, blurred=queue.blur_s > _BLURRED_S)
        queue.allow(room=trains is not None and arriving is not None and trains > _ROOM * arriving)
        blurred = queue.blur_s > _BLURRED_S
        for number, packet in report.probed:
            if carried := self._prober.arrived(number, packet, now):
                # What jitter held back catches up, and makes any link look wide for a moment.
                rate.raise_to(min(carried, _NEARLY * trains) if blurred and trains else carried)
        before = rate.rate
        usage, calm = self._trend.usage, queue.calm
        congested = queue.long or (usage is Usage.OVER and queue.noticed)
        # What jitter holds back for a moment is not lost.
        moment = _RATE_S if blurred else _RATE_NOW_S
        evidence = Evidence(
            congested=congested,
            calm=calm and usage is Usage.NORMAL and not loss.suspicious,
            arriving=arriving,
            arriving_now=self._arriving.rate_bps(moment) if congested else None,
            sending=self._sending.rate_bps(_RATE_S) if congested else None,
            trains=trains,
            blurred=blurred,
            rtt_s=self.rtt_s or _RTT_UNKNOWN_S,
            squeezed=self._squeezed,
        )
        if rate.update(evidence, now):
            loss.rate_changed(now)
        elif calm and arriving:
            rate.rate = loss.judge(rate.rate, arriving, now)
        if calm and trains and trains > _MUCH_ROOM * rate.rate:
            self._prober.hint(now)
        if rate.rate < before:
            self._prober.congested(rate.rate, now)
        self._set_target(now)

    def _set_target(self, now: float) -> None:
        rate = min(max(self._rate.rate, self._floor_bps), self.ceiling_bps)
        self._rate.rate = rate
        excess = self._queue.excess_s
        if excess:
            sending = self._sending.rate_bps(_RATE_NOW_S)
            if sending is not None and sending < _PAUSED * rate:
                # The viewer tells of what was sent before the pause.
                excess = min(excess, self.standing_octets(_DRAIN_S, now) * 8 / rate)
            rate *= max(_DRAIN_LEAST, 1 - excess / _DRAIN_S)
        self.target_bps = max(int(rate), self._floor_bps)
