"""The rate of a link, measured by iperf3(1) and converted to bits on the wire."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from enos.errors import CapabilityError, EmulationError
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
FIRST = ("nice", "-n", "-20")  # the link is in question, not how busy the machines are
ETHERNET, IPV4, IPV6, UDP, TCP = 14, 20, 40, 8, 32  # header bytes; TCP with timestamps
NOT_FOUND = 127  # status of a command that is not there (POSIX sh)


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


def rates_between(pair: Pair, reach: Reach) -> tuple[float | None, float | None]:
    """Return bits per second there and back, None where no rate is asked.

    Raises as `measure` does.
    """
    there = _rate(pair, reach) if pair.there.rate else None
    return there, (_rate(pair.turned, reach) if pair.back.rate else None)


def _rate(pair: Pair, reach: Reach) -> float:
    script = _SERVER.format(port=PORT, hexadecimal=f"{PORT:04X}")
    server = reach.run(pair.destination, ("sh", "-s"), stdin=script, timeout=30)
    if not server.ok:
        raise _no_iperf(pair.destination, server)
    done = reach.run(pair.source, client(pair), timeout=90)
    if done.returncode == NOT_FOUND:
        raise _no_iperf(pair.source, done)
    return wire_rate(pair, done.stdout)


_SERVER = """command -v iperf3 >/dev/null || exit 127
setsid timeout 60 nice -n -20 iperf3 -s -1 -p {port} </dev/null >/dev/null 2>&1 &
tries=0
until grep -q ":{hexadecimal} .* 0A " /proc/net/tcp /proc/net/tcp6; do
    tries=$((tries + 1)); [ $tries -lt 100 ] || exit 1; sleep 0.05
done
"""


def client(pair: Pair) -> tuple[str, ...]:
    """Return the iperf3 command that fills the link from source to destination.

    UDP slightly above the rate where packets get lost, since TCP would back off; else
    as many TCP connections as fill the pipe, past their slow start.
    """
    rate = pair.there.rate
    words = (
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
    seconds = _round_trip(pair)
    flight = rate.bits / 8 * seconds if rate else 0
    streams = min(MOST_STREAMS, 1 + math.floor(flight / STREAM_BYTES))
    warm_up = 1 + math.ceil(10 * seconds)
    return (*words, "-P", str(streams), "-O", str(warm_up))


def wire_rate(pair: Pair, output: str) -> float:
    """Return the rate in the output of ``iperf3 -J``, headers of each packet included.

    Raises EmulationError when iperf3 reports an error or nothing.
    """
    try:
        said = json.loads(output)
        error = said.get("error", "")
    except ValueError:
        said, error = {}, "no output"
    if error:
        raise EmulationError(
            f"no rate from `{pair.source}` to `{pair.destination}`: {error}",
            hint=f"see whether TCP and UDP port {PORT} is open between them",
        )
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


def _round_trip(pair: Pair) -> float:
    return (pair.there.delay.ms + pair.back.delay.ms) / 1000
