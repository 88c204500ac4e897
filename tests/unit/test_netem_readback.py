"""What hosts report, in the words of their programs, compared with what was told."""

import json
import time
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.config.values import LEAST_BITS
from enos.netem import Backend, HostCommands, Shaping, commands, plan_emulation
from enos.netem.crandom import threshold
from enos.netem.plan import EmulationPlan, Flow, Interface, Peer
from enos.netem.readback import faults
from enos.netem.trafficcontrol import UNLIMITED, TrafficClass
from enos.netem.userspace import lanes
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration, GilbertElliott, Percent, Rate


def node(number: int, group: str) -> Host:
    addresses = (f"10.0.0.{number}/24", f"fd00::{number}/64")
    nic = Nic(device="eth0", network="api", addresses=addresses)
    return Host(name=f"node-{number}", address="-", groups=(group,), nics=(nic,))


BED = Testbed(
    provider="t",
    hosts=(node(1, "grp1"), node(2, "grp1"), node(3, "grp2"), node(4, "grp3")),
    networks=(Network(name="api", cidr="10.0.0.0/24", roles=("api",)),),
)
ASKED = NetworkConstraints(
    default_delay=Duration(ms=10),
    constraints=(
        ConstraintSpec(
            src="grp1",
            dst="grp2",
            delay=Duration(ms=25),
            jitter=Duration(ms=2),
            loss=Percent(value=0.1),
            rate=Rate.parse("12345678bit"),
            symmetric=True,
        ),
        ConstraintSpec(
            src="grp3",
            dst="grp2",
            delay=Duration(ms=40),
            jitter=Duration(ms=4),
            distribution="pareto",
            delay_correlation=Percent(25),
            loss=GilbertElliott(p=Percent(1), r=Percent(10), bad=Percent(70)),
            duplicate=Percent(1),
            reorder=Percent(5),
            reorder_correlation=Percent(50),
            corrupt=Percent(0.2),
            limit=5000,
        ),
    ),
)
PLAN = plan_emulation(ASKED, BED)
TICKS = 15.625  # of 64 ns in a microsecond, in which the kernel keeps a burst


def options(shaping: Shaping) -> dict[str, Any]:
    """Return what ``tc -j qdisc show`` (iproute2 6.1) says of a shaping."""
    found: dict[str, Any] = {
        "limit": shaping.limit,
        "delay": {
            "delay": shaping.delay.ms / 1000,
            "jitter": shaping.jitter.ms / 1000,
            "correlation": shaping.delay_correlation.value / 100,
        },
        "ecn": False,
        "gap": 1 if shaping.reorder.value else 0,
    }
    losses = shaping.losses
    if isinstance(losses, GilbertElliott):
        shares = {"p": losses.p, "r": losses.back, "1-h": losses.bad}
        found["loss-gemodel"] = {name: one.value / 100 for name, one in shares.items()}
        found["loss-gemodel"]["1-k"] = losses.good.value / 100
    elif losses.value:
        found["loss-random"] = {"loss": losses.value / 100, "correlation": 0}
    for name in ("duplicate", "corrupt"):
        share = getattr(shaping, name).value / 100
        found |= {name: {name: share, "correlation": 0}} if share else {}
    if shaping.reorder.value:
        share = threshold(shaping.reorder, shaping.reorder_correlation)
        found["reorder"] = {
            "reorder": share.value / 100,
            "correlation": shaping.reorder_correlation.value / 100,
        }
    return found


def printed_rate(bits: float) -> str:
    """Return a rate as tc (iproute2 6.1, print_rate) prints it, digits cut off.

    The kernel keeps it in whole bytes per second.
    """
    units = ("bit", "Kbit", "Mbit", "Gbit")
    whole, unit = int(bits) // 8 * 8, 0
    while unit < 3 and whole >= 1000 and (whole % 1000 == 0 or whole >= 1_000_000):
        whole, unit = whole // 1000, unit + 1
    return f"{whole}{units[unit]}"


def class_line(one: TrafficClass) -> str:
    """Return a class as ``tc class show`` prints it."""
    rate = one.shaping.rate or Rate.parse(UNLIMITED)
    kept = int(rate.bits) // 8
    ticks = int(int(one.shaping.burst / kept * 1e6) * TICKS)
    assert ticks < 1 << 32
    burst = int(int(ticks / TICKS) * kept / 1e6)
    speed = printed_rate(rate.bits)
    return (
        f"class htb {one.id} root leaf c45d: prio 0 rate {speed} ceil {speed} "
        f"burst {burst}b cburst {burst}b "
    )


