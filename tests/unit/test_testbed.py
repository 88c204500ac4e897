"""What is asked of the machines a provider gave."""

from enos.testbed import Host, Network, Nic, Testbed

NETWORKS = (
    Network(name="lab", cidr="10.0.0.0/24", roles=("api",)),
    Network(name="far", cidr="10.1.0.0/24", roles=("api", "tunnel")),
)


def asked(role: str, *nics: Nic) -> str:
    host = Host(name="one", address="192.0.2.1", nics=nics)
    testbed = Testbed(provider="x", hosts=(host,), networks=NETWORKS)
    return testbed.address(host, role)


def test_an_address_is_the_first_on_a_network_of_that_role() -> None:
    lab = Nic(device="eth0", network="lab", addresses=("10.0.0.7/24", "10.0.0.8/24"))
    far = Nic(device="eth1", network="far", addresses=("fd00::7/64",))
    assert asked("api", far, lab) == "10.0.0.7"
    assert asked("tunnel", far, lab) == "fd00::7"


def test_a_host_may_be_on_the_second_network_of_a_role() -> None:
    bare = Nic(device="eth0", network="lab")
    far = Nic(device="eth1", network="far", addresses=("10.1.0.7/24",))
    assert asked("api", bare, far) == "10.1.0.7"


def test_a_host_without_address_there_has_the_one_ssh_uses() -> None:
    assert asked("api") == "192.0.2.1"
    assert asked("external", Nic(device="eth0", network="lab")) == "192.0.2.1"
