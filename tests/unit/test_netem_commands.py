"""From a plan to the exact commands, and from a host's answer back to a judgement."""

import json
import os
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.errors import CapabilityError, EmulationError
from enos.netem import (
    Backend,
    Flow,
    HostCommands,
    Interface,
    Peer,
    Shaping,
    commands,
    plan_emulation,
)
from enos.netem.backend import choose
from enos.netem.readback import faults
from enos.netem.trafficcontrol import batch, classes, spreading_shift
from enos.netem.userspace import queues
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration, Percent, Rate

GOLDEN = Path(__file__).parents[1] / "golden" / "netem"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))


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
            rate=Rate.parse("1gbit"),
            symmetric=True,
        ),
    ),
)


@pytest.mark.parametrize("backend", list(Backend))
def test_the_commands_of_every_host_are_those_on_record(backend: Backend) -> None:
    plan = plan_emulation(ASKED, BED, controller=("10.0.0.1",))

    texts = {host: told.text for host, told in commands(plan, backend).items()}
    shown = "".join(f"=== {host}\n{text}" for host, text in texts.items())

    golden = GOLDEN / f"commands-{backend}.txt"
    if UPDATE:
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def one_interface(number: int, shaping: Shaping) -> Interface:
    peers = tuple(
        Peer(host=f"h{n}", addresses=(str(IPv4Address(0x0A000000 + n)),))
        for n in range(number)
    )
    flow = Flow(peers=peers, shaping=shaping, asked="a > b", priority=1)
    return Interface(
        host="me", device="eth0", network="n", outgoing=(flow,), incoming=(flow,)
    )


def test_hosts_share_a_class_without_a_rate_and_have_one_each_with_a_rate() -> None:
    slow = Shaping(delay=Duration(ms=1))
    narrow = Shaping(rate=Rate.parse("1mbit"))

    assert len(classes(one_interface(50, slow), netem=True)) == 1
    assert len(classes(one_interface(50, narrow), netem=True)) == 50
    assert classes(one_interface(50, slow), netem=False) == ()


def test_a_device_on_two_networks_gets_one_tree() -> None:
    nics = tuple(
        Nic(device="eth0", network=name, addresses=(f"{net}.1/24",))
        for name, net in (("api", "10.0.0"), ("tun", "10.1.0"))
    )
    other = tuple(
        replace(nic, addresses=(nic.addresses[0].replace(".1/", ".2/"),))
        for nic in nics
    )
    bed = Testbed(
        provider="t",
        hosts=(
            Host(name="a", address="a", groups=("grp1",), nics=nics),
            Host(name="b", address="b", groups=("grp2",), nics=other),
        ),
        networks=(
            Network(name="api", cidr="10.0.0.0/24", roles=("api",)),
            Network(name="tun", cidr="10.1.0.0/24", roles=("tunnel",)),
        ),
    )
    plan = plan_emulation(NetworkConstraints(default_delay=Duration(ms=5)), bed)

    told = commands(plan, Backend.NETEM)["a"]

    assert [name for name, _ in told.files] == ["eth0.tc"]
    ((_, (one,)),) = told.trees
    assert one.addresses == ("10.0.0.2", "10.1.0.2")


def test_class_ids_are_hexadecimal_and_stay_within_what_tc_has() -> None:
    narrow = Shaping(rate=Rate.parse("1mbit"))

    ids = [one.id for one in classes(one_interface(10_000, narrow), netem=True)]

    assert ids[9_999] == "e05:2710"
    assert len(set(ids)) == 10_000
    with pytest.raises(EmulationError, match="70000 classes"):
        classes(one_interface(70_000, narrow), netem=True)


def test_a_thousand_destinations_fill_the_hash_table_evenly() -> None:
    lines = batch(one_interface(1000, Shaping(loss=Percent(value=1))), netem=True)

    buckets = Counter(
        line.split(" ht ")[1].split()[0]
        for line in lines.splitlines()
        if " ht " in line
    )
    assert max(buckets.values()) <= 4


def test_addresses_alike_in_their_last_byte_are_spread_by_another() -> None:
    assert spreading_shift([0x0A000001 + (n << 8) for n in range(200)]) == 8


@settings(deadline=None)  # machines may be busy
@given(st.sets(st.integers(0, 2**32 - 1), min_size=1, max_size=300))
def test_the_chosen_byte_spreads_at_least_as_well_as_the_last(words: set[int]) -> None:
    def fullest(shift: int) -> int:
        return max(Counter(word >> shift & 0xFF for word in words).values())

    assert fullest(spreading_shift(list(words))) <= fullest(0)


