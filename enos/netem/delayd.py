"""Delays, loses and mangles packets of netfilter queues, where there is no netem.

enos copies this file, made `standalone`, to the nodes and runs it there with their own
Python (3.8 or later): it needs the standard library and CAP_NET_ADMIN, nothing else.
One queue is one class of shaping. The kernel keeps the packets; only their ids come up
here (NFQNL_COPY_META), are put in order of their due time and sent back with a verdict.
Where packets are duplicated or corrupted, they come up whole.

Usage: ``delayd.py CLASSES PIDFILE``, where CLASSES is a JSON list of objects: `queue`
and what else `lane_of` names. SIGHUP has it read again. What was read is written to the
file `served` beside it.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import json
import os
import signal
import socket
import struct
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 (Python 3.8)

from enos.netem.impairment import Chance, GilbertElliott, Spread, turned
from enos.netem.nfqueue import (
    ACCEPT,
    DROP,
    FAIL_OPEN,
    GSO,
    LARGEST,
    VERDICT,
    VERDICT_BATCH,
    binding,
    payload_of,
    place_of,
    verdict,
)
from enos.netem.precedence import hurry
from enos.netem.sleeper import GRANULARITY, Sleeper

NETLINK_NETFILTER = 12
SOL_NETLINK, NETLINK_NO_ENOBUFS = 270, 5
SO_RCVBUFFORCE = 33

RECEIVE_BUFFER = 64 << 20
BURST = 256  # packets read, or verdicts sent, before the other side has its turn
BURST_BYTES = 1 << 16  # of verdicts in one message; more does not fit into a socket


class Lane:
    """The packets of one queue, in the order in which they are due.

    What befalls a packet is drawn in netem's order: a second copy, loss, a turned bit,
    the length of the queue, overtaking, the delay.

    Args:
        queue: number of the netfilter queue.
        delays: of the packets.
        loss: which of them are lost, None for none; likewise `duplicate`, `corrupt`.
        reorder: which of them are not delayed.
        limit: packets held at most, 0 for any number.
        send: puts a second copy of a packet into the network stack.

    """

    def __init__(
        self,
        *,
        queue: int,
        delays: Spread,
        loss: Chance | GilbertElliott | None = None,
        duplicate: Chance | None = None,
        corrupt: Chance | None = None,
        reorder: Chance | None = None,
        limit: int = 0,
        send: Callable[[bytes], None] | None = None,
    ) -> None:
        self.queue = queue
        self.whole = bool(duplicate or corrupt)
        self.send = send
        self._delays, self._limit = delays, limit
        self._loss, self._duplicate = loss, duplicate
        self._corrupt, self._reorder = corrupt, reorder
        # One decision for each packet on the wire, not for each aggregate of up to
        # 64 KiB that offloads make of them: the kernel splits those without GSO.
        single = loss or reorder or self.whole
        self.flags = FAIL_OPEN if single else FAIL_OPEN | GSO
        self._in_order = len(delays.delays) == 1 and not self.whole
        self._line: deque[tuple[float, int]] = deque()
        self._heap: list[tuple[float, int, bytes, bytes]] = []
        self._count = 0

    def take(self, packet: int, now: float, whole: bytes = b"") -> bytes:
        """Keep a packet; return its verdict if it has one already, else nothing."""
        twice = self._duplicate is not None and self._duplicate.happens()
        lost = self._loss is not None and self._loss.happens()
        full = self._limit and len(self._line) + len(self._heap) >= self._limit
        if full or (lost and not twice):
            return verdict(VERDICT, self.queue, packet, DROP)
        if twice and not lost and not (self._loss and self._loss.happens()):
            self._hold(now, b"", self._changed(whole) or whole)
        changed = self._changed(whole)
        if self._in_order and not self._overtakes():
            self._line.append((now + self._delays.delays[0], packet))
            return b""
        message = verdict(VERDICT, self.queue, packet, ACCEPT, changed)
        if self._in_order or self._overtakes():
            return message
        self._hold(now, message, b"")
        return b""

    def _changed(self, whole: bytes) -> bytes:
        # Some came up without their content, before the classes were read again.
        if whole and self._corrupt is not None and self._corrupt.happens():
            return turned(whole)
        return b""

    def _overtakes(self) -> bool:
        return self._reorder is not None and self._reorder.happens()

    def _hold(self, now: float, message: bytes, copy: bytes) -> None:
        self._count += 1  # so that packets due at once leave in their order
        due = now + self._delays.draw()
        heapq.heappush(self._heap, (due, self._count, message, copy))

    @property
    def holds(self) -> bool:
        """Tell whether packets wait."""
        return bool(self._line or self._heap)

    def due(self) -> float:
        """Return when the next packet leaves, infinity when there is none."""
        if self._in_order:
            return self._line[0][0] if self._line else float("inf")
        return self._heap[0][0] if self._heap else float("inf")

    def release(self, now: float) -> bytes:
        """Return the verdicts for the packets whose time has come; send copies."""
        if not self._in_order:
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
        messages = bytearray()
        number = 0
        while heap and heap[0][0] <= now and number < BURST:
            if len(messages) + len(heap[0][2]) > BURST_BYTES:
                break
            _, _, message, copy = heapq.heappop(heap)
            number += 1
            messages += message
            if copy and self.send:
                self.send(copy)
        return bytes(messages)


def lane_of(asked: dict[str, Any], send: Callable[[bytes], None] | None = None) -> Lane:
    """Return the lane of one object of the file of classes; shares are 0 to 1."""
    delay, jitter = (asked.get(key, 0.0) / 1e6 for key in ("delay_us", "jitter_us"))
    kind, kept = asked.get("distribution", "uniform"), asked.get("delay_correlation", 0)

    def chance(name: str) -> Chance | None:
        correlation = asked.get(f"{name}_correlation", 0.0)
        return Chance(asked[name], correlation) if asked.get(name) else None

    model = asked.get("gemodel")
    return Lane(
        queue=asked["queue"],
        delays=Spread(delay, jitter, kind, kept),
        loss=GilbertElliott(*model) if model else chance("loss"),
        duplicate=chance("duplicate"),
        corrupt=chance("corrupt"),
        reorder=chance("reorder"),
        limit=asked.get("limit", 0),
        send=send,
    )


def sender() -> Callable[[bytes], None]:
    """Return what puts a packet, header and all, on its way from this host.

    One that is for this host goes over the loopback, where its source is not checked
    again (raw(7): IPPROTO_RAW implies IP_HDRINCL).
    """
    four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(packet: bytes) -> None:
        with contextlib.suppress(OSError):  # no route, too long: a copy that is lost
            if packet[0] >> 4 == 4:  # noqa: PLR2004 (the version of IP)
                four.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
            else:
                target = socket.inet_ntop(socket.AF_INET6, packet[24:40])
                six.sendto(packet, (target, 0))

    return send


def connect() -> socket.socket:
    """Return a socket for queues."""
    queues = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    queues.bind((0, 0))
    queues.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
    with contextlib.suppress(OSError):  # needs CAP_NET_ADMIN of the first namespace
        queues.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    return queues


def bind(queues: socket.socket, lane: Lane) -> None:
    """Have the socket read the queue of a lane; OSError when it cannot."""
    queues.send(binding(lane.queue, lane.flags, whole=lane.whole))
    answer = queues.recv(4096)
    code = -struct.unpack_from("=i", answer, 16)[0]
    if code:
        raise OSError(code, f"queue {lane.queue}: {os.strerror(code)}")


class Classes:
    """The lanes of a file of classes, which may be read again while they are served.

    Packets that lanes hold then leave when they are due, or sooner, with those that
    came after them.

    Attributes:
        queues: the socket.
        lanes: all that may hold packets.
        by_queue: queue → where its packets go.

    """

    def __init__(self, file: Path) -> None:
        self.queues = connect()
        self.lanes: list[Lane] = []
        self.by_queue: dict[int, Lane] = {}
        self._file = file
        self._send: Callable[[bytes], None] | None = None
        text = self._text()
        for lane in self._lanes(text):
            bind(self.queues, lane)
            self.by_queue[lane.queue] = lane
        self.queues.setblocking(False)  # noqa: FBT003 (the name of the standard library)
        self._serve(text)

    def again(self, *_: object) -> None:
        """Take over what the file says now; one that is not there any more stays.

        Called between any two steps of `serve`: what those use is replaced, not
        changed. The kernel's answers come among the packets and are passed over;
        whether a queue is read, the kernel tells whoever wants to know.
        """
        text = self._text()
        replaced = tuple(self.by_queue.values())  # one may just be taking in a packet
        for lane in self._lanes(text):
            known = lane.queue in self.by_queue
            self.queues.send(
                binding(lane.queue, lane.flags, whole=lane.whole, again=known)
            )
            self.by_queue[lane.queue] = lane
        self._serve(text, *replaced)

    def _text(self) -> str:
        return self._file.read_text(encoding="utf-8")

    def _lanes(self, text: str) -> list[Lane]:
        chosen = json.loads(text)
        if self._send is None and any(one.get("duplicate") for one in chosen):
            self._send = sender()
        return [lane_of(one, self._send) for one in chosen]

    def _serve(self, text: str, *replaced: Lane) -> None:
        older = (lane for lane in self.lanes if lane.holds)
        self.lanes = list(dict.fromkeys([*self.by_queue.values(), *replaced, *older]))
        self._file.with_name("served").write_text(text, encoding="utf-8")


def serve(classes: Classes) -> None:
    """Give packets their verdicts, for ever."""
    queues = classes.queues
    buffer = bytearray(LARGEST + 4096)
    sleeper = Sleeper(queues)
    while True:
        came = sleeper.sleep(min(lane.due() for lane in classes.lanes))
        if came:
            receive(queues, classes.by_queue, buffer, came)
        now = time.monotonic() + GRANULARITY
        for lane in classes.lanes:
            messages = lane.release(now)
            if messages:
                queues.send(messages)


def receive(
    queues: socket.socket, lanes: dict[int, Lane], buffer: bytearray, now: float
) -> None:
    """Take in the packets that wait in the socket, a burst at most."""
    for _ in range(BURST):
        try:
            size = queues.recv_into(buffer)
        except OSError as empty:
            if empty.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
                return
            raise
        place = place_of(buffer)
        if place:  # else: a packet that is gone
            queue, packet = place
            lane = lanes[queue]
            whole = payload_of(bytes(buffer[:size])) if lane.whole else b""
            answer = lane.take(packet, now, whole)
            if answer:
                queues.send(answer)
        now = time.monotonic()


def main(file: str, pidfile: str) -> None:
    """Serve the queues of a file of classes until a signal ends it."""
    classes = Classes(Path(file))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, classes.again)
    Path(pidfile).write_text(f"{os.getpid()}\n", encoding="utf-8")
    sys.stderr.write(f"scheduling: {hurry()}\n")
    serve(classes)


if __name__ == "__main__":
    main(*sys.argv[1:])
