"""Kolla's VIPs are where the hosts say; what tunnels in user space escape is told."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from enos import netem
from enos.errors import EmulationError
from enos.phases import deployed, network, tc
from enos.phases.session import Session, phase
from enos.testing import RecordingProgress, RecordingShell
from enos.testing.recording import Answer, Call

Opener = Callable[[str, RecordingShell], AbstractContextManager[Session]]
FILE = """\
provider: {type: fake}
topology:
  core: {any: {control: 2, network: 1}}
  edge: {any: {network: 1}}
  far: {any: {compute: 1}}
network_constraints:
  constraints:
  - {src: far, dst: core, delay: 5ms, loss: 1%, symmetric: true}
  - {src: far, dst: edge, delay: 50ms, symmetric: true}
"""
VIP = "192.0.2.250"
INVENTORY = """\
# Written by enos; changes are lost at the next run.

control-1 ansible_host=192.0.2.2 ansible_ssh_common_args='-o ProxyCommand="ssh %h"'
network-2 ansible_host=192.0.2.5

[control]
control-1
control-2

[network]
network-1
network-2

[loadbalancer:children]
network
"""


class Hosts(RecordingShell):
    """Hosts that do as they are told.

    Attributes:
        having: those that have the VIP.
        capable: what they can.

    """

    def __init__(self) -> None:
        super().__init__()
        self.having: list[str] = []
        self.capable = "tc htb netem copies"
        self.script("ssh *sh -s*", self.answer)
        self.script("ssh *ip -j address*", self.addresses)
        self.script("ssh *python3 -*", self.probe)

    def answer(self, call: Call) -> Answer:
        probing = call.stdin.rstrip().endswith("probe")
        return Answer(stdout=self.capable if probing else "")

    def addresses(self, call: Call) -> Answer:
        own = call.argv[-2].partition("@")[2]
        several = [own, *([VIP] if own in self.having else [])]
        listed = [{"local": one, "scope": "global"} for one in several]
        return Answer(stdout=json.dumps([{"addr_info": listed}]))

    def probe(self, call: Call) -> Answer:
        words = call.argv[-1].split()[4:]
        found = {"trips": [35.2] * 21, "extra": 0}
        addresses = [word.partition(",")[2] for word in words]
        return Answer(stdout=json.dumps(dict.fromkeys(addresses, found)))

    @property
    def asked(self) -> int:
        return sum("ip -j address" in call.line for call in self.calls)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    monkeypatch.setattr("enos.netem.act._check", lambda *_: None)
    monkeypatch.setattr(deployed, "SETTLING", 1)
    return Hosts()


@pytest.fixture
def session(machines_up: Opener, hosts: Hosts) -> Iterator[Session]:
    with machines_up(FILE, hosts) as session:
        configured(session)
        yield session


def configured(session: Session, more: str = "", tunnels: str = "eth2") -> None:
    folder = session.directory.kolla
    folder.mkdir(exist_ok=True)
    text = f"kolla_internal_vip_address: {VIP}\n{more}"
    (folder / "globals.yml").write_text(text)
    several = f"[baremetal]\nany tunnel_interface={tunnels} api_interface=eth0\n"
    (folder / "inventory").write_text(INVENTORY + several)


def deploy(session: Session) -> None:
    with phase(session, "os"):
        pass


def at(session: Session, name: str) -> str:
    """Return the address of a host."""
    host = session.testbed.host(name)
    assert host
    return host.address


def delays(session: Session) -> set[str]:
    """Return what is planned from `far` to the VIP."""
    rules = tc.planned(session).rules()
    return {str(rule.shaping) for rule in rules if rule.destination == VIP}


def warned(session: Session) -> list[str]:
    assert isinstance(session.progress, RecordingProgress)
    return session.progress.warnings


def test_before_a_deployment_the_first_host_of_the_load_balancers_has_the_vip(
    session: Session, hosts: Hosts
) -> None:
    assert deployed.vips(session) == (netem.Vip(address=VIP, host="network-1"),)
    assert hosts.asked == 0


def test_the_vip_is_where_the_hosts_say(session: Session, hosts: Hosts) -> None:
    deploy(session)
    hosts.having = [at(session, "network-2")]

    tc.run(session)

    assert deployed.vips_told(session) == (netem.Vip(address=VIP, host="network-2"),)
    assert delays(session) == {"50ms"}


def test_a_vip_that_moved_to_other_links_is_no_longer_emulated(
    session: Session, hosts: Hosts
) -> None:
    deploy(session)
    hosts.having = [at(session, "network-1")]
    tc.run(session)
    before = network.in_force(session)

    hosts.having = [at(session, "network-2")]

    with pytest.raises(EmulationError, match=f"the VIP `{VIP}` has moved"):
        network.in_force(session)
    with pytest.raises(EmulationError, match="has moved"):
        tc.prove(session)
    assert "has moved" in network.lost(session, before)
    assert delays(session) == {"5ms, loss 1%"}  # what the hosts still do

    tc.run(session)
    assert network.in_force(session).backend == "netem"
    assert delays(session) == {"50ms"}


def test_a_vip_that_moved_within_a_group_is_emulated_as_before(
    session: Session, hosts: Hosts
) -> None:
    text = INVENTORY.replace("network-2\n\n[load", "control-1\n\n[load")
    (session.directory.kolla / "inventory").write_text(text)
    deploy(session)
    hosts.having = [at(session, "network-1")]
    tc.run(session)
    before = network.in_force(session)

    hosts.having = [at(session, "control-1")]

    assert network.lost(session, before) == ""


def test_a_vip_that_no_host_has_is_not_shaped_and_that_is_told(
    session: Session,
) -> None:
    deploy(session)

    tc.run(session)

    assert deployed.vips_told(session) == ()
    assert delays(session) == set()
    assert f"no host has the VIP {VIP}: it is not shaped" in warned(session)


def test_two_hosts_that_keep_having_the_vip_are_named(
    session: Session, hosts: Hosts
) -> None:
    deploy(session)
    hosts.having = [at(session, name) for name in ("network-1", "network-2")]

    with pytest.raises(EmulationError, match="`network-1` and `network-2` both have"):
        tc.run(session)


def test_what_tunnels_in_user_space_escape_is_told_and_kept(
    session: Session, hosts: Hosts
) -> None:
    hosts.capable = "tc htb ipset nfqueue queues python3"
    configured(session, "ovs_datapath: netdev\n", tunnels="br-phy")
    tunnels = next(n.name for n in session.testbed.networks if "tunnel" in n.roles)

    tc.run(session)
    proof = tc.prove(session)

    (sentence,) = proof.shortcomings
    assert f"the rate alone of what is asked on `{tunnels}`" in sentence
    assert warned(session).count(sentence) == 2  # by `tc` and by `tc --test`
    kept = json.loads((session.directory.results / "tc.json").read_text())
    assert kept["shortcomings"] == [sentence]
    assert network.in_force(session).to_json()["shortcomings"] == [sentence]


@pytest.mark.parametrize("case", ["kernel's datapath", "netem", "wired"])
def test_tunnels_that_meet_the_queues_are_not_warned_of(
    session: Session, hosts: Hosts, case: str
) -> None:
    if case == "netem":
        configured(session, "ovs_datapath: netdev\n", tunnels="br-phy")
    else:
        if case == "wired":
            configured(session, "ovs_datapath: netdev\n", tunnels="br-wired")
        hosts.capable = "tc htb ipset nfqueue queues python3"

    tc.run(session)

    assert not any("user space" in one for one in warned(session))
