"""The rate of a link, measured by iperf3(1) and converted to bits on the wire."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.errors import CapabilityError, EmulationError, ProcessError
from enos.netem.expected import cut_off
from enos.netem.measurement import Pair
from enos.process import Completed, Shell
from enos.remote import run_on
from enos.testbed import Host, Testbed

PORT = 15201
SHORTEST, LONGEST = 3, 10  # seconds of a measurement
ENOUGH_BITS = 1e7  # that one lasts, so that a single aggregate does not weigh
STREAM_BYTES = 1 << 20  # in flight that one TCP connection surely manages
MOST_STREAMS = 16
UDP_BYTES = 1400
PATIENCE = 30  # seconds beyond those of a measurement and its round trips
CUT = "no packet is to arrive"
FIRST = ("nice", "-n", "-20")  # the link is in question, not how busy the machines are
ETHERNET, IPV4, IPV6, UDP, TCP = 14, 20, 40, 8, 32  # header bytes; TCP with timestamps
NOT_FOUND = 127  # status of a command that is not there (POSIX sh)
LATE = 124  # status of timeout(1) for a command it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The hosts by name, and what runs commands on them."""

    testbed: Testbed
    shell: Shell
    sockets: Path | None = None

    def host(self, name: str) -> Host:
        """Return the host of that name; EmulationError when it is not there."""
        host = self.testbed.host(name)
        if host is None:
            raise EmulationError(f"`{name}` is no host of the testbed")
        return host

    def run(
        self, name: str, command: Sequence[str], *, stdin: str = "", timeout: float
    ) -> Completed:
        """Run a command on a host; its status is for the caller to judge."""
        return run_on(
            self.shell,
            self.host(name),
            command,
            check=False,
            stdin=stdin,
            timeout=timeout,
            sockets=self.sockets,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What was found of a rate.

    Attributes:
        bits: per second on the wire, None where it was not measured.
        why_not: why it was not although it was asked, else empty.

    """

    bits: float | None = None
    why_not: str = ""


def rates_between(pair: Pair, reach: Reach) -> tuple[Rated, Rated]:
    """Return the rates there and back, of those that are asked.

    Raises CapabilityError when a host lacks iperf3. Whatever else goes wrong is why
    there is no rate.
    """
    both = (pair, pair.turned)
    if cut_off(pair.there, pair.back):
        there, back = (Rated(why_not=CUT if p.there.rate else "") for p in both)
    else:
        there, back = (_rate(p, reach) if p.there.rate else Rated() for p in both)
    return there, back


def _rate(pair: Pair, reach: Reach) -> Rated:
    script = _SERVER.format(port=PORT, hexadecimal=f"{PORT:04X}", most=_most(pair))
    try:
        server = reach.run(pair.destination, ("sh", "-s"), stdin=script, timeout=30)
        if server.returncode == NOT_FOUND:
            raise _no_iperf(pair.destination, server)
        if not server.ok:
            return Rated(why_not=_last(server, "its server does not start"))
        return _rate_to(server.stdout.strip(), pair, reach)
    except ProcessError as late:
        return Rated(why_not=late.message)


def _rate_to(server: str, pair: Pair, reach: Reach) -> Rated:
    """Return the rate to the server of that process id, which is gone afterwards.

    It ends by itself after a client; one that never came must not leave it on the port.
    """
    found = Rated()
    try:
        found = _client_rate(pair, reach)
    finally:
        if found.bits is None:
            with suppress(ProcessError):  # out of reach: it ends after `_most` seconds
                end = ("sh", "-s", server)
                reach.run(pair.destination, end, stdin=_END, timeout=30)
    return found


def _client_rate(pair: Pair, reach: Reach) -> Rated:
    done = reach.run(pair.source, client(pair), timeout=_most(pair) + 30)
    if done.returncode == NOT_FOUND:
        raise _no_iperf(pair.source, done)
    if done.returncode == LATE:
        return Rated(why_not=f"iperf3 did not end within {_most(pair)} s")
    return wire_rate(pair, done)


def _last(done: Completed, otherwise: str) -> str:
    return (done.stderr.strip() or otherwise).splitlines()[-1]


_SERVER = """command -v iperf3 >/dev/null || exit 127
setsid timeout {most} nice -n -20 iperf3 -s -1 -p {port} </dev/null >/dev/null 2>&1 &
tries=0
until grep -q ":{hexadecimal} .* 0A " /proc/net/tcp /proc/net/tcp6; do
    tries=$((tries + 1))
    if [ $tries -ge 100 ]; then kill $! 2>/dev/null; exit 1; fi
    sleep 0.05
done
echo $!
"""
# timeout(1) hands the signal on to the server; a process id may be another's by now
_END = """tries=0
while grep -qs iperf3 "/proc/$1/cmdline" && [ $tries -lt 100 ]; do
    kill "$1" 2>/dev/null
    tries=$((tries + 1)); sleep 0.05
done
"""


def client(pair: Pair) -> tuple[str, ...]:
    """Return the iperf3 command that fills the link from source to destination.

    UDP slightly above the rate where packets get lost, since TCP would back off; else
    as many TCP connections as fill the pipe, past their slow start.
    """
    rate = pair.there.rate
    words = (
        *("timeout", str(_most(pair))),
        "iperf3",
        "-J",
        "-c",
        pair.address,
        "-p",
        str(PORT),
        "-t",
        str(_seconds(pair)),
    )
    lossy = any(way.loss.value or way.corrupt.value for way in (pair.there, pair.back))
    if rate and lossy:
        bits = str(round(1.1 * rate.bits))
        return (*words, "-u", "-b", bits, "-l", str(UDP_BYTES))
    flight = rate.bits / 8 * _round_trip(pair) if rate else 0
    streams = min(MOST_STREAMS, 1 + math.floor(flight / STREAM_BYTES))
    return (*words, "-P", str(streams), "-O", str(_warm_up(pair)))


def wire_rate(pair: Pair, done: Completed) -> Rated:
    """Return the rate that ``iperf3 -J`` printed, headers of each packet included."""
    try:
        said = json.loads(done.stdout)
        if "error" in said:
            return Rated(why_not=f"iperf3 on port {PORT}: {said['error']}")
        return Rated(bits=_wire_bits(pair, said))
    except ValueError:
        return Rated(why_not=f"iperf3: {_last(done, 'no output')}")
    except (KeyError, ZeroDivisionError):
        return Rated(why_not="iperf3 ended without figures")


def _wire_bits(pair: Pair, said: Mapping[str, Any]) -> float:
    ip = IPV6 if ":" in pair.address else IPV4
    if said["start"]["test_start"]["protocol"] == "UDP":
        # What arrived, over the time of sending: the receiver's own time has a tail,
        # and its count of losses takes copies and overtaken packets for others.
        arrived, sent = (said["end"][key] for key in ("sum_received", "sum_sent"))
        payload, headers = UDP_BYTES, UDP
        bits = 8 * arrived["bytes"] / sent["seconds"]
    else:
        payload, headers = said["start"]["tcp_mss_default"], TCP
        bits = said["end"]["sum_received"]["bits_per_second"]
    return float(bits * (payload + headers + ip + ETHERNET) / payload)


def _no_iperf(host: str, done: Completed) -> CapabilityError:
    return CapabilityError(
        f"`{host}` cannot measure a rate: iperf3 is missing or does not start",
        hint="install iperf3 on the hosts, or measure without rates",
        details=done.stderr,
    )


def _seconds(pair: Pair) -> int:
    wanted = math.ceil(ENOUGH_BITS / pair.there.rate.bits) if pair.there.rate else 0
    return min(LONGEST, max(SHORTEST, wanted))


def _warm_up(pair: Pair) -> int:
    return 1 + math.ceil(10 * _round_trip(pair))


def _most(pair: Pair) -> int:
    """Return the seconds after which a measurement has failed.

    Connecting and the exchange of results take some round trips.
    """
    return _seconds(pair) + 2 * _warm_up(pair) + PATIENCE


def _round_trip(pair: Pair) -> float:
    return (pair.there.delay.ms + pair.back.delay.ms) / 1000
