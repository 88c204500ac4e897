import json
from dataclasses import replace
from pathlib import Path

import pytest
from enos_static import Static, reach, remembered, static
from enos_static.settings import Machine, Settings
from pydantic import ValidationError

from enos.ansible.inventory import interfaces
from enos.demand import Demand, MachineDemand
from enos.errors import ConfigError, ProcessError, ProviderError
from enos.process import Completed, Shell
from enos.provider import Provider, Surroundings
from enos.remote import jump_command, ssh_argv
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing import ProviderContract, RecordingProgress, RecordingShell
from enos.testing.recording import Answer, Call

EXTERNAL = {"cidr": "10.9.1.0/24", "roles": ["neutron_external_interface"]}
API = {"cidr": "10.9.0.0/24", "roles": "network_interface", "dns": "10.9.0.1"}


def ip_json(address: str) -> str:
    return json.dumps(
        [
            {"ifname": "lo", "link_type": "loopback", "addr_info": []},
            {
                "ifname": "eno1",
                "link_type": "ether",
                "address": "02:42:0A:00:00:01",
                "addr_info": [
                    {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
                    {"family": "inet", "local": address, "prefixlen": 24},
                ],
            },
            {"ifname": "eno2", "link_type": "ether", "addr_info": []},
        ]
    )


def one(role: str, address: str, **extra: object) -> MachineDemand:
    return MachineDemand(group="g", roles=(role,), extra={"address": address, **extra})


def answering() -> RecordingShell:
    shell = RecordingShell()
    shell.on("ssh -V", stderr="OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.15\n")
    for number in (1, 2):
        address = f"10.9.0.{number}"
        shell.on(f"ssh *@{address} *", stdout=ip_json(address))
    return shell


class TestStatic(ProviderContract):
    demand = Demand(machines=(one("control", "10.9.0.1"), one("compute", "10.9.0.2")))

    def make(self, around: Surroundings) -> Provider:
        return Static(Settings(), around)

    def shell(self, session: str) -> Shell:
        assert session
        return answering()


def around(tmp_path: Path, shell: Shell) -> Surroundings:
    return Surroundings(
        session="enos-1",
        directory=tmp_path,
        cache=tmp_path,
        shell=shell,
        progress=RecordingProgress(),
    )


def test_networks_named_in_the_file_are_found_on_the_machines(tmp_path: Path) -> None:
    settings = Settings.model_validate({"networks": [API, EXTERNAL]})
    found = around(tmp_path, answering())
    testbed = Static(settings, found).acquire(TestStatic.demand)
    api, external = testbed.networks
    assert (api.name, api.roles, api.dns) == ("api", ("api",), ("10.9.0.1",))
    assert external.roles == ("external",)
    nic = testbed.hosts[0].nic_on("api")
    assert nic is not None
    assert (nic.device, nic.mac) == ("eno1", "02:42:0a:00:00:01")
    assert isinstance(found.progress, RecordingProgress)
    assert [w.split()[0] for w in found.progress.warnings] == ["control-1", "compute-1"]


def test_without_networks_the_one_of_ssh_is_the_api_network(tmp_path: Path) -> None:
    found = around(tmp_path, answering())
    testbed = Static(Settings(), found).acquire(TestStatic.demand)
    (network,) = testbed.networks
    assert (network.cidr, network.roles) == ("10.9.0.0/24", ("api",))
    assert all(host.nic_on("api") for host in testbed.hosts)


def test_machines_that_share_no_subnet_need_their_networks_named(
    tmp_path: Path,
) -> None:
    shell = answering()
    shell.on("ssh *@10.9.0.2 *", stdout=ip_json("192.168.0.2"))
    with pytest.raises(ProviderError, match="share no subnet") as caught:
        Static(Settings(), around(tmp_path, shell)).acquire(TestStatic.demand)
    assert "networks" in caught.value.hint


def test_every_machine_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    shell = answering()
    refused = "ssh: connect to host 10.9.0.1 port 22: Connection refused"
    shell.on("ssh *@10.9.0.1 *", stderr=refused, returncode=255)
    machines = (*TestStatic.demand.machines, one("network", "10.9.0.3", keyfile="/no"))
    with pytest.raises(ProviderError) as caught:
        Static(Settings(), around(tmp_path, shell)).acquire(Demand(machines=machines))
    assert caught.value.message == "2 of 3 machines cannot be used"
    assert caught.value.details.splitlines() == [
        "control-1 (root@10.9.0.1:22): nothing listens on the port",
        "network-1 (root@10.9.0.3:22): no key file `/no`",
    ]


HOST = Host(name="a", address="10.9.0.1", user="me", key=Path("/k"), sudo=True)


@pytest.mark.parametrize(
    ("status", "stderr", "why"),
    [
        (255, "me@10.9.0.1: Permission denied (publickey).", "it refuses the key `/k`"),
        (
            255,
            "ssh: connect to host x port 22: Connection timed out",
            "does not answer",
        ),
        (255, "ssh: Could not resolve hostname x: Name", "the name does not resolve"),
        (255, 'Load key "/k": error in libcrypto', "the key file is damaged `/k`"),
        (255, "Something new", "Something new"),
        (1, "sudo: a password is required", "`me` may not use sudo"),
        (127, "sh: 1: ip: not found", "`ip` (iproute2) is missing"),
        (3, "", "status 3"),
    ],
)
def test_what_ssh_says_is_told_in_the_users_terms(
    status: int, stderr: str, why: str
) -> None:
    done = Completed(argv=("ssh",), returncode=status, stderr=stderr)
    found = reach.trouble(HOST, done)
    assert found is not None
    assert why in str(found)
    assert str(found).startswith("a (me@10.9.0.1:22): ")


def test_an_interface_in_no_network_has_none() -> None:
    networks = [Network(name="api", cidr="10.0.0.0/8", roles=("api",))]
    first, second = reach.interfaces(ip_json("172.16.0.1"), networks)
    assert (first.device, first.network, first.addresses) == (
        "eno1",
        "",
        ("172.16.0.1/24",),
    )
    assert (second.device, second.addresses) == ("eno2", ())


def test_a_user_other_than_root_uses_sudo_unless_told_otherwise() -> None:
    machines = (
        one("control", "a", user="debian"),
        one("compute", "b"),
        one("compute", "c", user="toor", sudo=False, alias="third"),
    )
    hosts = static.hosts(Demand(machines=machines))
    assert [(h.name, h.sudo) for h in hosts] == [
        ("control-1", True),
        ("compute-1", False),
        ("third", False),
    ]


def test_two_machines_of_one_name_are_refused() -> None:
    machines = (one("control", "a", alias="x"), one("compute", "b", alias="x"))
    with pytest.raises(ProviderError, match="called `x`"):
        static.hosts(Demand(machines=machines))


@pytest.mark.parametrize(
    "extra",
    [{}, {"address": ""}, {"address": "a", "port": 0}, {"address": "a", "x": 1}],
)
def test_a_machine_written_wrongly_is_refused(extra: dict[str, object]) -> None:
    machine = MachineDemand(group="g", roles=("control",), extra=extra)
    with pytest.raises(ConfigError, match="control-1 of group `g`"):
        static.hosts(Demand(machines=(machine,)))


@pytest.mark.parametrize("address", ["-oProxyCommand=x", "a b"])
def test_no_address_is_an_option_of_ssh(address: str) -> None:
    with pytest.raises(ValidationError):
        Machine.model_validate({"address": address})


def test_host_variables_are_texts() -> None:
    machine = Machine.model_validate({"address": "a", "extra": {"ansible_port": 23}})
    assert machine.extra == {"ansible_port": "23"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gateway": "10.8.0.1"}, "is not in 10.9.0.0/24"),
        ({"start": "10.9.0.9"}, "come together"),
        ({"start": "10.9.0.9", "end": "10.9.0.8"}, "is after"),
        ({"roles": ["wan"]}, "`wan` is no role"),
        ({"roles": []}, "at least 1"),
        ({"cidr": "10.9.0.1/24"}, "valid IPv4 network"),
    ],
)
def test_a_network_written_wrongly_is_refused(
    change: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"networks": [{**API, **change}]})