def test_a_queue_is_as_long_as_rate_times_delay_and_a_burst_as_a_millisecond() -> None:
    far = Shaping(delay=Duration(ms=100), rate=Rate.parse("10gbit"))
    slow = Shaping(delay=Duration(ms=100), rate=Rate.parse("1mbit"))

    assert far.limit >= 1.5 * 10e9 / 8 * 0.1 / 1500
    assert far.burst == 10e9 / 8 / 1000
    assert slow.burst >= 2 * 1514
    assert 1514 <= slow.quantum <= far.quantum <= 60_000


def test_rates_alone_need_no_queue_and_alike_delays_share_one() -> None:
    narrow = one_interface(3, Shaping(rate=Rate.parse("1mbit")))
    late = one_interface(3, Shaping(delay=Duration(ms=1), rate=Rate.parse("1mbit")))
    other = one_interface(3, Shaping(delay=Duration(ms=1), rate=Rate.parse("2mbit")))

    assert queues((narrow,)) == ()
    (queue,) = queues((late, other))
    assert queue.shaping == Shaping(delay=Duration(ms=1))


def report_of(told: HostCommands) -> str:
    """Return what a host that does as it was told reports."""
    lines = []
    for device, several in told.trees:
        leaves = [
            {
                "kind": "netem",
                "parent": one.id,
                "options": {
                    "delay": {
                        "delay": one.shaping.delay.ms / 1000,
                        "jitter": one.shaping.jitter.ms / 1000,
                    },
                    "loss-random": {"loss": one.shaping.loss.value / 100},
                },
            }
            for one in several
        ]
        lines += [f"[tree {device}]"]
        lines += [f"class htb {one.id} root leaf 8001: prio 0" for one in several]
        lines += [json.dumps(leaves)]
        lines += [
            f"filter u32 fh 4:{n}:800 flowid {one.id} not_in_hw"
            for one in several
            for n in range(len(one.addresses))
        ]
    lines.append("[queues]")
    lines += [f"{queue.number}  21632     0 1     0 0 0 0  1" for queue in told.queues]
    lines.append("[sets]")
    for queue in told.queues:
        for version in (4, 6):
            number = len(queue.sources_of(version))
            lines += [f"Name: {queue.set_name(version)}"]
            lines += [f"Number of entries: {number}"]
    lines.append("[chains]")
    for queue in told.queues:
        lines += [
            f"-A ENOS-NETEM -m set --match-set {queue.set_name(version)} src "
            f"-j NFQUEUE --queue-num {queue.number} --queue-bypass"
            for version in (4, 6)
        ]
    return "\n".join([*lines, "[end]", ""])


@pytest.mark.parametrize("backend", list(Backend))
def test_a_host_that_does_as_told_has_no_faults(backend: Backend) -> None:
    for told in commands(plan_emulation(ASKED, BED), backend).values():
        assert faults(told, report_of(told)) == ()


@pytest.mark.parametrize(
    ("backend", "old", "new", "fault"),
    [
        (Backend.NETEM, "class htb e05:1 ", "class htb e05:9 ", "classes are missing"),
        (Backend.NETEM, "flowid e05:1 ", "flowid 1:1 ", "filters instead of"),
        (Backend.NETEM, '"delay": 0.025', '"delay": 0.02', "is not 25ms"),
        (Backend.NETEM, "[end]", "", "ends early"),
        (Backend.USER_SPACE, "57424  2", "1  2", "the delay daemon died"),
        (Backend.USER_SPACE, "-j NFQUEUE", "-j DROP", "rule that fills queue 57424"),
        (Backend.USER_SPACE, "entries: 1", "entries: 0", "lacks some"),
    ],
)
def test_each_difference_between_host_and_plan_is_named(
    backend: Backend, old: str, new: str, fault: str
) -> None:
    told = commands(plan_emulation(ASKED, BED), backend)["node-1"]

    found = faults(told, report_of(told).replace(old, new))

    assert any(fault in one for one in found)


FULL = ("tc", "htb", "netem", "ipset", "nfqueue", "queues", "python3")
NO_NETEM = tuple(one for one in FULL if one != "netem")


def test_netem_is_chosen_where_every_host_has_it_else_user_space_for_all() -> None:
    assert choose({"a": FULL, "b": FULL}).backend is Backend.NETEM
    mixed = choose({"a": FULL, "b": NO_NETEM})
    assert mixed.backend is Backend.USER_SPACE
    assert mixed.why == "no sch_netem on b"
    forced = choose({"a": FULL}, wanted=Backend.USER_SPACE)
    assert forced.backend is Backend.USER_SPACE


def test_a_host_that_can_do_neither_is_named_with_what_it_lacks() -> None:
    with pytest.raises(CapabilityError, match="not possible on b") as raised:
        choose({"a": FULL, "b": ("tc", "htb", "python3")})
    assert raised.value.details == "b: no ipset, nfqueue, queues"
    with pytest.raises(CapabilityError, match="by netem"):
        choose({"a": NO_NETEM}, wanted=Backend.NETEM)
