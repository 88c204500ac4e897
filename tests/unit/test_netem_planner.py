"""One rule per interface and destination, whatever the constraints and the topology."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos import units
from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.errors import EmulationError
from enos.netem import (
    EmulationPlan,
    Rule,
    Shaping,
    Vip,
    pairs_to_measure,
    plan_emulation,
)
from enos.netem.trafficcontrol import classes
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration, Percent, Rate

API = Network(name="api", cidr="10.0.0.0/16", roles=("api",))
TUNNEL = Network(name="tun", cidr="10.1.0.0/16", roles=("tunnel",))
EXTERNAL = Network(name="ext", cidr="10.2.0.0/16", roles=("external",))


def ms(number: float) -> Duration:
    return Duration(ms=number)


def host(number: int, *groups: str, roles: tuple[str, ...] = ("compute",)) -> Host:
    place = f"{number // 250}.{number % 250 + 1}"
    return Host(
        name=f"h{number}",
        address=f"10.0.{place}",
        groups=groups,
        roles=roles,
        nics=(
            Nic(device="eth0", network="api", addresses=(f"10.0.{place}/16",)),
            Nic(device="eth1", network="tun", addresses=(f"10.1.{place}/16",)),
            Nic(device="eth2", network="ext"),
        ),
    )


def bed_of(*hosts: Host) -> Testbed:
    return Testbed(provider="t", hosts=hosts, networks=(API, TUNNEL, EXTERNAL))


def spec(src: str, dst: str, **asked: object) -> ConstraintSpec:
    return ConstraintSpec(src=src, dst=dst, **asked)  # type: ignore[arg-type]


def delays(plan: EmulationPlan, device: str = "eth0") -> dict[tuple[str, str], float]:
    rules = [rule for rule in plan.rules() if rule.device == device]
    return {(rule.host, rule.target): rule.shaping.delay.ms for rule in rules}


TUTORIAL = NetworkConstraints(
    default_delay=ms(25),
    default_rate=Rate.parse("100mbit"),
    default_loss=Percent(value=0.1),
    constraints=(
        spec("grp1", "grp2", delay=ms(50), rate=Rate.parse("1gbit"), symmetric=True),
    ),
)
THREE = bed_of(host(0, "grp1"), host(1, "grp1"), host(2, "grp2"))


def test_the_tutorial_topology_gets_what_it_asks_and_not_the_default() -> None:
    rules = [r for r in plan_emulation(TUTORIAL, THREE).rules() if r.network == "api"]

    asked = Shaping(
        delay=ms(50), rate=Rate.parse("1gbit"), loss=Percent(value=0.1)
    )  # the loss is inherited
    assert {(r.host, r.target): r.shaping for r in rules} == {
        ("h0", "h2"): asked,
        ("h1", "h2"): asked,
        ("h2", "h0"): asked,
        ("h2", "h1"): asked,
    }
    assert {r.priority for r in rules} == {1}


def test_every_network_the_hosts_share_is_shaped_and_the_bare_one_is_not() -> None:
    plan = plan_emulation(TUTORIAL, THREE)

    assert {rule.network for rule in plan.rules()} == {"api", "tun"}
    assert delays(plan, "eth0") == delays(plan, "eth1")


def test_a_default_holds_between_groups_only_and_not_for_excluded_ones() -> None:
    bed = bed_of(host(0, "a"), host(1, "a"), host(2, "b"), host(3, "c"))
    asked = NetworkConstraints(default_delay=ms(5), exclude=("c",))

    pairs = {("h0", "h2"), ("h1", "h2"), ("h2", "h0"), ("h2", "h1")}
    assert delays(plan_emulation(asked, bed)) == dict.fromkeys(pairs, 5)


def test_defaults_may_be_limited_to_some_groups_and_one_network() -> None:
    bed = bed_of(host(0, "a"), host(1, "b"), host(2, "c"))
    asked = NetworkConstraints(default_delay=ms(5), groups=("a", "b"), network="tunnel")

    plan = plan_emulation(asked, bed)

    assert delays(plan, "eth0") == {}
    assert delays(plan, "eth1") == {("h0", "h1"): 5, ("h1", "h0"): 5}


def test_a_constraint_without_symmetric_leaves_the_way_back_to_the_default() -> None:
    bed = bed_of(host(0, "a"), host(1, "b"))
    asked = NetworkConstraints(
        default_delay=ms(5), constraints=(spec("a", "b", delay=ms(40)),)
    )

    assert delays(plan_emulation(asked, bed)) == {("h0", "h1"): 40, ("h1", "h0"): 5}


def test_the_inside_of_a_group_is_shaped_only_when_named_and_inherits_nothing() -> None:
    bed = bed_of(host(0, "a"), host(1, "a"))
    inside = spec("a", "a", loss=Percent(value=1))
    asked = NetworkConstraints(default_delay=ms(5), constraints=(inside,))

    rules = list(plan_emulation(asked, bed).rules())

    assert {rule.shaping for rule in rules} == {Shaping(loss=Percent(value=1))}
    assert {(r.host, r.target) for r in rules} == {("h0", "h1"), ("h1", "h0")}


def test_ranges_are_expanded_to_every_pair_of_distinct_groups() -> None:
    bed = bed_of(*(host(n, f"grp{n}") for n in (1, 2, 3)))
    asked = NetworkConstraints(constraints=(spec("grp[1-3]", "grp[1-3]", delay=ms(7)),))

    found = delays(plan_emulation(asked, bed))

    assert len(found) == 6
    assert set(found.values()) == {7}


def test_the_later_constraint_wins_unless_the_earlier_names_the_network() -> None:
    bed = bed_of(host(0, "a"), host(1, "b"))
    asked = NetworkConstraints(
        constraints=(
            spec("a", "b", delay=ms(3), network="tun"),
            spec("a", "b", delay=ms(1)),
            spec("a", "b", delay=ms(2)),
        )
    )
    plan = plan_emulation(asked, bed)

    assert delays(plan, "eth0") == {("h0", "h1"): 2}
    assert delays(plan, "eth1") == {("h0", "h1"): 3}


def test_an_override_is_laid_over_what_holds_and_leaves_the_rest_as_it_was() -> None:
    asked = replace(TUTORIAL, overrides=(spec("grp1", "grp2", delay=ms(7)),))

    found = {
        (r.host, r.target): (r.shaping, r.priority)
        for r in plan_emulation(asked, THREE).rules()
    }

    kept = Shaping(delay=ms(50), rate=Rate.parse("1gbit"), loss=Percent(value=0.1))
    assert found["h0", "h2"] == (replace(kept, delay=ms(7)), 0)
    assert found["h2", "h0"] == (kept, 1)


def test_the_last_override_wins_over_a_constraint_that_names_the_network() -> None:
    bed = bed_of(host(0, "a"), host(1, "b"))
    asked = NetworkConstraints(
        constraints=(spec("a", "b", delay=ms(3), network="tun"),),
        overrides=(spec("a", "b", delay=ms(5)), spec("a", "b", delay=ms(6))),
        network="api",
    )
    plan = plan_emulation(asked, bed)

    assert delays(plan, "eth0") == delays(plan, "eth1") == {("h0", "h1"): 6}


def test_overrides_hold_where_nothing_was_asked_and_where_the_file_is_disabled() -> (
    None
):
    bed = bed_of(host(0, "a"), host(1, "b"))
    cut = (spec("a", "b", loss=Percent(100), symmetric=True),)
    asked = NetworkConstraints(enable=False, default_delay=ms(9), overrides=cut)

    rules = list(plan_emulation(asked, bed).rules())

    assert {rule.shaping for rule in rules} == {Shaping(loss=Percent(100))}
    assert len(rules) == 4


def test_a_quantity_set_anew_takes_what_was_said_more_about_it_with_it() -> None:
    bed = bed_of(host(0, "a"), host(1, "b"))
    asked = NetworkConstraints(
        constraints=(
            spec(
                "a",
                "b",
                delay=ms(20),
                jitter=ms(2),
                distribution="normal",
                loss=Percent(1),
                loss_correlation=Percent(30),
            ),
        ),
        overrides=(
            spec("a", "b", jitter=ms(1), loss=units.GilbertElliott(p=Percent(1))),
        ),
    )

    (rule, _) = plan_emulation(asked, bed).rules()

    assert rule.shaping == Shaping(
        delay=ms(20), jitter=ms(1), loss=units.GilbertElliott(p=Percent(1))
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"delay": ms(1)}, "`jitter` asked from a > b does not fit: 2ms is more than"),
        ({"jitter": ms(0), "distribution": "normal"}, "`distribution` .* needs"),
        ({"loss": Percent(0), "loss_correlation": Percent(9)}, "`loss_correlation`"),
    ],
)
def test_quantities_that_do_not_fit_once_laid_over_one_another_are_named(
    asked: dict[str, object], message: str
) -> None:
    bed = bed_of(host(0, "a"), host(1, "b"))
    under = spec("a", "b", delay=ms(20), jitter=ms(2))
    over = (spec("a", "b", **asked),)

    with pytest.raises(EmulationError, match=message):
        plan_emulation(NetworkConstraints(constraints=(under,), overrides=over), bed)


def test_a_role_may_stand_for_a_group_where_no_group_is_called_so() -> None:
    bed = bed_of(host(0, "a", roles=("control",)), host(1, "a"))
    asked = NetworkConstraints(constraints=(spec("control", "compute", delay=ms(9)),))

    assert delays(plan_emulation(asked, bed)) == {("h0", "h1"): 9}


def test_vips_secondary_and_ipv6_addresses_follow_the_host_they_belong_to() -> None:
    nic = Nic(
        device="eth0",
        network="api",
        addresses=("10.0.9.1/16", "10.0.9.2/16", "fd00::1/64", "fe80::1/64"),
    )
    many = Host(name="many", address="10.0.9.1", groups=("b",), nics=(nic,))
    vips = (Vip(address="10.0.9.9", host="many"),)
    asked = NetworkConstraints(default_delay=ms(5))

    plan = plan_emulation(asked, bed_of(host(0, "a"), many), vips=vips)

    towards = [rule.destination for rule in plan.rules() if rule.target == "many"]
    assert towards == ["10.0.9.1", "10.0.9.2", "fd00::1", "10.0.9.9"]
    incoming = plan.of("h0")[0].incoming[0].peers[0]
    assert incoming.addresses == tuple(towards)


def test_a_disabled_or_empty_request_plans_nothing() -> None:
    off = NetworkConstraints(enable=False, default_delay=ms(5))

    assert plan_emulation(off, THREE).interfaces == ()
    assert plan_emulation(NetworkConstraints(), THREE).interfaces == ()


def test_a_zero_constraint_takes_a_pair_out_of_the_defaults() -> None:
    bed = bed_of(host(0, "a"), host(1, "b"))
    asked = NetworkConstraints(
        default_delay=ms(5), constraints=(spec("a", "b", delay=ms(0)),)
    )

    assert delays(plan_emulation(asked, bed)) == {("h1", "h0"): 5}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (NetworkConstraints(constraints=(spec("grp1", "gpr2"),)), "`gpr2`"),
        (NetworkConstraints(default_delay=ms(1), network="lan"), "`lan`"),
        (NetworkConstraints(default_delay=ms(1), groups=("grp9",)), "`grp9`"),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(
    asked: NetworkConstraints, message: str
) -> None:
    with pytest.raises(EmulationError, match=message) as raised:
        plan_emulation(asked, THREE)
    assert "known:" in raised.value.hint


def test_a_constraint_between_hosts_that_share_no_network_is_an_error() -> None:
    on_ext = spec("grp1", "grp2", delay=ms(1), network="external")
    asked = NetworkConstraints(constraints=(on_ext,))

    with pytest.raises(EmulationError, match="share no network `external`"):
        plan_emulation(asked, THREE)


def test_a_vip_on_no_network_of_its_host_is_an_error() -> None:
    with pytest.raises(EmulationError, match=r"192\.0\.2\.1"):
        plan_emulation(TUTORIAL, THREE, vips=(Vip(address="192.0.2.1", host="h0"),))


def test_an_address_of_two_hosts_is_an_error() -> None:
    with pytest.raises(EmulationError, match="both `h0` and `h2`"):
        plan_emulation(TUTORIAL, THREE, vips=(Vip(address="10.0.0.1", host="h2"),))


def test_ssh_is_spared_only_where_enos_comes_through_shaped_links() -> None:
    jumper = Host(name="x", address="10.9.9.9", jump="root@10.0.0.1:22", groups=("b",))

    assert plan_emulation(TUTORIAL, THREE).spared_ports == ()
    own = plan_emulation(TUTORIAL, THREE, controller=("127.0.0.1", "10.1.0.2"))
    assert own.spared_ports == (22,)
    through = plan_emulation(TUTORIAL, bed_of(*THREE.hosts, jumper))
    assert through.spared_ports == (22,)


def test_a_thousand_hosts_in_ten_groups_meet_all_of_the_other_groups() -> None:
    bed = bed_of(*(host(n, f"grp{n % 10}") for n in range(1000)))

    plan = plan_emulation(TUTORIAL, bed)

    first = plan.of("h0")[0]
    assert sum(len(flow.peers) for flow in first.outgoing) == 900


def test_ten_thousand_constraints_are_planned_each_as_asked() -> None:
    bed = bed_of(*(host(n, f"g{n}") for n in range(101)))
    several = tuple(
        spec(f"g{a}", f"g{b}", delay=ms(1 + a + b / 1000))
        for a in range(101)
        for b in range(101)
        if a != b
    )

    found = delays(plan_emulation(NetworkConstraints(constraints=several), bed))

    assert len(found) == 10_100
    assert found["h7", "h8"] == 1 + 7 + 0.008


def test_ten_thousand_constraints_on_one_host_are_a_class_each() -> None:
    leaves = [host(n, f"leaf{n}") for n in range(1, 10_001)]
    bed = bed_of(host(0, "hub"), *leaves)
    several = tuple(
        spec("hub", f"leaf{n}", delay=ms(1 + n / 1000)) for n in range(1, 10_001)
    )

    plan = plan_emulation(NetworkConstraints(constraints=several, network="api"), bed)

    rules = {rule.target: rule.shaping.delay.ms for rule in plan.rules()}
    assert rules == {f"h{n}": 1 + n / 1000 for n in range(1, 10_001)}
    (hub,) = plan.of("h0")
    numbered = classes(hub, netem=True)
    assert (len(numbered), numbered[-1].id) == (10_000, "e05:2710")
    assert len(pairs_to_measure(plan, bed)) == 200


groups = st.lists(
    st.sets(st.sampled_from("abcd"), min_size=1, max_size=2), min_size=2, max_size=9
)
quantities = st.one_of(st.none(), st.integers(1, 50).map(ms))
some_specs = st.lists(
    st.builds(
        ConstraintSpec,
        src=st.sampled_from("abcd"),
        dst=st.sampled_from("abcd"),
        delay=quantities,
        symmetric=st.booleans(),
        network=st.sampled_from(["", "api", "tunnel"]),
    ),
    max_size=6,
)


def random_plan(
    members: list[set[str]], specs: list[ConstraintSpec]
) -> tuple[Testbed, list[Rule]]:
    hosts = [host(n, *sorted(names)) for n, names in enumerate(members)]
    anchors = [host(100 + n, name) for n, name in enumerate("abcd")]
    bed = bed_of(*hosts, *anchors)
    asked = NetworkConstraints(default_delay=ms(99), constraints=tuple(specs))
    return bed, list(plan_emulation(asked, bed).rules())


@settings(deadline=None)  # machines may be busy
@given(groups, some_specs)
def test_there_is_never_more_than_one_rule_for_a_destination(
    members: list[set[str]], specs: list[ConstraintSpec]
) -> None:
    _, rules = random_plan(members, specs)

    seen = Counter((rule.host, rule.device, rule.destination) for rule in rules)
    assert max(seen.values()) == 1


@settings(deadline=None)  # machines may be busy
@given(groups, some_specs)
def test_a_default_never_wins_over_a_constraint_that_names_the_pair(
    members: list[set[str]], specs: list[ConstraintSpec]
) -> None:
    bed, rules = random_plan(members, specs)
    of = {one.name: set(one.groups) for one in bed.hosts}
    roles = {"api": {"", "api"}, "tun": {"", "tunnel"}}

    for rule in rules:
        src, dst = of[rule.host], of[rule.target]
        named = [
            one
            for one in specs
            if one.network in roles[rule.network]
            and (
                (one.src in src and one.dst in dst)
                or (one.symmetric and one.dst in src and one.src in dst)
            )
        ]
        assert (rule.asked == "default") == (not named)
        if rule.asked == "default":
            assert not src & dst


@settings(deadline=None)  # machines may be busy
@given(groups, some_specs)
def test_symmetric_constraints_give_the_same_both_ways(
    members: list[set[str]], specs: list[ConstraintSpec]
) -> None:
    both = [
        ConstraintSpec(src=s.src, dst=s.dst, delay=s.delay, symmetric=True)
        for s in specs
    ]
    _, rules = random_plan(members, both)

    found = {(r.host, r.target, r.network): r.shaping for r in rules}
    for (one, other, network), shaping in found.items():
        assert found[other, one, network] == shaping


@settings(deadline=None)  # machines may be busy
@given(groups, some_specs)
def test_what_enters_a_host_mirrors_what_its_peers_send(
    members: list[set[str]], specs: list[ConstraintSpec]
) -> None:
    hosts = [host(n, *sorted(names)) for n, names in enumerate(members)]
    bed = bed_of(*hosts, *(host(100 + n, name) for n, name in enumerate("abcd")))
    plan = plan_emulation(
        NetworkConstraints(default_delay=ms(9), constraints=tuple(specs)), bed
    )

    leaves = {
        (i.host, peer.host, i.network): flow.shaping
        for i in plan.interfaces
        for flow in i.outgoing
        for peer in flow.peers
    }
    enters = {
        (peer.host, i.host, i.network): flow.shaping
        for i in plan.interfaces
        for flow in i.incoming
        for peer in flow.peers
    }
    assert leaves == enters