def test_two_networks_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="need a `name` each"):
        Settings.model_validate({"networks": [API, {**API, "cidr": "10.9.2.0/24"}]})


def test_a_jump_host_is_reached_with_the_machines_own_key() -> None:
    host = Host(name="a", address="10.9.0.1", key=Path("/k"), jump="me@gate:2222")
    command = jump_command(host)
    assert command.startswith("ssh -p 2222 ")
    assert command.endswith("-i /k -o IdentitiesOnly=yes -W '[%h]:%p' me@gate")
    assert f"ProxyCommand={command}" in ssh_argv(host)


def test_a_jump_host_without_port_or_user_leaves_them_to_sshs_configuration() -> None:
    command = jump_command(Host(name="a", address="10.9.0.1", jump="gate"))
    assert " -p " not in command
    assert command.endswith(" gate")


def test_doctor_names_the_version_of_the_ssh_client(tmp_path: Path) -> None:
    (check,) = Static(Settings(), around(tmp_path, answering())).checks()
    assert (check.ok, check.found) == (True, "OpenSSH_9.2p1 Debian-2")


def test_release_leaves_the_machines_and_says_so(tmp_path: Path) -> None:
    shell = RecordingShell()
    found = around(tmp_path, shell)
    Static(Settings(), found).release()
    assert shell.calls == []
    assert isinstance(found.progress, RecordingProgress)
    assert "left running" in found.progress.decisions[0]


