from ipaddress import IPv4Network
from pathlib import Path

import pytest
from enos_local import layout
from hypothesis import given
from hypothesis import strategies as st

from enos.demand import Demand, MachineDemand
from enos.errors import ProviderError

POOL = IPv4Network("172.28.0.0/19")
WIRES = layout.wires(
    "enos-1", {n: IPv4Network(f"10.9.{i}.0/24") for i, n in enumerate(layout.NETWORKS)}
)
VOLUME = (
    "type=volume,src=enos-1-control-1,dst=/var/lib/docker,"
    "volume-label=enos.session=enos-1"
)
CONTROL = MachineDemand(group="grp1", roles=("control", "network"))
COMPUTES = MachineDemand(group="grp2", roles=("compute",), number=2)


def subnets() -> st.SearchStrategy[IPv4Network]:
    return st.builds(
        lambda address, prefix: IPv4Network((address, prefix), strict=False),
        st.integers(int(POOL[0]), int(POOL[-1])),
        st.integers(17, 32),
    )


@given(st.lists(subnets(), max_size=20))
def test_free_subnets_overlap_nothing_taken_and_not_each_other(
    taken: list[IPv4Network],
) -> None:
    free = list(layout.free_subnets(POOL, taken))
    assert not any(f.overlaps(t) for f in free for t in taken)
    assert len(set(free)) == len(free)
    assert all(f.prefixlen == 24 and f.subnet_of(POOL) for f in free)


def test_a_default_route_takes_nothing() -> None:
    assert next(layout.free_subnets(POOL, [])) == IPv4Network("172.28.0.0/24")


@given(st.lists(st.integers(0, 9), unique=True, max_size=2))
def test_every_machine_has_an_index_of_its_own(found: list[int]) -> None:
    known = dict(zip(("compute-1", "control-1"), found, strict=False))
    nodes = layout.nodes("enos-1", Demand(machines=(CONTROL, COMPUTES)), known)
    indexes = [node.index for node in nodes]
    assert len(set(indexes)) == len(nodes) == 3
    assert all(node.index == known.get(node.name, node.index) for node in nodes)


def test_a_machine_put_first_takes_nobodys_address() -> None:
    before = layout.nodes("enos-1", Demand(machines=(COMPUTES,)), {})
    known = {node.name: node.index for node in before}
    after = layout.nodes("enos-1", Demand(machines=(CONTROL, COMPUTES)), known)
    assert after[1:] == before
    assert after[0].index == 2


def test_more_machines_than_addresses_are_refused() -> None:
    many = MachineDemand(group="grp1", roles=("compute",), number=127)
    with pytest.raises(ProviderError, match="127 machines"):
        layout.check(Demand(machines=(many,)))


def test_a_network_nobody_has_is_refused_with_those_there_are() -> None:
    machine = MachineDemand(group="grp1", roles=("compute",), networks=("wan",))
    with pytest.raises(ProviderError, match="`wan`") as caught:
        layout.check(Demand(machines=(machine,)))
    assert "api, external, tunnel" in caught.value.hint


def test_the_pool_is_never_given_to_nodes() -> None:
    network = WIRES[1].network()
    assert network.pool == ("10.9.1.128", "10.9.1.254")
    assert str(WIRES[1].address(layout.MACHINES - 1)) == "10.9.1.127"
    assert "10.9.1.0/25" in layout.create_network("enos-1", WIRES[1])


def test_a_host_has_no_address_on_the_external_network() -> None:
    (node,) = layout.nodes("enos-1", Demand(machines=(CONTROL,)), {})
    host = layout.host(node, WIRES, Path("/key"))
    assert host.address == "10.9.0.2"
    assert [(nic.device, nic.network, nic.addresses) for nic in host.nics] == [
        ("eth0", "api", ("10.9.0.2/24",)),
        ("eth1", "external", ()),
        ("eth2", "tunnel", ("10.9.2.2/24",)),
    ]
    assert (host.groups, host.roles) == (("grp1",), ("control", "network"))


def test_a_machine_is_only_on_the_networks_it_asks_for() -> None:
    machine = MachineDemand(group="grp1", roles=("compute",), networks=("tunnel",))
    (node,) = layout.nodes("enos-1", Demand(machines=(machine,)), {})
    host = layout.host(node, WIRES, Path("/key"))
    assert [nic.device for nic in host.nics] == ["eth0", "eth2"]
    commands = layout.create_node("enos-1", node, WIRES, image="i", flags=())
    assert len(commands) == 2
    assert "ENOS_FLUSH=" in commands[0]


def test_a_node_is_created_on_api_and_then_joined_to_the_others() -> None:
    (node,) = layout.nodes("enos-1", Demand(machines=(CONTROL,)), {})
    create, *joins = layout.create_node(
        "enos-1", node, WIRES, image="enos-node:1", flags=("--privileged",)
    )
    assert create == (
        *("docker", "create", "--name", "enos-1-control-1", "--hostname", "control-1"),
        *("--label", "enos.session=enos-1", "--label", "enos.node=control-1"),
        *("--label", "enos.index=0", "--mount"),
        VOLUME,
        *("--network", "enos-1-api", "--ip", "10.9.0.2"),
        *("--sysctl", "net.ipv4.ip_nonlocal_bind=1"),
        *("--env", "ENOS_NICS=eth0=10.9.0.2 eth1=10.9.1.2 eth2=10.9.2.2"),
        *("--env", "ENOS_GATEWAY=10.9.0.1", "--env", "ENOS_FLUSH=eth1"),
        "--privileged",
        "enos-node:1",
    )
    assert [join[-2:] for join in joins] == [
        ("enos-1-external", "enos-1-control-1"),
        ("enos-1-tunnel", "enos-1-control-1"),
    ]


def test_each_name_is_once_in_the_hosts_file() -> None:
    nodes = layout.nodes("enos-1", Demand(machines=(CONTROL, COMPUTES)), {})
    text = layout.hosts_file(nodes, WIRES[0])
    assert text.splitlines()[2:] == [
        "10.9.0.2 control-1",
        "10.9.0.3 compute-1",
        "10.9.0.4 compute-2",
    ]
