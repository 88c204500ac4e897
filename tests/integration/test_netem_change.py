"""An emulated network that changes under way, as events change it."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.netem import Backend, apply, check, commands, plan_emulation, reset
from enos.netem.commands import clearing_script
from enos.netem.plan import EmulationPlan
from enos.remote import run_on
from enos.testing.namespaces import NamespaceTestbed
from enos.testing.recording import RecordingProgress
from enos.units import Duration, Percent, Rate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]
USER_SPACE = Backend.USER_SPACE
NARROW = Rate.parse("90mbit")
KEPT = """ipset save | sed 's/ initval.*//' | sort
iptables -t raw -S; ip6tables -t raw -S; tc qdisc show | grep -o 'htb.*root'"""
TARGET = "10.99.0.3"  # in grp2


@pytest.fixture(scope="module")
def net() -> Iterator[NamespaceTestbed]:
    with NamespaceTestbed(groups=("grp1", "grp1", "grp2", "grp3")) as net:
        yield net


@pytest.fixture(autouse=True)
def clean(net: NamespaceTestbed) -> Iterator[None]:
    yield
    reset(net.testbed, net.shell, RecordingProgress())


def link(ms: float, *, dst: str = "grp2") -> ConstraintSpec:
    return ConstraintSpec(src="grp1", dst=dst, delay=Duration(ms=ms), symmetric=True)


def planned(net: NamespaceTestbed, *links: ConstraintSpec) -> EmulationPlan:
    return plan_emulation(NetworkConstraints(constraints=links), net.testbed)


def shape(net: NamespaceTestbed, plan: EmulationPlan) -> None:
    apply(plan, net.testbed, net.shell, RecordingProgress(), backend=USER_SPACE)


def go_over(net: NamespaceTestbed, plan: EmulationPlan) -> None:
    told = commands(plan, USER_SPACE)
    for host in net.testbed.hosts:
        mine = told.get(host.name)
        script = mine.changing_script if mine else clearing_script()
        run_on(net.shell, host, ("sh", "-s"), stdin=script)
    check(plan, net.testbed, net.shell, backend=USER_SPACE)


def said(net: NamespaceTestbed, place: int, command: str) -> str:
    host = net.testbed.hosts[place]
    return run_on(net.shell, host, ("sh", "-c", command), check=False).stdout


def kept(net: NamespaceTestbed) -> list[list[str]]:
    return [said(net, place, KEPT).splitlines() for place in range(4)]


def test_a_link_is_never_bare_while_it_changes(
    net: NamespaceTestbed,
) -> None:
    shape(net, planned(net, link(25), link(10, dst="grp3")))
    with ThreadPoolExecutor(1) as pool:
        # fping's clock stops where a packet arrives: it sees the way there alone.
        pings = pool.submit(said, net, 0, f"fping -t500 -p5 -c600 {TARGET} 2>&1")
        for links in (
            [link(60), link(10, dst="grp3")],  # the same queues, other figures
            [link(60), link(60, dst="grp3")],  # one queue in place of two
            [replace(link(30), rate=NARROW), link(2, dst="grp3")],  # another tree
            [link(40), replace(link(2, dst="grp3"), duplicate=Percent(5))],
        ):
            go_over(net, planned(net, *links))
        lines = pings.result(timeout=40)

    trips = [float(one) for one in re.findall(r"([\d.]+) ms \(", lines)]
    assert len(trips) > 595, "lost, but for what waits in a tree that is replaced"
    assert min(trips) > 24.5
    assert max(trips) > 59.5
    assert 39.5 < sorted(trips[-50:])[25] < 43


def test_what_is_gone_over_to_is_what_a_new_start_makes(net: NamespaceTestbed) -> None:
    fast, slow = replace(link(5), corrupt=Percent(3)), link(50, dst="grp3")
    plans = (
        planned(net, link(25)),
        planned(net, link(25), slow),
        planned(net, slow),
        planned(net, fast, replace(link(9, dst="grp3"), rate=NARROW)),
        planned(net, link(25)),
    )
    fresh = []
    for plan in plans:
        shape(net, plan)
        fresh.append(kept(net))
    reset(net.testbed, net.shell, RecordingProgress())

    for plan, wanted in zip(plans, fresh, strict=True):
        go_over(net, plan)  # the first time from nothing
        for host, lines in zip(kept(net), wanted, strict=True):
            assert host == lines


def test_a_change_that_is_refused_leaves_the_host_bare(net: NamespaceTestbed) -> None:
    before = said(net, 0, KEPT)
    shape(net, planned(net, link(25)))
    told = commands(planned(net, link(30)), USER_SPACE)["node-1"]
    broken = told.changing_script.replace("-j NFQUEUE", "-j NOWHERE")

    done = run_on(
        net.shell, net.testbed.hosts[0], ("sh", "-s"), stdin=broken, check=False
    )

    assert done.returncode != 0
    assert "iptables-restore" in done.stderr
    assert said(net, 0, KEPT) == before