def machine_json(**addresses: tuple[str, ...]) -> str:
    """What `ip` says of devices; a bridge has the MAC of its port, eno2."""
    macs = {"eno1": "02:00:00:00:00:01", "eno2": "02:00:00:00:00:02"}
    links = [
        {
            "ifname": device.replace("_", "-"),
            "link_type": "ether",
            "address": macs.get(device, macs["eno2"]),
            "addr_info": [
                {"family": "inet", "local": address, "prefixlen": 24}
                for address in several
            ],
        }
        for device, several in addresses.items()
    ]
    return json.dumps(links)


def acquired(tmp_path: Path, **addresses: tuple[str, ...]) -> Host:
    settings = Settings.model_validate({"networks": [API, EXTERNAL]})
    shell = RecordingShell()
    shell.on("ssh *@10.9.0.1 *", stdout=machine_json(**addresses))
    demand = Demand(machines=(one("control", "10.9.0.1"),))
    (host,) = Static(settings, around(tmp_path, shell)).acquire(demand).hosts
    return host


def test_an_interface_that_neutron_freed_of_its_address_keeps_its_network(
    tmp_path: Path,
) -> None:
    first = acquired(tmp_path, eno1=("10.9.0.1",), eno2=("10.9.1.7",))
    again = acquired(tmp_path, eno1=("10.9.0.1",), eno2=())
    bridged = acquired(tmp_path, br_ex=("10.9.1.7",), eno1=("10.9.0.1",), eno2=())

    for host in (first, again, bridged):
        nic = host.nic_on("external")
        assert nic is not None
        assert nic.device == "eno2"
    assert [nic.addresses for nic in again.nics] == [("10.9.0.1/24",), ()]
    assert [(nic.device, nic.addresses) for nic in bridged.nics] == [
        ("br-ex", ()),
        ("eno1", ("10.9.0.1/24",)),
        ("eno2", ("10.9.1.7/24",)),
    ]


def test_a_renumbered_interface_is_not_held_to_what_it_was(tmp_path: Path) -> None:
    acquired(tmp_path, eno1=("10.9.0.1",), eno2=("10.9.1.7",))
    moved = acquired(
        tmp_path, eno1=("10.9.0.1",), eno2=("172.16.0.1",), eno3=("10.9.1.7",)
    )

    nic = moved.nic_on("external")
    assert nic is not None
    assert nic.device == "eno3"


def test_release_gives_neutrons_interface_its_addresses_back_and_forgets(
    tmp_path: Path,
) -> None:
    acquired(tmp_path, eno1=("10.9.0.1",), eno2=("10.9.1.7", "10.9.1.8"))
    acquired(tmp_path, eno1=("10.9.0.1",), eno2=())
    shell = RecordingShell()
    shell.on("ssh *@10.9.0.1 *", stdout="10.9.1.7/24\n10.9.1.8/24\n")
    found = around(tmp_path, shell)
    Static(Settings(), found).release()
    Static(Settings(), found).release()

    (call,) = shell.calls
    assert call.argv[-1].endswith(" sh eno2 10.9.1.7/24 10.9.1.8/24")
    assert isinstance(found.progress, RecordingProgress)
    assert found.progress.decisions[0].startswith(
        "control-1: `eno2` has 10.9.1.7/24, 10.9.1.8/24 again"
    )


def test_an_interface_named_by_a_variable_gets_its_address_back_too() -> None:
    nics = (Nic(device="eth1", addresses=("10.9.1.7/24",), mac="02:00:00:00:00:02"),)
    extra = {"neutron_external_interface": "eth1"}
    host = Host(name="a", address="10.9.0.1", nics=nics, extra=extra)
    testbed = Testbed(provider="static", hosts=(host,), networks=())

    (one_back,) = remembered.restorations(testbed)
    assert (one_back.device, one_back.addresses) == ("eth1", ("10.9.1.7/24",))