def filter_lines(version: int, several: dict[str, str]) -> list[str]:
    """Return address → class as ``tc filter show`` prints it."""
    kind, pref = {4: ("ip", 41), 6: ("ipv6", 61)}[version]
    head = f"filter protocol {kind} pref {pref} u32 chain 0 "
    lines = [head, f"{head}fh {version}: ht divisor 256 "]
    for place, (address, flow) in enumerate(several.items()):
        lines.append(
            f"{head}fh {version}:3:{place + 0x800:x} order 2048 key ht {version} "
            f"bkt 3 *flowid {flow} not_in_hw "
        )
        packed = ip_address(address).packed.hex()
        first = {4: 16, 6: 24}[version]
        lines += [
            f"  match {packed[at : at + 8]}/ffffffff at {first + at // 2}"
            for at in range(0, len(packed), 8)
        ]
    return [
        *lines,
        f"{head}fh 801::800 order 2048 key ht 801 bkt 0 link {version}: not_in_hw ",
        "  match 00000000/00000000 at 0",
        "    hash mask 000000ff at 16 ",
    ]


def tree_lines(device: str, several: tuple[TrafficClass, ...]) -> list[str]:
    leaves = [
        {"kind": "netem", "parent": one.id, "options": options(one.shaping)}
        for one in several
    ]
    lines = [f"[tree {device}]", *map(class_line, several), json.dumps(leaves)]
    flows = {address: one.id for one in several for address in one.addresses}
    for version in (4, 6):
        own = {a: f for a, f in flows.items() if (":" in a) == (version == 6)}
        lines += filter_lines(version, own) if own else []
    return lines


def report_of(told: HostCommands) -> str:
    """Return what a host that does as it was told reports."""
    lines = [line for tree in told.trees for line in tree_lines(*tree)]
    numbers = [queue.number for queue in told.queues]
    lines += ["[queues]", *(f"{n}  21632     0 1     0 0 0 0  1" for n in numbers)]
    lines += ["[classes]", lanes(told.queues)] if numbers else []
    lines += ["[sets]"]
    rules = []
    for version in (4, 6):
        for queue in told.queues:
            name = queue.set_name(version)
            for source in queue.sources_of(version):
                lines += [f"add {name} {source}", f"add enos-all-{version} {source}"]
            rules.append(
                f"-A ENOS-NETEM -m set --match-set {name} src "
                f"-j NFQUEUE --queue-num {queue.number} --queue-bypass"
            )
        rules.append(
            f"-A PREROUTING -m set --match-set enos-all-{version} src -j ENOS-NETEM"
        )
    return "\n".join([*lines, "[chains]", *rules, "[deaths]", "[end]", ""])


@pytest.mark.parametrize("backend", list(Backend))
def test_a_host_that_does_as_told_has_no_faults(backend: Backend) -> None:
    for told in commands(PLAN, backend).values():
        assert faults(told, report_of(told)) == ()


