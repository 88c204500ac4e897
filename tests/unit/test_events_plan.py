"""From events and a testbed to what each machine does, and back to what it was."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.config.events import Event, Heal, LinkChange, Partition, Switch, Timeline
from enos.errors import CapabilityError, ConfigError, EmulationError
from enos.events import EventsPlan, Ground, emulations, plan_events, starts
from enos.events.cut import cuts
from enos.events.scripts import Place, task
from enos.events.situation import HostState, Situation, states
from enos.netem import Backend, Vip
from enos.netem.backend import mixes_copies
from enos.testbed import Host, Network, Nic, Testbed
from enos.units import Duration, Percent

Golden = Callable[[str, str], None]
NETWORKS = (
    Network(name="api", cidr="10.0.0.0/24", roles=("api",)),
    Network(name="tunnel", cidr="10.0.1.0/24", roles=("tunnel",)),
    Network(name="external", cidr="10.0.2.0/24", roles=("external",)),
)


def node(number: int, name: str, group: str) -> Host:
    nics = (
        Nic(
            device="eth0",
            network="api",
            addresses=(f"10.0.0.{number}/24", f"fd00::{number}/64"),
        ),
        Nic(device="eth1", network="tunnel", addresses=(f"10.0.1.{number}/24",)),
        Nic(device="eth2", network="external"),
    )
    role = name.partition("-")[0]
    return Host(name=name, address="-", groups=(group,), roles=(role,), nics=nics)


BED = Testbed(
    provider="paper",
    hosts=(
        node(2, "control-1", "core"),
        node(3, "compute-1", "edge1"),
        node(4, "compute-2", "edge2"),
    ),
    networks=NETWORKS,
)
CONTAINERS = {
    "control-1": ("keystone", "keystone_fernet", "rabbitmq", "nova_api"),
    "compute-1": ("nova_compute", "nova_libvirt", "neutron_openvswitch_agent"),
    "compute-2": ("nova_compute", "nova_libvirt"),
}


def switching(host: Host, verb: str) -> tuple[tuple[str, ...], ...]:
    return (("docker", verb, f"enos-paper-{host.name}"),)


GROUND = Ground(
    testbed=BED,
    constraints=NetworkConstraints(default_delay=Duration(5)),
    vips=(Vip(address="10.0.0.250", host="control-1"),),
    egress=frozenset({"compute-1"}),
    containers=CONTAINERS,
    switch=switching,
)
APART = (("core", "edge1"),)


def slower(ms: float, src: str = "core", dst: str = "edge1") -> LinkChange:
    spec = ConstraintSpec(src=src, dst=dst, delay=Duration(ms), symmetric=True)
    return LinkChange(at=0.0, text=f"delay {ms:g}ms {src}|{dst}", specs=(spec,))


def partition(*pairs: tuple[str, str]) -> Partition:
    return Partition(at=0.0, text="partition", pairs=pairs)


def switch(verb: str, name: str, *on: str) -> Switch:
    text = f"{verb} {name}"
    return Switch(at=0.0, text=text, verb=verb, name=name, on=on)  # type: ignore[arg-type]


HEAL = Heal(at=0.0, text="heal")


def plan(*events: Event, ground: Ground = GROUND) -> EventsPlan:
    timed = tuple(replace(one, at=10.0 * n) for n, one in enumerate(events, 1))
    return plan_events(Timeline(events=timed), ground)


@pytest.mark.parametrize("backend", Backend)
def test_a_plan_shows_every_command_and_what_undoes_it(
    backend: Backend, golden: Golden
) -> None:
    told = plan(
        slower(100),
        replace(partition(*APART), text="partition core|edge1"),
        replace(HEAL, pairs=APART, text="heal core|edge1"),
        replace(switch("stop", "nova-compute", "edge1"), text="stop nova-compute"),
        switch("pause", "compute-2"),
        switch("unpause", "compute-2"),
        ground=replace(GROUND, backend=backend),
    )

    text = "\n".join((*told.lines, "", *(step.text for step in told.steps)))
    golden(f"events/plan-{backend}.txt", text)


def test_the_script_of_an_event_is_whole(golden: Golden) -> None:
    (step,) = plan(partition(*APART)).steps

    golden("events/partition.sh", step.tasks["compute-1"].script(Place()))


def test_a_partition_is_between_all_addresses_of_both_sides() -> None:
    found = cuts(APART, BED, vips=GROUND.vips)

    assert set(found) == {"control-1", "compute-1"}
    assert set(found["compute-1"].addresses) == {
        "10.0.0.2", "fd00::2", "10.0.0.250", "10.0.1.2",
    }  # fmt: skip
    assert found["compute-1"].devices == ()


def test_ssh_is_spared_where_enos_runs_on_a_host() -> None:
    found = cuts(APART, BED, controller=("10.0.0.2",))

    for one in found.values():
        assert one.spared_ports == (22,)
        before_drops = one.ruleset.partition("drop")[0]
        assert "tcp sport { 22 } accept" in before_drops
        assert "tcp dport { 22 } accept" in before_drops


def test_packets_are_dropped_at_interfaces_only_where_the_kernel_can() -> None:
    (step,) = plan(partition(*APART)).steps

    assert "egress" not in step.tasks["control-1"].shown
    assert 'egress device "eth0"' in step.tasks["compute-1"].shown
    assert 'egress device "eth1"' in step.tasks["compute-1"].shown


GROUPS = st.sampled_from(("core", "edge1", "edge2"))
PAIRS = st.tuples(GROUPS, GROUPS).filter(lambda pair: pair[0] != pair[1])
LINKS = st.one_of(
    st.builds(lambda ms, pair: slower(ms, *pair), st.integers(1, 300), PAIRS),
    st.builds(partition, PAIRS),
    st.builds(lambda pair: replace(HEAL, pairs=(pair,)), PAIRS),
)


def possible(several: list[Event]) -> list[Event]:
    """Return the events without those that would heal what is whole."""
    situation, kept = Situation(), []
    for event in several:
        healed = {frozenset(pair) for pair in getattr(event, "pairs", ())}
        if not isinstance(event, Heal) or healed & situation.broken:
            situation = situation.after(event, GROUND)
            kept.append(event)
    return kept


MANY = st.lists(LINKS, max_size=6).map(possible)


@settings(max_examples=30)
@given(MANY, PAIRS)
def test_whatever_happened_a_heal_leaves_everything_as_it_was(
    several: list[Event], last: tuple[str, str]
) -> None:
    several = [*several, partition(last)]
    whole = plan(*several, HEAL)

    situation = Situation()
    for event in (*several, HEAL):
        situation = situation.after(event, GROUND)
    assert states(situation, GROUND) == states(Situation(), GROUND)
    assert len(whole.steps) == len(several) + 1


@settings(max_examples=30)
@given(MANY)
def test_a_partition_is_the_same_from_both_sides(several: list[Event]) -> None:
    situation = Situation()
    for event in several:
        situation = situation.after(event, GROUND)
    found = cuts(situation.cut, BED)

    own = {
        host.name: {a.partition("/")[0] for nic in host.nics for a in nic.addresses}
        for host in BED.hosts
    }
    for one in BED.hosts:
        for other in BED.hosts:
            there = found.get(one.name)
            back = found.get(other.name)
            reached = bool(there and own[other.name] & set(there.addresses))
            assert reached == bool(back and own[one.name] & set(back.addresses))


@settings(max_examples=30)
@given(MANY)
def test_a_host_does_something_only_when_its_share_changes(
    several: list[Event],
) -> None:
    situation, before = Situation(), states(Situation(), GROUND)
    for step, event in zip(plan(*several).steps, several, strict=True):
        situation = situation.after(event, GROUND)
        after = states(situation, GROUND)
        assert set(step.tasks) == {
            name for name in after if after[name] != before[name]
        }
        before = after


def test_what_an_event_leaves_out_stays_as_it_was() -> None:
    lossy = ConstraintSpec(src="core", dst="edge1", delay=Duration(7), symmetric=True)
    ground = replace(GROUND, constraints=NetworkConstraints(constraints=(lossy,)))
    spec = ConstraintSpec(src="core", dst="edge1", jitter=Duration(2), symmetric=True)

    (step,) = plan(LinkChange(at=0.0, text="", specs=(spec,)), ground=ground).steps

    assert "delay 7ms 2ms" in step.tasks["control-1"].shown


def test_a_service_is_every_container_of_its_name() -> None:
    (step,) = plan(switch("stop", "keystone")).steps

    assert step.tasks["control-1"].steps == ("stop keystone", "stop keystone_fernet")
    assert step.undo["control-1"].steps == ("start keystone", "start keystone_fernet")


def test_a_service_is_switched_where_it_is_asked() -> None:
    first, second = plan(
        switch("pause", "nova-compute", "edge2"), switch("pause", "nova-compute")
    ).steps

    assert first.hosts == ("compute-2",)
    assert second.hosts == ("compute-1",)  # on the other it is paused already


def test_a_group_of_machines_is_switched_together() -> None:
    stop, start = plan(switch("stop", "edge1"), switch("start", "edge1")).steps

    assert stop.here == (("docker", "stop", "enos-paper-compute-1"),)
    assert stop.undo_here == start.here
    assert stop.away == {"compute-1"}
    assert start.back == ("compute-1",)
    assert start.tasks["compute-1"].emulates  # its memory is lost


def test_a_machine_that_was_away_makes_up_for_what_it_missed() -> None:
    pause, cut, unpause = plan(
        switch("pause", "compute-1"), partition(*APART), switch("unpause", "compute-1")
    ).steps

    assert dict(pause.tasks) == {}
    assert set(cut.tasks) == {"control-1"}
    assert unpause.tasks["compute-1"].steps == ("cut",)


def test_a_stopped_machine_comes_back_however_it_is() -> None:
    whole = plan(switch("stop", "compute-1"))

    assert whole.switched == {
        "compute-1": (
            ("docker", "start", "enos-paper-compute-1"),
            ("docker", "unpause", "enos-paper-compute-1"),
        )
    }
    assert whole.before["compute-1"] == GROUND.before["compute-1"].commands
    assert plan(switch("pause", "compute-1")).before == {}  # it forgets nothing


def test_states_lead_into_one_another() -> None:
    blank, stopped = HostState(), HostState(stopped=("a", "b"), paused=("c",))

    there, back = task(blank, stopped), task(stopped, blank)

    assert there
    assert there.steps == ("stop a", "stop b", "pause c")
    assert back
    assert back.steps == ("unpause c", "start a", "start b")
    assert task(stopped, stopped) is None


@pytest.mark.parametrize(
    ("event", "kind", "said"),
    [
        (switch("stop", "nova-conductor"), ConfigError, "no container on any host"),
        (switch("stop", "rabbitmq", "edge1"), ConfigError, "no container on `edge1`"),
        (switch("start", "rabbitmq"), ConfigError, "nothing to start"),
        (switch("unpause", "compute-1"), ConfigError, "nothing to unpause"),
        (partition(("core", "nowhere")), EmulationError, "nowhere"),
        (HEAL, ConfigError, "nothing to heal"),
    ],
)
def test_an_event_that_cannot_be_is_refused_before_the_run(
    event: Event, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        plan(event)


def test_a_heal_of_other_links_than_were_changed_is_refused_and_names_them() -> None:
    elsewhere = replace(HEAL, pairs=(("core", "edge2"),), text="heal core|edge2")

    with pytest.raises(ConfigError, match=r"`heal core\|edge2`: .*nothing") as refused:
        plan(partition(*APART), slower(7, "edge2", "edge1"), elsewhere)
    assert refused.value.hint == (
        "the links that were changed: `core|edge1`, `edge1|edge2`"
    )

    several = replace(HEAL, pairs=(("edge2", "core"), ("edge1", "core")))
    *_, step = plan(partition(*APART), several).steps
    assert set(step.tasks) == {"control-1", "compute-1"}


def test_what_is_emulated_is_told_for_each_moment_links_are_changed() -> None:
    copied = ConstraintSpec(src="core", dst="edge1", duplicate=Percent(1))
    events = (
        slower(9, "core", "edge2"),
        LinkChange(at=1.0, text="", specs=(copied,)),
        partition(*APART),
        HEAL,
    )

    plans = tuple(emulations(Timeline(events=events), GROUND))

    assert [mixes_copies(one) for one in plans] == [False, True, True]


@pytest.mark.parametrize(
    ("scenario", "does"),
    [
        ("boot", True),
        ("boot [times=2]", True),
        ("boot #2", True),
        ("boot [times=2] #3", True),
        ("boot and delete", False),
        ("boot-and-delete", False),
        ("reboot", False),
    ],
)
def test_the_clock_is_started_by_the_scenario_of_that_name(
    scenario: str, *, does: bool
) -> None:
    assert starts("boot", scenario) == does
    assert starts("", scenario)


def test_machines_of_a_provider_that_cannot_switch_them_are_refused_by_name() -> None:
    with pytest.raises(CapabilityError, match=r"`paper` cannot stop a machine"):
        plan(switch("stop", "compute-1"), ground=replace(GROUND, switch=None))


def test_without_a_look_at_the_hosts_a_service_is_taken_at_its_word() -> None:
    ground = replace(GROUND, containers=None)

    (step,) = plan(switch("stop", "nova-compute", "edge1"), ground=ground).steps

    assert step.tasks["compute-1"].steps == ("stop nova_compute",)
