"""Which pairs of hosts prove a plan: each thing that is asked has one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.netem import Pair, pairs_in_all, pairs_to_measure, plan_emulation
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration

API = Network(name="api", cidr="10.0.0.0/16", roles=("api",))
TUNNEL = Network(name="tun", cidr="10.1.0.0/16", roles=("tunnel",))


def host(number: int, group: str, *roles: str) -> Host:
    place = f"{number // 250}.{number % 250 + 1}/16"
    nics = (
        Nic(device="eth0", network="api", addresses=(f"10.0.{place}",)),
        Nic(device="eth1", network="tun", addresses=(f"10.1.{place}",)),
    )
    name = f"{(*roles, group)[0]}-{number}"
    return Host(name=name, address=name, groups=(group,), roles=roles, nics=nics)


def bed_of(*hosts: Host) -> Testbed:
    return Testbed(provider="t", hosts=hosts, networks=(API, TUNNEL))


def spec(src: str, dst: str, delay: float, network: str = "") -> ConstraintSpec:
    return ConstraintSpec(src=src, dst=dst, delay=Duration(ms=delay), network=network)


def pairs(bed: Testbed, *several: ConstraintSpec) -> tuple[Pair, ...]:
    plan = plan_emulation(NetworkConstraints(constraints=several), bed)
    return pairs_to_measure(plan, bed)


def on(network: str, several: tuple[Pair, ...]) -> list[tuple[str, str, float, float]]:
    return [
        (one.source, one.destination, one.there.delay.ms, one.back.delay.ms)
        for one in several
        if one.network == network
    ]


def test_roles_that_constraints_name_are_measured_inside_a_group() -> None:
    flat = bed_of(
        *(host(n, "default_group", "control") for n in (0, 1)),
        host(2, "default_group", "network"),
        host(3, "default_group", "compute"),
        host(4, "default_group", "storage"),
    )

    found = pairs(flat, spec("control", "compute", 9, network="api"))

    assert on("api", found) == [
        ("control-0", "control-1", 0, 0),
        ("network-2", "storage-4", 0, 0),
        ("control-0", "network-2", 0, 0),
        ("control-0", "compute-3", 9, 0),
        ("network-2", "compute-3", 0, 0),
    ]
    assert len(on("tun", found)) == 5


def test_roles_that_no_constraint_names_take_no_pairs_of_their_own() -> None:
    bed = bed_of(*(host(n, "a", f"role{n}") for n in range(5)), host(9, "b", "control"))

    found = pairs(bed, spec("a", "b", 9, network="api"))

    assert on("api", found) == [
        ("role0-0", "role1-1", 0, 0),
        ("role0-0", "control-9", 9, 0),
    ]


names = st.sampled_from(["a", "b", "control", "compute"])
hosts = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["control", "compute"])),
    min_size=2,
    max_size=7,
)
specs = st.lists(
    st.builds(
        spec, names, names, st.integers(1, 9), st.sampled_from(["", "api", "tunnel"])
    ),
    max_size=5,
)


@settings(deadline=None)  # machines may be busy
@given(hosts, specs)
def test_whatever_is_asked_is_asked_of_a_pair_that_is_measured(
    members: list[tuple[str, str]], several: list[ConstraintSpec]
) -> None:
    anchors = [("a", "control"), ("b", "compute")] * 2
    bed = bed_of(
        *(host(n, *member) for n, member in enumerate([*anchors, *members])),
    )
    asked = NetworkConstraints(
        default_delay=Duration(ms=77), constraints=tuple(several)
    )
    plan = plan_emulation(asked, bed)

    chosen = pairs_to_measure(plan, bed)

    measured = {
        (one.network, *ends, shaping)
        for one in chosen
        for ends, shaping in (
            ((one.source, one.destination), one.there),
            ((one.destination, one.source), one.back),
        )
    }
    of = {one.name: (*one.groups, *one.roles) for one in bed.hosts}
    wanted = {(r.network, of[r.host], of[r.target], r.shaping) for r in plan.rules()}
    seen = {(net, of[one], of[other], how) for net, one, other, how in measured}
    told_apart = {name for one in several for name in (one.src, one.dst)} - {"a", "b"}
    if told_apart >= {"control", "compute"}:
        assert wanted <= seen
    assert {(net, how) for net, _, _, how in wanted} <= {(s[0], s[3]) for s in seen}
    assert pairs_in_all(plan, bed) == len(chosen)


def test_beyond_200_pairs_each_different_thing_asked_is_still_measured() -> None:
    bed = bed_of(*(host(n, f"g{n}") for n in range(30)))
    asked = NetworkConstraints(
        default_delay=Duration(ms=5),
        constraints=(spec("g28", "g29", 40, "tunnel"), spec("g29", "g27", 50)),
    )
    plan = plan_emulation(asked, bed)

    found = pairs_to_measure(plan, bed)

    assert (len(found), pairs_in_all(plan, bed)) == (200, 2 * 435)
    assert len({one.key for one in found}) == 200
    assert ("g28-28", "g29-29", 40, 5) in on("tun", found)
    assert ("g27-27", "g29-29", 5, 50) in on("api", found)
    assert ("g27-27", "g29-29", 5, 50) in on("tun", found)
    assert ("g0-0", "g1-1", 5, 5) in on("tun", found)


def test_beyond_200_pairs_a_host_without_an_address_to_measure_stands_for_none() -> (
    None
):
    ipv6 = (Nic(device="eth0", network="api", addresses=("fd00::1/64",)),)
    bare = Host(name="bare", address="bare", groups=("g29",), nics=ipv6)
    bed = bed_of(bare, *(host(n, f"g{n}") for n in range(30)))
    asked = NetworkConstraints(
        default_delay=Duration(ms=5), constraints=(spec("g28", "g29", 40),)
    )
    plan = plan_emulation(asked, bed)

    found = pairs_to_measure(plan, bed)

    assert len(found) == 200
    assert all(one.address and one.back_address for one in found)
    assert ("g28-28", "g29-29", 40, 5) in on("api", found)


def test_an_address_in_the_range_of_the_network_is_measured() -> None:
    several = ("fd00::1/64", "192.0.2.1/24", "10.0.9.1/16")
    nic = Nic(device="eth0", network="api", addresses=several)
    odd = Host(name="odd", address="odd", groups=("b",), nics=(nic,))
    bed = Testbed(provider="t", hosts=(host(0, "a"), odd), networks=(API, TUNNEL))

    (pair,) = pairs(bed, spec("a", "b", 5))

    assert (pair.address, pair.back_address) == ("10.0.9.1", "10.0.0.1")


def test_an_interface_with_ipv6_alone_is_not_measured_on_a_network_of_ipv4() -> None:
    bridged = tuple(
        Host(
            name=group,
            address=group,
            groups=(group,),
            nics=(Nic(device="eth0", network="api", addresses=(f"fd00::{group}/64",)),),
        )
        for group in "ab"
    )
    bed = Testbed(provider="t", hosts=bridged, networks=(API, TUNNEL))

    assert pairs(bed, spec("a", "b", 5)) == ()


def test_all_interfaces_a_host_has_on_a_network_are_shaped() -> None:
    nics = tuple(
        Nic(device=f"eth{n}", network="api", addresses=(f"10.0.9.{n + 1}/16",))
        for n in (0, 1)
    )
    bare = Nic(device="eth2", network="api", addresses=("fe80::1/64",))
    two = Host(name="two", address="two", groups=("b",), nics=(*nics, bare))
    bed = Testbed(provider="t", hosts=(host(0, "a"), two), networks=(API, TUNNEL))
    both = (spec("a", "b", 5, "api"), spec("b", "a", 6, "api"))
    plan = plan_emulation(NetworkConstraints(constraints=both), bed)

    rules = {
        (r.host, r.device, r.destination): r.shaping.delay.ms for r in plan.rules()
    }
    assert rules == {
        ("a-0", "eth0", "10.0.9.1"): 5,
        ("a-0", "eth0", "10.0.9.2"): 5,
        ("two", "eth0", "10.0.0.1"): 6,
        ("two", "eth1", "10.0.0.1"): 6,
    }
    arriving = [len(one.incoming[0].peers) for one in plan.interfaces]
    assert arriving == [1, 1, 1]
    (pair,) = pairs_to_measure(plan, bed)
    assert (pair.address, pair.there.delay.ms, pair.back.delay.ms) == ("10.0.9.1", 5, 6)