@pytest.mark.parametrize(
    ("backend", "old", "new", "fault"),
    [
        (Backend.NETEM, "class htb e05:1 ", "class htb e05:9 ", "classes are missing"),
        (Backend.NETEM, "flowid e05:1 ", "flowid 1:1 ", "in no class instead of e05:1"),
        (Backend.NETEM, "flowid e05:1 ", "flowid e05:2 ", "2 of 4 addresses are in an"),
        (Backend.NETEM, "match 0a000003/", "match 0a000009/", "10.0.0.3 in no class"),
        (Backend.NETEM, "match 0a000003/", "match 0a000009/", "10.0.0.9 first"),
        (Backend.NETEM, "00000003/ffffffff at 36", "00000003/0 at 36", "fd00::3 in no"),
        (Backend.NETEM, "link 6:", "link 5:", "no look into the hash table of IPv6"),
        (Backend.NETEM, "rate 12345Kbit", "rate 12445Kbit", "e05:1 has rate 12445Kbit"),
        (Backend.NETEM, "ceil 12345Kbit", "ceil 1Gbit", "instead of 12345672 bit/s"),
        (Backend.NETEM, "rate 100Gbit", "rate 1Gbit", "e05:2 has rate 1Gbit instead"),
        (
            Backend.NETEM,
            " burst 3033b",
            " burst 2Kb",
            "burst 2Kb instead of 3036 bytes",
        ),
        (Backend.NETEM, "cburst 3033b", "cburst 1Mb", "has cburst 1Mb instead of"),
        (Backend.NETEM, '"delay": 0.025', '"delay": 0.02', "is not 25ms"),
        (Backend.NETEM, "[end]", "", "ends early"),
        (Backend.USER_SPACE, "rate 12345Kbit", "rate 9Mbit", "has rate 9Mbit instead"),
        (Backend.USER_SPACE, "57424  2", "1  2", "the delay daemon is gone"),
        (Backend.USER_SPACE, "[deaths]\n", "[deaths]\nat noon\n", "died once since"),
        (Backend.NETEM, "[deaths]\n", "[deaths]\n1\nat 2\n", "died 2 times"),
        (Backend.USER_SPACE, "25000", "2500", "other quantities than planned"),
        (Backend.USER_SPACE, "[classes]", "[none]", "other quantities than planned"),
        (Backend.USER_SPACE, "-j NFQUEUE", "-j DROP", "rule that fills queue 57424"),
        (Backend.USER_SPACE, "-A PREROUTING", "-A OUTPUT", "IPv6 packets do not enter"),
        (
            Backend.USER_SPACE,
            "add enos-57424-4 10.0.0.3",
            "add enos-57424-4 10.0.0.9",
            "set enos-57424-4 has 2 addresses too few or too many",
        ),
        (Backend.USER_SPACE, "add enos-all-6 fd00::3", "", "set enos-all-6 has 1 "),
    ],
)
def test_each_difference_between_host_and_plan_is_named(
    backend: Backend, old: str, new: str, fault: str
) -> None:
    told = commands(PLAN, backend)["node-1"]
    report = report_of(told)
    assert old in report

    found = faults(told, report.replace(old, new))

    assert any(fault in one for one in found), found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"jitter": 0.004', '"jitter": 0.005'),
        ('"correlation": 0.25', '"correlation": 0.0'),
        ('"p": 0.01', '"p": 0.02'),
        ('"1-h": 0.7', '"1-h": 1.0'),
        ('"duplicate": 0.01', '"duplicate": 0.02'),
        ('"reorder": 0.228749', '"reorder": 0.05'),
        ('"correlation": 0.5', '"correlation": 0.1'),
        ('"corrupt": 0.002', '"corrupt": 0.0'),
        ('"limit": 5000', '"limit": 1000'),
        ('"loss-gemodel"', '"loss-state"'),
    ],
)
def test_every_quantity_is_read_back_and_compared(old: str, new: str) -> None:
    told = commands(plan_emulation(ASKED, BED), Backend.NETEM)["node-4"]
    report = report_of(told)
    assert old in report

    found = faults(told, report.replace(old, new))

    assert any("is not 40ms ±4ms pareto correlated 25%" in one for one in found)


@given(st.integers(LEAST_BITS, 400_000_000_000))
@example(LEAST_BITS)
@example(103)
def test_a_rate_is_known_again_however_tc_rounds_what_it_prints(bits: int) -> None:
    shaping = Shaping(rate=Rate(bits=float(bits)))
    told = commands(to_many(1, shaping), Backend.NETEM)["me"]

    assert faults(told, report_of(told)) == ()
    (near,) = replace_all(report_of(told), bits, bits * 1.01 + 8)
    assert faults(told, near) != ()


def replace_all(report: str, bits: float, other: float) -> tuple[str]:
    return (report.replace(f" {printed_rate(bits)} ", f" {printed_rate(other)} "),)


def to_many(number: int, shaping: Shaping) -> EmulationPlan:
    peers = tuple(
        Peer(host=f"h{n}", addresses=(f"10.0.{n // 250}.{n % 250 + 1}",))
        for n in range(number)
    )
    flow = Flow(peers=peers, shaping=shaping, asked="a > b", priority=1)
    one = Interface(
        host="me", device="eth0", network="n", outgoing=(flow,), incoming=(flow,)
    )
    return EmulationPlan(interfaces=(one,))


@pytest.mark.parametrize("backend", list(Backend))
def test_a_thousand_destinations_are_compared_in_a_fraction_of_a_second(
    backend: Backend,
) -> None:
    shaping = Shaping(delay=Duration(ms=5), rate=Rate.parse("10mbit"))
    told = commands(to_many(1000, shaping), backend)["me"]
    report = report_of(told)

    began = time.process_time()
    assert faults(told, report) == ()
    assert time.process_time() - began < 0.5
