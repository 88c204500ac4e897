#!/usr/bin/env python3
# ruff: noqa: EXE001 - it is copied, and made executable there
"""Stands in for flent(1) where Shaker's agents run: iperf3 and echo requests.

Most scenarios of Shaker's measure with flent, and flent with netperf, which few
distributions may carry. This program takes the options Shaker gives it, loads the
link with iperf3(1) and measures round trips beside that with echo requests of its own,
whose clock is in user space: the kernel's time of arrival is before a netfilter queue.
It writes flent's data file, with the names of its series; "Ping loss" is one more.

    flent -H HOST -l SECONDS -s STEP tcp_download|tcp_upload|tcp_bidirectional|ping

Never imported by enos; Python 3.8 or later and nothing else. Needs CAP_NET_RAW.
Protocol of the echo: RFC 792, RFC 4443.
"""

import argparse
import gzip
import json
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any

PERIOD = 0.1  # seconds between echo requests, when nothing else is measured
BESIDE = 0.2  # and beside a load
PATIENCE = 1.0  # seconds to wait for the last reply
LOADS = {
    "tcp_download": ("--reverse",),
    "tcp_upload": (),
    "tcp_bidirectional": ("--bidir",),
    "ping": None,
}
RTT, LOSS = "Ping (ms) ICMP", "Ping loss"
DOWN, UP = "TCP download", "TCP upload"
UNITS = {RTT: "ms", LOSS: "%", DOWN: "Mbits/s", UP: "Mbits/s"}
_ECHO = struct.Struct("!BBHHH")
Probe = tuple[float, float | None]  # seconds since the start, milliseconds or lost
Series = dict[str, list[float | None]]


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack("!%dH" % (len(data) // 2), data))  # noqa: UP031
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def probes(host: str, seconds: float, period: float) -> list[Probe]:
    """Send echo requests evenly over some seconds; return each with its answer."""
    family, _, _, _, place = socket.getaddrinfo(host, None, type=socket.SOCK_RAW)[0]
    six = family == socket.AF_INET6
    kind = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    mark, count = os.getpid() & 0xFFFF, max(1, round(seconds / period))
    sent: list[float] = []
    trips: list[float | None] = [None] * count
    with socket.socket(family, socket.SOCK_RAW, kind) as one:
        began = time.monotonic()
        for turn in range(count + 1):
            last = turn == count
            until = began + turn * period + (PATIENCE if last else 0)
            _listen(one, until, mark, (sent, trips), six)
            if last:
                break
            head = (128 if six else 8, 0)
            packet = _ECHO.pack(*head, 0, mark, turn) + bytes(56)
            if not six:  # of ICMPv6 the kernel makes the checksum (RFC 3542, 3.1)
                packet = _ECHO.pack(*head, checksum(packet), mark, turn) + bytes(56)
            sent.append(time.monotonic())
            try:
                one.sendto(packet, place)
            except OSError:
                continue  # unreachable is lost
    return [(at - began, trip) for at, trip in zip(sent, trips)]  # noqa: B905 - 3.8


def _listen(
    one: socket.socket,
    until: float,
    mark: int,
    known: tuple[list[float], list[float | None]],
    six: bool,  # noqa: FBT001
) -> None:
    sent, trips = known
    while True:
        wait = until - time.monotonic()
        done = len(sent) == len(trips) and None not in trips
        if wait <= 0 or done:
            return
        if not select.select((one,), (), (), wait)[0]:
            return
        packet, now = one.recv(2048), time.monotonic()
        start = 0 if six else (packet[0] & 0x0F) * 4
        if len(packet) < start + _ECHO.size:
            continue
        answer, _, _, whose, turn = _ECHO.unpack_from(packet, start)
        if answer == (129 if six else 0) and whose == mark and turn < len(sent):
            trips[turn] = 1000 * (now - sent[turn])


def per_step(found: list[Probe], steps: list[float]) -> Series:
    """Return mean round trip and loss of the probes sent in each step."""
    rtt: list[float | None] = []
    loss: list[float | None] = []
    begin = 0.0
    for end in steps:
        inside = [trip for at, trip in found if begin <= at < end]
        back = [trip for trip in inside if trip is not None]
        rtt.append(sum(back) / len(back) if back else None)
        loss.append(100 * (1 - len(back) / len(inside)) if inside else None)
        begin = end
    return {RTT: rtt, LOSS: loss}


def rates(report: dict[str, Any], method: str) -> tuple[list[float], Series]:
    """Return the ends of iperf3's intervals and the rates in them, in Mbit/s."""
    ends: list[float] = []
    series: Series = {}
    forward = DOWN if method == "tcp_download" else UP
    for interval in report["intervals"]:
        both = {forward: interval["sum"]}
        if "sum_bidir_reverse" in interval:
            both[DOWN] = interval["sum_bidir_reverse"]
        ends.append(interval["sum"]["end"])
        for name, total in both.items():
            series.setdefault(name, []).append(total["bits_per_second"] / 1e6)
    return ends, series


def measured(
    host: str, seconds: int, step: float, method: str
) -> tuple[list[float], Series]:
    """Return times and series of a measurement; OSError or ValueError says why not."""
    load = LOADS[method]
    if load is None:
        found = probes(host, seconds, PERIOD)
        rtt = [trip for _, trip in found]
        loss: list[float | None] = [100.0 * (trip is None) for trip in rtt]
        return [at for at, _ in found], {RTT: rtt, LOSS: loss}
    command = ("iperf3", "-J", "-c", host, "-t", str(seconds), "-i", str(step), *load)
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen(command, stdout=output) as running:
            found = probes(host, seconds, BESIDE)
            running.wait()
        output.seek(0)
        report = json.load(output)
    if "error" in report:
        raise ValueError(report["error"])
    ends, series = rates(report, method)
    return ends, {**per_step(found, ends), **series}


def main() -> None:
    """Measure, write the data file and say where it is, as flent does."""
    parser = argparse.ArgumentParser(prog="flent")
    parser.add_argument("-H", dest="host", required=True)
    parser.add_argument("-l", dest="seconds", type=int, default=60)
    parser.add_argument("-s", dest="step", type=float, default=1)
    parser.add_argument("method", choices=sorted(LOADS))
    asked = parser.parse_args()
    times, series = measured(asked.host, asked.seconds, asked.step, asked.method)
    data = {
        "metadata": {"SERIES_META": {name: {"UNITS": UNITS[name]} for name in series}},
        "x_values": [round(at, 3) for at in times],
        "results": series,
    }
    name = f"{asked.method}-{os.getpid()}-{time.time():.0f}.flent.gz"
    with gzip.open(name, "wt") as target:
        json.dump(data, target)
    sys.stdout.write(f"Data file written to ./{name}.\n")


if __name__ == "__main__":
    main()
