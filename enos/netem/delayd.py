"""Delays and loses the packets of netfilter queues, where the kernel has no netem.

enos copies this file, made `standalone`, to the nodes and runs it there with their own
Python (3.8 or later): it needs the standard library and CAP_NET_ADMIN, nothing else.
One queue is one class of shaping. The kernel keeps the packets; only their ids come up
here (NFQNL_COPY_META), are put in order of their due time and sent back with a verdict.

Usage: ``delayd.py CLASSES PIDFILE``, where CLASSES is a JSON list of
``{"queue", "delay_us", "jitter_us", "loss"}`` objects, the arguments of `Lane`.

Protocol: linux/netfilter/nfnetlink_queue.h, linux/netfilter/nfnetlink.h.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from pathlib import Path

from enos.netem.precedence import hurry

NETLINK_NETFILTER = 12
SOL_NETLINK, NETLINK_NO_ENOBUFS = 270, 5
SO_RCVBUFFORCE = 33

PACKET, VERDICT, CONFIG, VERDICT_BATCH = 0x300, 0x301, 0x302, 0x303
REQUEST, ACK = 1, 4
DROP, ACCEPT = 0, 1
CFG_CMD, CFG_PARAMS, CFG_MAXLEN, CFG_MASK, CFG_FLAGS = 1, 2, 3, 4, 5
COPY_META, BIND, FAIL_OPEN, GSO = 1, 1, 1, 4

QUEUE_LENGTH = 100_000
RECEIVE_BUFFER = 64 << 20
GRANULARITY = 20e-6  # seconds; packets due within it leave together
LATEST = 500e-6  # seconds; a longer oversleep was somebody else's doing
MEMORY = 8  # wake-ups over which lateness is averaged
BURST = 256  # packets read, or verdicts sent, before the other side has its turn

_HEAD = struct.Struct("=IHHIIBBH")  # nlmsghdr, then family, version; the queue is …
_PLACE = struct.Struct("!18xH4xI")  # … big endian: queue and packet id of a message
_TYPE = struct.Struct("=4xH")
_VERDICT = struct.Struct("=IHHIIBBHHHII")


def verdict(kind: int, queue: int, packet: int, action: int) -> bytes:
    """Return the message that gives one packet, or all up to it, a verdict."""
    order, word = socket.htons(queue), socket.htonl
    return _VERDICT.pack(
        32, kind, REQUEST, 0, 0, 0, 0, order, 12, 2, word(action), word(packet)
    )


def binding(queue: int, flags: int) -> bytes:
    """Return the message that makes this socket the reader of a queue."""
    body = (
        _attribute(CFG_CMD, struct.pack("!BBH", BIND, 0, 0))
        + _attribute(CFG_PARAMS, struct.pack("!IB", 0, COPY_META))
        + _attribute(CFG_MAXLEN, struct.pack("!I", QUEUE_LENGTH))
        + _attribute(CFG_MASK, struct.pack("!I", FAIL_OPEN | GSO))
        + _attribute(CFG_FLAGS, struct.pack("!I", flags))
    )
    size, order = 20 + len(body), socket.htons(queue)
    return _HEAD.pack(size, CONFIG, REQUEST | ACK, 0, 0, 0, 0, order) + body


def _attribute(kind: int, payload: bytes) -> bytes:
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + b"\0" * (-size % 4)


class Lane:
    """The packets of one queue, in the order in which they are due.

    Args:
        queue: number of the netfilter queue.
        delay_us: one-way delay in microseconds.
        jitter_us: half-width of the uniform spread around it.
        loss: share of packets lost, 0 to 1.

    """

    def __init__(
        self,
        *,
        queue: int,
        delay_us: float = 0.0,
        jitter_us: float = 0.0,
        loss: float = 0.0,
    ) -> None:
        self.queue = queue
        self.delay = delay_us / 1e6
        self.jitter = jitter_us / 1e6
        self.loss = loss
        # One loss decision for each packet on the wire, not for each aggregate of up
        # to 64 KiB that offloads make of them: the kernel splits those without GSO.
        self.flags = FAIL_OPEN if loss else FAIL_OPEN | GSO
        self._line: deque[tuple[float, int]] = deque()
        self._heap: list[tuple[float, int]] = []

    def take(self, packet: int, now: float) -> bytes:
        """Keep a packet; return its verdict if it has one already, else nothing."""
        if self.loss and random.random() < self.loss:  # noqa: S311 (no secret)
            return verdict(VERDICT, self.queue, packet, DROP)
        if self.jitter:
            spread = self.jitter * (2 * random.random() - 1)  # noqa: S311 (no secret)
            due = now + max(0.0, self.delay + spread)
            heapq.heappush(self._heap, (due, packet))
        else:
            self._line.append((now + self.delay, packet))
        return b""

    def due(self) -> float:
        """Return when the next packet leaves, infinity when there is none."""
        waiting = self._heap if self.jitter else self._line
        return waiting[0][0] if waiting else float("inf")

    def release(self, now: float) -> bytes:
        """Return the verdicts for the packets whose time has come."""
        if self.jitter:
            return self._release_each(now)
        last = None
        line = self._line
        while line and line[0][0] <= now:
            last = line.popleft()[1]
        if last is None:
            return b""
        return verdict(VERDICT_BATCH, self.queue, last, ACCEPT)

    def _release_each(self, now: float) -> bytes:
        heap = self._heap
        messages: list[bytes] = []
        while heap and heap[0][0] <= now and len(messages) < BURST:
            packet = heapq.heappop(heap)[1]
            messages.append(verdict(VERDICT, self.queue, packet, ACCEPT))
        return b"".join(messages)


def connect(lanes: list[Lane]) -> socket.socket:
    """Return a socket that reads all the queues; OSError when one cannot be had."""
    queues = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    queues.bind((0, 0))
    queues.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
    with contextlib.suppress(OSError):  # needs CAP_NET_ADMIN of the first namespace
        queues.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    for lane in lanes:
        queues.send(binding(lane.queue, lane.flags))
        answer = queues.recv(4096)
        code = -struct.unpack_from("=i", answer, 16)[0]
        if code:
            raise OSError(code, f"queue {lane.queue}: {os.strerror(code)}")
    queues.setblocking(False)  # noqa: FBT003 (the name of the standard library)
    return queues


class Sleeper:
    """Waits for packets or for a time, and learns how late it wakes.

    A processor that idles wakes some 50 to 300 microseconds late, both for a packet
    and for a timer; what was learnt from the timers is taken off both.
    """

    def __init__(self, queues: socket.socket) -> None:
        self._queues = queues
        self.late = 0.0

    def sleep(self, due: float) -> float:
        """Sleep until that time or a packet; return when it came, 0 for none."""
        began = time.monotonic()
        wait = None if due == float("inf") else max(0.0, due - began - self.late)
        ready, _, _ = select.select([self._queues], [], [], wait)
        ended = time.monotonic()
        if ready:
            slept = ended - began > GRANULARITY
            return ended - self.late if slept else ended
        if wait:
            over = min(LATEST, ended - began - wait)
            self.late += (over - self.late) / MEMORY
        return 0.0


def serve(queues: socket.socket, lanes: list[Lane]) -> None:
    """Give packets their verdicts, for ever."""
    by_queue = {lane.queue: lane for lane in lanes}
    buffer = bytearray(4096)
    sleeper = Sleeper(queues)
    while True:
        came = sleeper.sleep(min(lane.due() for lane in lanes))
        if came:
            receive(queues, by_queue, buffer, came)
        now = time.monotonic() + GRANULARITY
        for lane in lanes:
            messages = lane.release(now)
            if messages:
                queues.send(messages)


def receive(
    queues: socket.socket, lanes: dict[int, Lane], buffer: bytearray, now: float
) -> None:
    """Take in the packets that wait in the socket, a burst at most."""
    for _ in range(BURST):
        try:
            queues.recv_into(buffer)
        except OSError as empty:
            if empty.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
                return
            raise
        if _TYPE.unpack_from(buffer)[0] == PACKET:  # else: a packet that is gone
            queue, packet = _PLACE.unpack_from(buffer)
            answer = lanes[queue].take(packet, now)
            if answer:
                queues.send(answer)
        now = time.monotonic()


def main(classes: str, pidfile: str) -> None:
    """Serve the queues of a file of classes until a signal ends it."""
    chosen = json.loads(Path(classes).read_text(encoding="utf-8"))
    lanes = [Lane(**one) for one in chosen]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    queues = connect(lanes)
    Path(pidfile).write_text(f"{os.getpid()}\n", encoding="utf-8")
    sys.stderr.write(f"scheduling: {hurry()}\n")
    serve(queues, lanes)


if __name__ == "__main__":
    main(*sys.argv[1:])
