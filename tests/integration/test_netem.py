"""An emulated network between namespaces of this machine, measured."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.errors import EmulationError
from enos.netem import (
    Backend,
    EmulationPlan,
    Measurement,
    apply,
    check,
    commands,
    measure,
    pairs_to_measure,
    plan_emulation,
    probe_backend,
    require,
    reset,
    verdicts,
)
from enos.netem.rates import PORT
from enos.remote import run_on
from enos.testing.namespaces import NamespaceTestbed
from enos.testing.recording import RecordingProgress
from enos.units import Duration, GilbertElliott, Percent, Rate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

ASKED = NetworkConstraints(
    default_delay=Duration(ms=10),
    constraints=(
        ConstraintSpec(
            src="grp1",
            dst="grp2",
            delay=Duration(ms=25),
            rate=Rate.parse("50mbit"),
        ),
        ConstraintSpec(src="grp2", dst="grp1", delay=Duration(ms=25)),
        ConstraintSpec(
            src="grp2",
            dst="grp3",
            delay=Duration(ms=1),
            loss=Percent(value=10),
            symmetric=True,
        ),
    ),
)
STATE = """tc qdisc show; iptables -t raw -S; ip6tables -t raw -S; ipset list -n
cat /proc/net/netfilter/nfnetlink_queue; ls -A /run"""


@pytest.fixture(scope="module")
def net() -> Iterator[NamespaceTestbed]:
    groups = ("grp1", "grp1", "grp2", "grp3")
    with NamespaceTestbed(groups=groups, extra=("10.99.1.1/16",)) as net:
        yield net


@pytest.fixture
def backend(net: NamespaceTestbed) -> Backend:
    return probe_backend(net.testbed, net.shell, RecordingProgress()).backend


@pytest.fixture
def plan(net: NamespaceTestbed) -> Iterator[EmulationPlan]:
    yield plan_emulation(ASKED, net.testbed)
    reset(net.testbed, net.shell, RecordingProgress())


def said(net: NamespaceTestbed, place: int, *command: str) -> str:
    host = net.testbed.hosts[place]
    return run_on(net.shell, host, command, check=False).stdout


def shape(net: NamespaceTestbed, plan: EmulationPlan, backend: Backend) -> None:
    apply(plan, net.testbed, net.shell, RecordingProgress(), backend=backend)


def seen(
    net: NamespaceTestbed,
    plan: EmulationPlan,
    *,
    rates: bool,
    baseline: Measurement | None = None,
) -> Measurement:
    pairs = pairs_to_measure(plan, net.testbed)
    return measure(
        *(pairs, net.testbed, net.shell, RecordingProgress()),
        baseline=baseline,
        rates=rates,
    )


def test_what_is_measured_is_what_was_asked_for_every_pair_of_groups(
    net: NamespaceTestbed, plan: EmulationPlan, backend: Backend
) -> None:
    baseline = seen(net, plan, rates=False)

    shape(net, plan, backend)

    found = verdicts(seen(net, plan, rates=True, baseline=baseline), baseline)
    assert {one.quantity for one in found} == {"rtt", "loss", "rate"}
    require(found)


def test_a_reset_leaves_each_host_as_it_was_and_may_be_repeated(
    net: NamespaceTestbed, plan: EmulationPlan, backend: Backend
) -> None:
    before = [said(net, n, "sh", "-c", STATE) for n in range(4)]
    shape(net, plan, backend)
    assert [said(net, n, "sh", "-c", STATE) for n in range(4)] != before

    for _ in range(2):
        reset(net.testbed, net.shell, RecordingProgress())
        assert [said(net, n, "sh", "-c", STATE) for n in range(4)] == before


def test_applying_twice_is_applying_once(
    net: NamespaceTestbed, plan: EmulationPlan, backend: Backend
) -> None:
    shape(net, plan, backend)
    shape(net, plan, backend)

    check(plan, net.testbed, net.shell, backend=backend)
    assert said(net, 0, "sh", "-c", "iptables -t raw -S").count("-j ENOS") <= 1


MEDDLING = {
    "has rate 9Mbit instead of": (
        "tc class change dev eth0 parent e05: classid e05:1 htb rate 9mbit ceil 9mbit"
    ),
    "in another class than planned, 10.99.0.3 in": (
        "tc filter del dev eth0 parent e05: protocol ip prio 41"
    ),
    "addresses too few or too many": (
        "ipset del enos-57424-4 10.99.0.3; ipset add enos-57424-4 10.99.0.9"
    ),
    "other quantities": (
        "cd /run/enos-netem; sed -i s/25000/2500/ classes.json; kill -HUP $(cat pid);"
        "until cmp classes.json served; do sleep 0.1; done"
    ),
    "IPv6 packets do not enter": "ip6tables -t raw -F PREROUTING",
}


@pytest.mark.parametrize("fault", MEDDLING)
def test_what_somebody_changed_is_found_when_the_host_is_asked(
    net: NamespaceTestbed, plan: EmulationPlan, fault: str
) -> None:
    shape(net, plan, Backend.USER_SPACE)
    said(net, 0, "sh", "-c", MEDDLING[fault])

    with pytest.raises(EmulationError, match="planned on `node-1`") as found:
        check(plan, net.testbed, net.shell, backend=Backend.USER_SPACE)

    assert fault in found.value.details


def test_a_tree_of_somebody_else_is_refused_and_nothing_is_left_half_shaped(
    net: NamespaceTestbed, plan: EmulationPlan, backend: Backend
) -> None:
    shape(net, plan, backend)
    said(net, 3, "tc", "qdisc", "replace", "dev", "eth0", "root", "handle", "7:", "htb")
    limited = ConstraintSpec(src="grp3", dst="grp1", rate=Rate.parse("1mbit"))
    narrow = NetworkConstraints(constraints=(*ASKED.constraints, limited))

    with pytest.raises(EmulationError, match=r"node-4.*of its own: htb 7:"):
        shape(net, plan_emulation(narrow, net.testbed), backend)

    assert "htb 7:" in said(net, 3, "tc", "qdisc", "show", "dev", "eth0")
    assert "ENOS" not in said(net, 0, "iptables", "-t", "raw", "-S")
    assert "e05:" not in said(net, 0, "tc", "qdisc", "show")
    said(net, 3, "tc", "qdisc", "del", "dev", "eth0", "root")


def test_a_device_that_vanished_is_named_and_no_host_stays_shaped(
    net: NamespaceTestbed, plan: EmulationPlan, backend: Backend
) -> None:
    said(net, 0, "ip", "link", "set", "eth0", "down")
    said(net, 0, "ip", "link", "set", "eth0", "name", "gone0")
    try:
        with pytest.raises(EmulationError, match=r"node-1.*eth0"):
            shape(net, plan, backend)
        assert "ENOS" not in said(net, 2, "iptables", "-t", "raw", "-S")
    finally:
        said(net, 0, "ip", "link", "set", "gone0", "name", "eth0")
        said(net, 0, "ip", "link", "set", "eth0", "up")
        said(net, 0, "ip", "addr", "add", "fd00:99::1/64", "dev", "eth0", "nodad")


def test_a_command_refused_in_the_middle_leaves_no_host_half_shaped(
    net: NamespaceTestbed,
) -> None:
    asked = {"delay": Duration(ms=5), "jitter": Duration(ms=1)}
    strange = ConstraintSpec(src="grp1", dst="grp2", distribution="strange", **asked)
    narrow = ConstraintSpec(src="grp3", dst="grp2", rate=Rate.parse("9mbit"))
    several = NetworkConstraints(constraints=(narrow, strange))
    plan = plan_emulation(several, net.testbed)
    assert {"node-1", "node-2", "node-4"} <= set(plan.hosts)
    before = [said(net, n, "sh", "-c", STATE) for n in range(4)]

    with pytest.raises(EmulationError, match=r"`node-1`, `node-2` refused") as refused:
        shape(net, plan, Backend.NETEM)

    assert "nothing is left shaped" in refused.value.hint
    assert [said(net, n, "sh", "-c", STATE) for n in range(4)] == before


def test_commands_cut_short_by_a_lost_connection_leave_nothing(
    net: NamespaceTestbed, plan: EmulationPlan, backend: Backend
) -> None:
    host = net.testbed.hosts[0]
    script = commands(plan, backend)[host.name].script
    before = said(net, 0, "sh", "-c", STATE)

    for share in (0.5, 0.8, 0.95, 0.999):
        part = script[: int(len(script) * share)]
        done = run_on(net.shell, host, ("sh", "-s"), stdin=part, check=False)

        assert done.returncode != 0
        assert said(net, 0, "sh", "-c", STATE) == before


KILL = """daemon=$(cat /run/enos-netem/pid)
kill -9 $daemon
until grep -qs . /run/enos-netem/deaths &&
    [ "$(cat /run/enos-netem/pid 2>&1)" != $daemon ]; do
    sleep 0.05
