from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.cloud.plan import (
    Kind,
    Reference,
    allocation_pools,
    lines,
    plan_cloud,
    private_cidr,
)
from enos.errors import CloudError
from enos.testbed import Network, Testbed

API = Network(name="api", cidr="172.30.0.0/24", roles=("api",), dns=("9.9.9.9",))
EXTERNAL = Network(
    name="external",
    cidr="172.31.0.0/24",
    roles=("external",),
    gateway="172.31.0.1",
    pool=("172.31.0.100", "172.31.0.200"),
)
TESTBED = Testbed(provider="fake", hosts=(), networks=(API, EXTERNAL))


def test_the_plan_reads_as_one_line_for_each_thing(
    golden: Callable[[str, str], None],
) -> None:
    plan = plan_cloud(TESTBED, (), public_key="ssh-ed25519 AAAA me")

    golden("cloud/plan.txt", "\n".join(lines(plan)) + "\n")


def test_each_thing_refers_to_earlier_ones_only() -> None:
    seen: set[tuple[Kind, str]] = set()
    for thing in plan_cloud(TESTBED, (), public_key="k").things:
        gateway = thing.fields.get("external_gateway_info")
        values = [*thing.fields.values()]
        values += gateway.values() if isinstance(gateway, dict) else []
        for value in values:
            if isinstance(value, Reference):
                assert (value.kind, value.name) in seen
        seen.add((thing.kind, thing.name))


def test_without_an_external_network_there_is_no_public_one() -> None:
    plan = plan_cloud(Testbed(provider="fake", hosts=(), networks=(API,)), ())

    networks = [thing.name for thing in plan.things if thing.kind is Kind.NETWORK]
    assert networks == ["private"]
    assert plan.notes == ("no external network: guests get no floating addresses",)


def test_an_external_network_without_free_addresses_is_refused() -> None:
    bare = Network(name="wan", cidr="10.1.0.0/24", roles=("external",))
    testbed = Testbed(provider="fake", hosts=(), networks=(bare,))

    with pytest.raises(CloudError, match="`wan` leaves no address"):
        plan_cloud(testbed, ())


def test_the_private_network_keeps_clear_of_the_networks_of_the_testbed() -> None:
    near = Network(name="api", cidr="10.0.0.0/16", roles=("api",))
    testbed = Testbed(provider="fake", hosts=(), networks=(near,))

    subnet = plan_cloud(testbed, ()).things[-2]

    assert subnet.fields["cidr"] == "10.1.0.0/24"


@given(
    st.integers(0, 2**32 - 300),
    st.integers(0, 40),
    st.sets(st.integers(-5, 45), max_size=12),
)
def test_the_pools_hold_the_range_without_the_reserved_addresses(
    start: int, length: int, offsets: set[int]
) -> None:
    end = start + length
    inside = {start + offset for offset in offsets if 0 <= start + offset < 2**32}

    pools = allocation_pools(
        (str(ip_address(start)), str(ip_address(end))),
        [str(ip_address(number)) for number in inside],
    )

    held = [
        number
        for pool in pools
        for number in range(
            int(ip_address(pool["start"])), int(ip_address(pool["end"])) + 1
        )
    ]
    assert held == sorted(set(range(start, end + 1)) - inside)


@given(st.lists(st.integers(0, 254), max_size=8))
def test_the_private_network_overlaps_nothing(numbers: list[int]) -> None:
    taken = [f"10.{number}.0.0/16" for number in numbers]

    found = ip_network(private_cidr(taken))

    assert not any(found.overlaps(ip_network(cidr)) for cidr in taken)
