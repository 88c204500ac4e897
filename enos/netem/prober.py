"""Measures round trips to several hosts by ICMP echo, with a clock in user space.

enos sends this file, made `standalone`, to a host's Python (3.8 or later) on standard
input, since fping and ping take the kernel's time of arrival, which is before a
netfilter queue: they do not see a delay made where packets arrive. Needs CAP_NET_RAW,
nothing else.

Usage: ``python3 - PERIOD_MS PATIENCE_MS COUNT,ADDRESS…``, prints one JSON object:
address -> `trips`, the round trips in milliseconds, null for a lost one, and `extra`,
the number of replies that came again. A reply whose checksum fails is none.

Protocol: RFC 792, RFC 4443.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import time

from enos.netem.precedence import hurry

_ECHO = struct.Struct("!BBHHHI")
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_SO_RCVBUFFORCE = 33


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Prober:
    """Sends echo requests in turn and notes when each comes back.

    Args:
        targets: addresses, IPv4 and IPv6 mixed.
        counts: requests to each.

    """

    def __init__(self, targets: list[str], counts: list[int]) -> None:
        self.targets = targets
        self.mark = os.getpid() & 0xFFFF
        self.sent: dict[tuple[int, int], float] = {}
        self.trips: list[list[float | None]] = [[None] * count for count in counts]
        self.extra = [0] * len(targets)
        self.versions = [6 if ":" in target else 4 for target in targets]
        self.sockets = {version: _socket(version) for version in set(self.versions)}

    def send(self, place: int, turn: int) -> None:
        """Send one request."""
        version = self.versions[place]
        head = (_REQUEST[version], 0)
        tail = (self.mark, turn & 0xFFFF, place)
        empty = _ECHO.pack(*head, 0, *tail) + bytes(44)
        # The kernel fills in the checksum of ICMPv6 (RFC 3542, 3.1).
        total = checksum(empty) if version == 4 else 0  # noqa: PLR2004
        packet = _ECHO.pack(*head, total, *tail) + bytes(44)
        self.sent[place, turn] = time.monotonic()
        with contextlib.suppress(OSError):  # unreachable is lost
            self.sockets[version].sendto(packet, (self.targets[place], 0))

    def listen(self, until: float) -> None:
        """Take replies until that time."""
        several = list(self.sockets.values())
        while True:
            wait = until - time.monotonic()
            if wait <= 0:
                return
            for one in select.select(several, [], [], wait)[0]:
                self._take(one)

    def _take(self, one: socket.socket) -> None:
        packet = one.recv(2048)
        now = time.monotonic()
        version = 6 if one.family == socket.AF_INET6 else 4
        start = (packet[0] & 0x0F) * 4 if version == 4 else 0  # noqa: PLR2004
        if len(packet) < start + _ECHO.size:
            return
        kind, _, _, mark, turn, place = _ECHO.unpack_from(packet, start)
        began = self.sent.get((place, turn))
        if kind != _REPLY[version] or mark != self.mark or began is None:
            return
        # The kernel checks that of ICMPv6 (RFC 3542, 3.1), but not this one.
        if version == 4 and checksum(packet[start:]):  # noqa: PLR2004
            return
        if self.trips[place][turn] is None:
            self.trips[place][turn] = round(1000 * (now - began), 4)
        else:
            self.extra[place] += 1


def _socket(version: int) -> socket.socket:
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6  # noqa: PLR2004
    one = socket.socket(_FAMILIES[version], socket.SOCK_RAW, protocol)
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
    return one


def main(period: float, patience: float, words: list[str]) -> None:
    """Probe all targets, all for as long as the one probed most, and print it."""
    hurry()
    pairs = [word.partition(",") for word in words]
    counts, targets = [int(one) for one, _, _ in pairs], [to for _, _, to in pairs]
    prober = Prober(targets, counts)
    start = time.monotonic()
    for turn in range(max(counts)):
        for place, count in enumerate(counts):
            own, rest = divmod(turn, max(counts) // count)
            if rest or own >= count:
                continue
            prober.listen(start + period * (turn + place / len(targets)))
            prober.send(place, own)
    prober.listen(time.monotonic() + patience)
    found = zip(targets, prober.trips, prober.extra)  # noqa: B905 (3.8)
    json.dump({to: {"trips": t, "extra": n} for to, t, n in found}, sys.stdout)


if __name__ == "__main__":
    main(float(sys.argv[1]) / 1000, float(sys.argv[2]) / 1000, sys.argv[3:])