done"""

BARE = "until [ $(ls /run/enos-netem) = deaths ]; do sleep 0.1; done"


def test_a_delay_daemon_that_died_is_started_again_and_its_death_is_named(
    net: NamespaceTestbed, plan: EmulationPlan
) -> None:
    baseline = seen(net, plan, rates=False)
    shape(net, plan, Backend.USER_SPACE)
    said(net, 0, "timeout", "20", "sh", "-c", KILL)

    with pytest.raises(EmulationError, match=r"node-1.*daemon died once") as found:
        check(plan, net.testbed, net.shell, backend=Backend.USER_SPACE)

    assert len(found.value.details.splitlines()) == 1, "all else is as planned"
    again = seen(net, plan, rates=False, baseline=baseline)
    require(verdicts(again, baseline))
    shape(net, plan, Backend.USER_SPACE)  # checks, too


def test_a_delay_daemon_that_cannot_live_leaves_its_host_bare(
    net: NamespaceTestbed, plan: EmulationPlan
) -> None:
    before = said(net, 0, "sh", "-c", STATE)
    shape(net, plan, Backend.USER_SPACE)
    for _ in range(3):
        said(net, 0, "timeout", "20", "sh", "-c", KILL)
    said(net, 0, "timeout", "20", "sh", "-c", BARE)

    with pytest.raises(EmulationError, match=r"node-1.*daemon died 3 times"):
        check(plan, net.testbed, net.shell, backend=Backend.USER_SPACE)

    assert said(net, 0, "sh", "-c", STATE).split() == [*before.split(), "enos-netem"]
    assert "1/1/0%" in said(net, 0, "sh", "-c", "fping -c1 -t500 10.99.0.3 2>&1")
    reset(net.testbed, net.shell, RecordingProgress())
    assert said(net, 0, "sh", "-c", STATE) == before


EVERYTHING = ConstraintSpec(
    src="grp1",
    dst="grp2",
    delay=Duration(ms=20),
    jitter=Duration(ms=4),
    distribution="normal",
    delay_correlation=Percent(20),
    loss=GilbertElliott(p=Percent(10), r=Percent(60), bad=Percent(60)),
    duplicate=Percent(10),
    reorder=Percent(15),
    corrupt=Percent(10),
)


def test_everything_at_once_is_what_is_measured(
    net: NamespaceTestbed, backend: Backend
) -> None:
    asked = NetworkConstraints(constraints=(EVERYTHING,))
    plan = plan_emulation(asked, net.testbed)
    shape(net, plan, backend)
    try:
        measured = seen(net, plan, rates=False)
    finally:
        reset(net.testbed, net.shell, RecordingProgress())

    link = [v for v in verdicts(measured) if {v.source, v.destination} == ENDS]
    assert {one.quantity for one in link} == QUANTITIES
    for one in link:  # the width of a 99 % interval is five standard errors
        assert one.measured is not None
        assert abs(one.measured - one.asked) <= one.high - one.low, one


REFUSED = f"-p tcp --dport {PORT} -j REJECT --reject-with tcp-reset"
RATED = NetworkConstraints(
    constraints=(
        ConstraintSpec(src="grp1", dst="grp2", rate=Rate.parse("20mbit")),
        ConstraintSpec(
            src="grp1", dst="grp3", rate=Rate.parse("20mbit"), loss=Percent(100)
        ),
    )
)


def test_a_rate_that_cannot_be_measured_is_one_bad_verdict_and_a_cut_link_none(
    net: NamespaceTestbed, backend: Backend
) -> None:
    plan = plan_emulation(RATED, net.testbed)
    shape(net, plan, backend)
    said(net, 2, "sh", "-c", f"iptables -A INPUT {REFUSED}")
    try:
        found = verdicts(seen(net, plan, rates=True))
        listening = said(net, 2, "cat", "/proc/net/tcp", "/proc/net/tcp6")
    finally:
        said(net, 2, "sh", "-c", f"iptables -D INPUT {REFUSED}")
        reset(net.testbed, net.shell, RecordingProgress())

    rates = {one.destination: one for one in found if one.quantity == "rate"}
    refused, cut = rates["node-3"], rates["node-4"]
    assert (refused.measured, refused.ok) == (None, False)
    assert "iperf3" in refused.note
    assert (cut.measured, cut.ok) == (None, True)
    assert cut.note == "not measured: no packet is to arrive"
    assert [one for one in found if not one.ok] == [refused]
    assert f":{PORT:04X} " not in listening, "the server outlives its measurement"


ENDS = {"node-1", "node-3"}
QUANTITIES = {"rtt", "jitter", "loss", "duplicate", "reorder"}
TRACKING = "-m conntrack --ctstate INVALID -j DROP"


def test_packets_that_follow_one_another_pass_where_connections_are_tracked(
    net: NamespaceTestbed, plan: EmulationPlan
) -> None:
    for place in (0, 2):
        said(net, place, "sh", "-c", f"iptables -A INPUT {TRACKING}")
    shape(net, plan, Backend.USER_SPACE)
    try:
        # The first arrives after 25 ms, four more are under way by then.
        line = said(net, 0, "sh", "-c", "fping -q -c20 -p5 -t500 10.99.0.3 2>&1")
    finally:
        for place in (0, 2):
            said(net, place, "sh", "-c", f"iptables -D INPUT {TRACKING}")

    assert "20/20/0%" in line


TRANSFER = """
import hashlib, socket, sys, threading
data = bytes(range(256)) * 1600
if sys.argv[1] == "listen":
    with socket.create_server(("0.0.0.0", 7077)) as server:
        print("ready", flush=True)
        connection, _ = server.accept()
        got = b"".join(iter(lambda: connection.recv(65536), b""))
    print(hashlib.sha256(got).hexdigest() == hashlib.sha256(data).hexdigest())
