"""From a plan to the exact commands, and which back end can run them."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.errors import CapabilityError, EmulationError
from enos.netem import (
    Backend,
    EmulationPlan,
    Flow,
    Interface,
    Peer,
    Shaping,
    commands,
    plan_emulation,
)
from enos.netem.backend import choose, mixes_copies, queues_ipv6
from enos.netem.crandom import threshold
from enos.netem.trafficcontrol import batch, classes, netem_words, spreading_shift
from enos.netem.userspace import queues
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration, GilbertElliott, Percent, Rate

Golden = Callable[[str, str], None]


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
        ConstraintSpec(
            src="grp2",
            dst="grp3",
            loss=Percent(10),
            loss_correlation=Percent(20),
            rate=Rate.parse("10mbit"),
            limit=50,
        ),
    ),
)


@pytest.mark.parametrize("backend", list(Backend))
def test_the_commands_of_every_host_are_those_on_record(
    backend: Backend, golden: Golden
) -> None:
    plan = plan_emulation(ASKED, BED, controller=("10.0.0.1",))

    texts = {host: told.text for host, told in commands(plan, backend).items()}
    shown = "".join(f"=== {host}\n{text}" for host, text in texts.items())

    golden(f"netem/commands-{backend}.txt", shown)


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


def test_a_correlated_loss_is_the_model_that_loses_as_many() -> None:
    shaping = Shaping(loss=Percent(10), loss_correlation=Percent(20))

    assert netem_words(shaping) == "netem limit 1000 loss gemodel 8% 72% 100% 0%"
    assert shaping.losses.value == pytest.approx(10)


@pytest.mark.parametrize("share", [2, 10, 40, 75, 98])
@pytest.mark.parametrize("correlation", [5, 30, 60, 90])
def test_netems_correlated_numbers_come_to_the_share_that_is_asked(
    share: int, correlation: int
) -> None:
    limit = threshold(Percent(share), Percent(correlation)).value / 100
    kept, drawn, happened = correlation / 100, 0.5, 0
    numbers = random.Random(share * correlation)
    for _ in range(60_000):  # as get_crandom of sch_netem.c draws them
        drawn = (1 - kept) * numbers.random() + kept * drawn
        happened += drawn < limit

    assert 100 * happened / 60_000 == pytest.approx(share, abs=2.5)


def test_a_uniform_distribution_is_netems_own_and_others_need_longer_queues() -> None:
    plain = Shaping(delay=Duration(ms=100), jitter=Duration(ms=50))
    normal = replace(plain, distribution="normal")

    assert netem_words(plain).endswith(" delay 100ms 50ms")
    assert netem_words(normal).endswith(" delay 100ms 50ms distribution normal")
    assert normal.limit - 1000 == pytest.approx(2 * (plain.limit - 1000), abs=1)


FULL = ("tc", "htb", "netem", "ipset", "nfqueue", "queues", "python3")
NO_NETEM = tuple(one for one in FULL if one != "netem")


def test_netem_is_chosen_where_every_host_has_it_else_user_space_for_all() -> None:
    assert choose({"a": FULL, "b": FULL}).backend is Backend.NETEM
    mixed = choose({"a": FULL, "b": NO_NETEM})
    assert mixed.backend is Backend.USER_SPACE
    assert mixed.why == "no sch_netem on b"
    forced = choose({"a": FULL}, wanted=Backend.USER_SPACE)
    assert forced.backend is Backend.USER_SPACE


def test_kernels_that_refuse_copies_beside_other_links_are_told_from_the_rest() -> None:
    both = {"a": (*FULL, "copies"), "b": FULL}

    assert choose(both).backend is Backend.NETEM
    assert choose({"a": both["a"]}, copies=True).backend is Backend.NETEM
    other = choose(both, copies=True)
    assert other.backend is Backend.USER_SPACE
    assert other.why == "sch_netem on b does not duplicate on one link beside others"
    with pytest.raises(CapabilityError, match="by netem is not possible on b"):
        choose(both, copies=True, wanted=Backend.NETEM)
    assert mixes_copies(plan_emulation(ASKED, BED))
    alone = ConstraintSpec(src="grp2", dst="grp3", duplicate=Percent(1))
    alone_plan = plan_emulation(NetworkConstraints(constraints=(alone,)), BED)
    assert not mixes_copies(alone_plan)


def test_a_host_without_ip6tables_queues_no_ipv6() -> None:
    plan = plan_emulation(ASKED, BED)
    four = replace(one_interface(2, Shaping(delay=Duration(ms=1))), outgoing=())
    assert queues_ipv6(plan)
    assert not queues_ipv6(EmulationPlan(interfaces=(four,)))

    both = {"a": (*NO_NETEM, "nfqueue6"), "b": NO_NETEM}
    assert choose(both).backend is Backend.USER_SPACE
    with pytest.raises(
        CapabilityError, match="by user-space is not possible on b"
    ) as no:
        choose(both, six=True)
    assert no.value.details == "b: no nfqueue6"


def test_a_host_that_can_do_neither_is_named_with_what_it_lacks() -> None:
    with pytest.raises(CapabilityError, match="not possible on b") as raised:
        choose({"a": FULL, "b": ("tc", "htb", "python3")})
    assert raised.value.details == "b: no ipset, nfqueue, queues"
    with pytest.raises(CapabilityError, match="by netem"):
        choose({"a": NO_NETEM}, wanted=Backend.NETEM)