def test_a_machine_that_is_dead_at_release_is_told_and_keeps_no_other(
    tmp_path: Path,
) -> None:
    acquired(tmp_path, eno1=("10.9.0.1",), eno2=("10.9.1.7",))
    shell = RecordingShell()
    shell.on("ssh *", stderr="No route to host\n", returncode=255)
    found = around(tmp_path, shell)
    Static(Settings(), found).release()

    assert isinstance(found.progress, RecordingProgress)
    (warning,) = found.progress.warnings
    assert "`eno2` does not get 10.9.1.7/24 back: No route" in warning
    assert "left running" in found.progress.decisions[-1]


def hangs(call: Call) -> Answer:
    message = "`ssh` did not end within 60 s"
    raise ProcessError(message, argv=call.argv)


def test_a_machine_that_hangs_at_release_is_told_and_keeps_no_other(
    tmp_path: Path,
) -> None:
    settings = Settings.model_validate({"networks": [API, EXTERNAL]})
    shell = RecordingShell()
    for number in (1, 2):
        seen = machine_json(eno1=(f"10.9.0.{number}",), eno2=(f"10.9.1.{number}",))
        shell.on(f"ssh *@10.9.0.{number} *", stdout=seen)
    Static(settings, around(tmp_path, shell)).acquire(TestStatic.demand)
    shell.script("ssh *@10.9.0.1 *", hangs)
    shell.on("ssh *@10.9.0.2 *", stdout="10.9.1.2/24\n")
    found = around(tmp_path, shell)
    Static(settings, found).release()

    assert isinstance(found.progress, RecordingProgress)
    (warning,) = found.progress.warnings
    assert "control-1: `eno2` does not get 10.9.1.1/24 back: it hangs" in warning
    assert found.progress.decisions[0].startswith("compute-1: `eno2` has 10.9.1.2/24")
    assert "left running" in found.progress.decisions[-1]


def test_a_machine_that_hangs_is_told_with_the_others_that_cannot_be_used(
    tmp_path: Path,
) -> None:
    shell = answering()
    shell.script("ssh *@10.9.0.1 *", hangs)
    shell.on("ssh *@10.9.0.2 *", stderr="No route to host", returncode=255)
    with pytest.raises(ProviderError) as caught:
        Static(Settings(), around(tmp_path, shell)).acquire(TestStatic.demand)
    assert caught.value.details.splitlines() == [
        "control-1 (root@10.9.0.1:22): it hangs: `ssh` did not end within 60 s",
        "compute-1 (root@10.9.0.2:22): there is no route to it",
    ]


def test_what_a_host_variable_names_is_not_missed(tmp_path: Path) -> None:
    settings = Settings.model_validate({"networks": [API, EXTERNAL]})
    named = one("control", "10.9.0.1", extra={"neutron_external_interface": "eth1"})
    found = around(tmp_path, answering())
    Static(settings, found).acquire(Demand(machines=(named,)))

    assert isinstance(found.progress, RecordingProgress)
    assert found.progress.warnings == []


def test_an_interface_named_by_a_variable_goes_before_the_one_that_was_found() -> None:
    nics = (Nic(device="eth1", network="external", addresses=("10.9.1.7/24",)),)
    network = Network(name="external", cidr="10.9.1.0/24", roles=("external",))
    extra = {"neutron_external_interface": "bond0.7"}
    host = Host(name="a", address="10.9.0.1", nics=nics, extra=extra)
    testbed = Testbed(provider="static", hosts=(host,), networks=(network,))
    assert interfaces(testbed, host) == extra
    assert interfaces(testbed, replace(host, extra={})) == {
        "neutron_external_interface": "eth1"
    }


@pytest.mark.parametrize(
    ("networks", "without"),
    [([], {"compute-1"}), ([API], {"compute-1"}), ([API, EXTERNAL], set())],
)
def test_the_file_tells_which_machine_has_no_interface_for_neutron(
    networks: list[dict[str, object]], without: set[str]
) -> None:
    named = one("control", "10.9.0.1", extra={"neutron_external_interface": "eth1"})
    demand = Demand(machines=(named, one("compute", "10.9.0.2")))
    settings = Settings.model_validate({"networks": networks})
    assert Static.without_external(settings, demand) == without
