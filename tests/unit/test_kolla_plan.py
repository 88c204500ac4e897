"""From an experiment's testbed to inventory, variables, lanes and commands."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from enos.ansible import configuration
from enos.ansible import inventory as ini
from enos.errors import CapabilityError, ConfigError
from enos.kolla import globals as variables
from enos.kolla import prechecks, site
from enos.kolla.deployment import (
    _write_credentials,
    destroy,
    kolla_command,
    plan_runs,
)
from enos.kolla.inventory import parse_multinode
from enos.kolla.nodes import Node
from enos.kolla.plan import Deployment, Installed, Place, Wish, plan_deployment
from enos.kolla.releases import RELEASES, Release, release
from enos.kolla.switches import switch
from enos.netem.userspace import PASSED
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing import RecordingProgress, RecordingShell
from enos.toolenvs import LOCKS

GOLDEN = Path(__file__).parents[1] / "golden" / "kolla"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))
DEFAULTS: dict[str, Any] = {
    "enable_openstack_core": True,
    "enable_horizon": "{{ enable_openstack_core | bool }}",
    "enable_keystone": "{{ enable_openstack_core | bool }}",
    "enable_mariadb": True,
    "enable_neutron": "{{ enable_openstack_core | bool }}",
    "enable_nova": "{{ enable_openstack_core | bool }}",
    "enable_openvswitch": "{{ enable_neutron | bool }}",
    "enable_ovs_dpdk": False,
    "ovs_datapath": "{{ 'netdev' if enable_ovs_dpdk | bool else 'system' }}",
}

BARE = Node(limits=True, modules=True, sysctl=True, openvswitch=True, kvm=True, cpus=8)
CONFINED = Node(
    limits=False,
    modules=False,
    sysctl=False,
    openvswitch=False,
    kvm=False,
    container=True,
    cpus=2,
)


def host(number: int, name: str, *roles: str, group: str = "grp1") -> Host:
    nics = tuple(
        Nic(device=device, network=network, addresses=addresses)
        for device, network, addresses in (
            ("eth0", "api", (f"10.0.0.{number}/24",)),
            ("eth1", "external", ()),
            ("eth2", "tunnel", (f"10.0.2.{number}/24",)),
        )
    )
    return Host(
        name=name,
        address=f"10.0.0.{number}",
        key=Path("/keys/id"),
        groups=(group,),
        roles=roles,
        nics=nics,
    )


NETWORKS = (
    Network(
        name="api", cidr="10.0.0.0/24", roles=("api",), pool=("10.0.0.128", "10.0.0.9")
    ),
    Network(name="external", cidr="10.0.1.0/24", roles=("external",)),
    Network(name="tunnel", cidr="10.0.2.0/24", roles=("tunnel",)),
)
SMALL = Testbed(
    provider="paper",
    hosts=(
        host(2, "control-1", "control", "network"),
        host(3, "compute-1", "compute", group="grp2"),
        host(4, "compute-2", "compute", group="grp3"),
    ),
    networks=NETWORKS,
)


def installed() -> Installed:
    folder = GOLDEN / "installed"

    def text(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    return Installed(
        bin=Path("/tool/bin"),
        ansible=Path("/tool/ansible"),
        groups=parse_multinode(text("multinode")),
        plays=site.read_site(text("site.yml"), text),
        defaults=DEFAULTS,
        mitogen=Path("/tool/mitogen"),
    )


def plan(
    testbed: Testbed = SMALL,
    *,
    node: Node = BARE,
    kolla: Mapping[str, Any] | None = None,
    virt: str = "qemu",
    action: str = "deploy",
) -> Deployment:
    return plan_deployment(
        Wish(session="enos-1", release=release("2026.1"), virt=virt, kolla=kolla or {}),
        testbed=testbed,
        nodes={each.name: node for each in testbed.hosts},
        installed=installed(),
        place=Place(root=Path("/lab/kolla"), sockets=Path("/tmp/s")),
        action=action,
    )


def agree(name: str, text: str) -> None:
    file = GOLDEN / name
    if UPDATE:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "node"), [("bare", BARE), ("confined", CONFINED)])
def test_files_of_a_deployment_are_those_of_the_golden_files(
    name: str, node: Node
) -> None:
    deployment = plan(node=node, virt="qemu")
    agree(f"{name}-inventory.ini", ini.render(deployment.inventory))
    agree(f"{name}-globals.yml", variables.render(deployment.variables))
    agree(f"{name}-decisions.txt", "\n".join(deployment.decisions) + "\n")


def test_ansible_s_configuration_is_that_of_the_golden_file() -> None:
    text = plan().ansible_cfg.replace(str(configuration.HERE), "<enos>")
    agree("ansible.cfg", text)


def test_the_lanes_are_those_of_the_golden_file() -> None:
    runs = plan_runs(plan(node=CONFINED))
    lines = [
        f"{lane.name} after {', '.join(lane.after) or 'nothing'}: {lane.run.title}"
        for lane in runs
    ]
    agree("lanes.txt", "\n".join(lines) + "\n")


def test_a_role_named_like_a_service_moves_the_service_to_its_machines() -> None:
    hosts = (*SMALL.hosts, host(5, "conductor-1", "nova-conductor"))
    deployment = plan(replace(SMALL, hosts=hosts))
    members = deployment.inventory.members
    assert members("nova-conductor") == ("conductor-1",)
    assert members("nova-api") == ("control-1",)
    assert "conductor-1" in members("baremetal")
    assert "conductor-1" in members("common")
    told = "`nova-conductor` runs on conductor-1 only, as its role says"
    assert told in deployment.decisions


def test_a_network_role_of_its_own_takes_the_agents_from_the_control_node() -> None:
    hosts = (
        host(2, "control-1", "control"),
        host(6, "network-1", "network"),
        host(3, "compute-1", "compute"),
    )
    deployment = plan(replace(SMALL, hosts=hosts))
    assert deployment.inventory.members("neutron-dhcp-agent") == ("network-1",)
    assert deployment.inventory.members("neutron-server") == ("control-1",)
    assert deployment.variables["enable_haproxy"] == "no"


def test_without_a_control_node_nothing_is_planned() -> None:
    with pytest.raises(ConfigError, match="no machine has the role `control`"):
        plan(replace(SMALL, hosts=SMALL.hosts[1:]))


def test_the_user_s_map_wins_over_every_choice_of_ours() -> None:
    kolla = {"ovs_datapath": "system", "enable_horizon": "yes", "set_sysctl": "yes"}
    values = plan(node=CONFINED, kolla=kolla).variables
    assert {key: values[key] for key in kolla} == kolla


def test_a_folder_of_the_user_s_configuration_is_merged_and_not_passed_on() -> None:
    assert (
        "node_custom_config"
        not in plan(kolla={"node_custom_config": "patch/"}).variables
    )


def test_services_the_user_turns_on_get_their_plays() -> None:
    def roles(deployment: Deployment) -> set[str]:
        return {each.service for each in site.joined(deployment.lanes)}

    assert "horizon" not in roles(plan())
    assert "horizon" in roles(plan(kolla={"enable_horizon": "yes"}))


def test_a_service_nothing_is_known_of_keeps_its_play() -> None:
    services = {each.service for each in site.joined(plan().lanes)}
    assert "magnum" in services
    assert "ovs-dpdk" not in services


def test_plays_for_upgrades_are_left_out_of_a_deployment_only() -> None:
    def names(action: str) -> list[str]:
        lanes = plan(action=action).lanes
        return [str(each.play["name"]) for each in site.joined(lanes)]

    assert "Reload Nova API services" not in names("deploy")
    assert "Reload Nova API services" in names("upgrade")


def test_prechecks_are_run_for_their_own_action_only() -> None:
    assert "prechecks" in {
        e.service for e in site.joined(plan(action="precheck").lanes)
    }
    assert "prechecks" not in {e.service for e in site.joined(plan().lanes)}


def test_prechecks_that_passed_are_known_here_and_on_machines_made_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def placed(name: str, node: Node = BARE) -> Deployment:
        place = Place(root=tmp_path / name / "kolla", sockets=Path("/tmp/s"))
        place.root.mkdir(exist_ok=True, parents=True)
        key = tmp_path / name / "key"
        hosts = tuple(replace(host, key=key) for host in SMALL.hosts)
        return replace(plan(replace(SMALL, hosts=hosts), node=node), place=place)

    remembered = tmp_path / "remembered"
    assert prechecks.passed(placed("one"), remembered) == ""

    prechecks.remember(placed("one"), remembered)

    assert prechecks.passed(placed("one"), remembered) == "here"
    assert prechecks.passed(placed("two"), remembered) == "before"
    monkeypatch.chdir(tmp_path)
    named = Place(root=Path("two/kolla"), sockets=Path("/tmp/s"))
    assert prechecks.passed(replace(placed("two"), place=named), remembered) == "before"
    assert prechecks.passed(placed("two"), None) == ""
    assert prechecks.passed(placed("two", node=CONFINED), remembered) == ""
    after = replace(BARE, docker=True, named=True, bridged=not BARE.bridged)
    assert prechecks.passed(placed("one", node=after), None) == "here"


def test_openstack_is_removed_from_the_machines_and_not_from_here(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    deployment = replace(plan(), place=Place(root=tmp_path, sockets=tmp_path / "s"))

    destroy(deployment, shell=shell, progress=RecordingProgress())

    (argv,) = shell.argvs
    assert argv[1] == "destroy"
    assert argv[argv.index("--limit") + 1] == "!localhost"


def test_a_lane_groups_hosts_by_its_own_services_only() -> None:
    lanes = plan().lanes
    plays = yaml.safe_load(site.render(lanes["database"]))
    grouping = next(play for play in plays if "Group hosts" in play["name"])
    items = [task.get("with_items") for task in grouping["tasks"]]
    assert items == [None, ["enable_mariadb_{{ enable_mariadb | bool }}"]]


def test_tunnels_in_user_space_pass_a_bridge_where_iptables_sees_bridged_packets() -> (
    None
):
    deployment = plan(node=replace(CONFINED, bridged=True))
    values = deployment.inventory.hosts["compute-1"]
    assert values["tunnel_interface"] == PASSED
    assert values["enos_tunnel_wire"] == "enos-wire"
    assert any("behind the bridge enos-wire" in one for one in deployment.decisions)


def test_user_space_switching_puts_the_tunnels_on_a_bridge() -> None:
    deployment = plan(node=CONFINED)
    values = deployment.inventory.hosts["compute-1"]
    assert values["tunnel_interface"] == "br-phy"
    assert "enos_tunnel_wire" not in values
    assert values["enos_tunnel_device"] == "eth2"
    assert values["enos_tunnel_address"] == "10.0.2.3/24"
    assert [each.service for each in deployment.lanes["fabric"]][-1] == "enos"
    assert plan().inventory.hosts["compute-1"]["tunnel_interface"] == "eth2"


def test_user_space_switching_without_a_network_for_tunnels_is_refused() -> None:
    hosts = tuple(replace(each, nics=each.nics[:2]) for each in SMALL.hosts)
    with pytest.raises(CapabilityError, match="tenant networks cannot span"):
        plan(replace(SMALL, hosts=hosts), node=CONFINED)


def test_limits_that_cannot_be_raised_are_left_out_of_libvirt_s_configuration() -> None:
    assert "max_files" not in plan(node=CONFINED).config["nova/qemu.conf.j2"]
    assert plan().config == {}


def test_options_of_a_kolla_command_follow_the_sub_command() -> None:
    argv = kolla_command(plan(), ("deploy", "--tags", "nova")).argv
    assert argv[1:3] == ("deploy", "--configdir")
    assert argv[-2:] == ("--tags", "nova")
    assert "/lab/kolla/ansible/enos-site.yml" in argv


def test_a_playbook_of_the_user_s_is_the_one_that_is_run() -> None:
    argv = kolla_command(plan(), ("deploy", "--playbook", "mine.yml")).argv
    assert argv.count("--playbook") == 1


@pytest.mark.parametrize("each", RELEASES, ids=lambda each: each.name)
def test_the_lock_of_a_release_pins_what_the_release_says(each: Release) -> None:
    pins = (LOCKS / f"{each.lock}.txt").read_text(encoding="utf-8").splitlines()
    assert f"kolla-ansible=={each.kolla_ansible}" in pins
    assert f"ansible=={each.ansible}" in pins
    assert any(pin.startswith("mitogen==") for pin in pins)


def test_an_unknown_release_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="`wallaby`") as caught:
        release("wallaby")
    assert all(f"`{each.name}`" in caught.value.hint for each in RELEASES)


def test_a_switch_that_depends_on_what_only_ansible_knows_is_unknown() -> None:
    values = {"enable_x": "{{ groups['x'] | length > 0 }}", "enable_y": "{{ a | zip }}"}
    assert switch("enable_x", values) is None
    assert switch("enable_y", values) is None
    assert switch("enable_absent", values) is None


def test_a_line_outside_any_group_of_an_inventory_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse_multinode("stray\n[control]\n")


def profiled(defaults: Mapping[str, Any], **kolla: str) -> Deployment:
    return plan_deployment(
        Wish(session="s", release=release("2026.1"), profiled=True, kolla=kolla),
        testbed=SMALL,
        nodes={each.name: BARE for each in SMALL.hosts},
        installed=replace(installed(), defaults={**DEFAULTS, **defaults}),
        place=Place(root=Path("/lab/kolla"), sockets=Path("/tmp/s")),
    )


@pytest.mark.parametrize(
    ("defaults", "store"),
    [({"enable_valkey": False}, "valkey"), ({"enable_redis": "no"}, "redis")],
)
def test_trace_points_go_to_the_store_the_release_has(
    defaults: dict[str, Any], store: str
) -> None:
    values = profiled(defaults).variables
    assert values["enable_osprofiler"] == "yes"
    assert values[f"enable_{store}"] == "yes"
    assert values["enable_opensearch"] == "no"
    address = values["osprofiler_backend_connection_string"]
    assert f"groups['{store}'][0]" in address
    assert "sentinel" not in address


def test_a_back_end_of_the_user_s_own_for_trace_points_is_left_alone() -> None:
    deployment = profiled({}, osprofiler_backend="elasticsearch")
    assert "osprofiler_backend_connection_string" not in deployment.variables
    assert not any("OSProfiler" in each for each in deployment.decisions)


def test_guests_on_kvm_need_it_on_every_compute_host() -> None:
    assert plan(virt="kvm").variables["nova_compute_virt_type"] == "kvm"
    without = replace(BARE, kvm=False)
    with pytest.raises(CapabilityError, match="compute-1, compute-2 cannot") as caught:
        plan(virt="kvm", node=without)
    assert "virt: qemu" in caught.value.hint
    plan(virt="kvm", node=without, kolla={"nova_compute_virt_type": "qemu"})
    plan(virt="kvm", node=without, action="destroy")


def test_some_machines_can_be_cleaned_without_the_others(tmp_path: Path) -> None:
    shell = RecordingShell()
    deployment = replace(plan(), place=Place(root=tmp_path, sockets=tmp_path / "s"))

    some = ("control-1", "compute-2")
    destroy(deployment, shell=shell, progress=RecordingProgress(), only=some)

    (argv,) = shell.argvs
    assert argv[argv.index("--limit") + 1] == "control-1,compute-2"
    assert argv.count("--limit") == 1


def test_the_authority_of_the_certificates_is_where_kolla_ansible_makes_it() -> None:
    secure = {"kolla_enable_tls_internal": "yes"}
    assert plan(kolla=secure).url.startswith("https://10.0.0.128:")
    made = Path("/lab/kolla/certificates/ca/root.crt")
    assert plan(kolla=secure).authority == made
    moved = plan(kolla={**secure, "kolla_certificates_dir": "/else"}).authority
    assert moved == Path("/else/ca/root.crt")
    assert plan().authority is None


def test_credentials_name_the_authority_there_is(tmp_path: Path) -> None:
    def written(**kolla: str) -> Mapping[str, Any]:
        place = Place(root=tmp_path, sockets=tmp_path / "s")
        deployment = plan(kolla={"kolla_enable_tls_internal": "yes", **kolla})
        authority = tmp_path / "certificates" / "ca" / "root.crt"
        kept = replace(deployment, place=place, authority=authority)
        account = {"keystone_admin_password": "secret"}
        _write_credentials(kept, account)
        cloud: dict[str, Any] = yaml.safe_load(place.clouds.read_text(encoding="utf-8"))
        entry: dict[str, Any] = cloud["clouds"]["enos"]
        return entry

    assert "cacert" not in written()  # one the world knows signed
    (tmp_path / "certificates" / "ca").mkdir(parents=True)
    (tmp_path / "certificates" / "ca" / "root.crt").write_text("a certificate")
    assert written()["cacert"] == str(tmp_path / "certificates/ca/root.crt")
    own = written(kolla_admin_openrc_cacert="/etc/ssl/own.pem")
    assert own["cacert"] == "/etc/ssl/own.pem"


def test_without_being_asked_for_no_request_is_traced() -> None:
    assert "enable_osprofiler" not in plan().variables


@pytest.mark.parametrize(
    ("action", "serial"), [("deploy", "100%"), ("reconfigure", "33%")]
)
def test_a_cluster_of_rabbitmq_is_founded_at_once_and_restarted_in_parts(
    action: str, serial: str
) -> None:
    play = {"name": "Restart rabbitmq services", "hosts": "rabbitmq", "serial": "33%"}
    each = site.ServicePlay(service="rabbitmq", play=play)
    (found,) = site.wanted([each], action=action, switch=lambda _: None)
    assert found.play == {**play, "serial": serial}