else:
    with socket.create_connection(("10.99.0.3", 7077)) as connection:
        connection.sendall(data)
"""


def test_turned_bits_are_found_by_checksums_and_no_byte_arrives_wrong(
    net: NamespaceTestbed,
) -> None:
    spec = ConstraintSpec(src="grp1", dst="grp2", corrupt=Percent(10))
    plan = plan_emulation(NetworkConstraints(constraints=(spec,)), net.testbed)
    shape(net, plan, Backend.USER_SPACE)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(said, net, 2, "python3", "-c", TRANSFER, "listen")
            until_heard(net, 2, 7077)
            said(net, 0, "python3", "-c", TRANSFER, "send")
            assert waiting.result(timeout=40).split() == ["ready", "True"]
        errors = said(net, 2, "sh", "-c", "nstat -asz TcpInCsumErrors IpInHdrErrors")
    finally:
        reset(net.testbed, net.shell, RecordingProgress())

    assert sum(int(word) for word in errors.split() if word.isdecimal()) > 5


def until_heard(net: NamespaceTestbed, place: int, port: int) -> None:
    until = time.monotonic() + 20
    while f":{port}" not in said(net, place, "ss", "-Hltn"):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_secondary_and_ipv6_addresses_are_shaped_like_the_first(
    net: NamespaceTestbed, plan: EmulationPlan
) -> None:
    shape(net, plan, Backend.USER_SPACE)
    # fping's clock stops where a packet arrives: it sees the way there alone.
    for target in ("10.99.1.1", "fd00:99::1"):
        said(net, 2, "fping", "-c1", "-t500", target)
        line = said(net, 2, "sh", "-c", f"fping -q -c5 -p20 -t500 {target} 2>&1")
        least = float(line.rpartition("= ")[2].split("/")[0])
        assert 24.5 < least < 27


CONNECT = """
import socket, sys, time
began = time.monotonic()
socket.socket().connect_ex(("10.99.0.3", int(sys.argv[1])))  # refused after one RTT
print(1000 * (time.monotonic() - began))
"""


def test_ssh_is_spared_where_enos_comes_through_shaped_links(
    net: NamespaceTestbed, backend: Backend
) -> None:
    plan = plan_emulation(ASKED, net.testbed, controller=("10.99.0.1",))
    shape(net, plan, backend)

    trips = {
        port: float(said(net, 0, "python3", "-c", CONNECT, port))
        for port in ("22", "23")
    }
    direct = re.search(
        r"direct_packets_stat (\d+)", said(net, 0, "tc", "-s", "qdisc", "show")
    )

    assert trips["22"] < 20
    assert trips["23"] > 45
    assert direct
    assert int(direct[1]) >= 1
    reset(net.testbed, net.shell, RecordingProgress())
