"""Where clients reach the APIs: one host's address, or a load balancer's."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from enos.errors import ConfigError
from enos.kolla import site
from enos.kolla.deployment import plan_runs
from enos.kolla.fronted import FRONTED
from enos.kolla.inventory import parse_multinode
from enos.kolla.nodes import Node
from enos.kolla.plan import Deployment, Installed, Place, Wish, plan_deployment
from enos.kolla.releases import release
from enos.testbed import Host, Network, Nic, Testbed

SITE = """\
- name: Gather facts
  hosts: all
  tags: always
  roles: [{role: gather-facts}]
- name: Group hosts based on configuration
  hosts: all
  tasks: []
- name: Apply role kolla_toolbox
  hosts: [kolla_toolbox]
  roles: [{role: kolla_toolbox}]
- name: Apply role loadbalancer
  hosts: [loadbalancer, "&enable_loadbalancer_True"]
  roles: [{role: loadbalancer}]
- name: Apply role keystone
  hosts: [keystone, "&enable_keystone_True"]
  roles: [{role: keystone}]
"""
MULTINODE = """\
[control]
[network]
[compute]
[monitoring]
[loadbalancer:children]
network
[mariadb:children]
control
[keystone:children]
control
[nova-novncproxy:children]
control
[heat-api:children]
control
[horizon:children]
control
[grafana:children]
monitoring
"""
DEFAULTS: dict[str, Any] = {
    "enable_openstack_core": "yes",
    "enable_haproxy": "yes",
    "enable_keepalived": "{{ enable_haproxy | bool }}",
    "enable_proxysql": "{{ enable_mariadb }}",
    "enable_loadbalancer": "{{ enable_haproxy | bool or enable_proxysql | bool }}",
    "enable_mariadb": "yes",
    "enable_keystone": "yes",
    "enable_heat": "{{ enable_openstack_core | bool }}",
    "enable_horizon": "{{ enable_openstack_core | bool }}",
    "enable_grafana": "no",
    "enable_neutron": "no",
    "nova_console": "novnc",
}
BARE = Node(limits=True, modules=True, sysctl=True, openvswitch=True, kvm=True, cpus=8)
READY = replace(BARE, docker=True, named=True)
CONFINED = replace(READY, limits=False, sysctl=False, container=True)


def host(number: int, name: str, *roles: str) -> Host:
    nic = Nic(device="eth0", network="api", addresses=(f"10.0.0.{number}/24",))
    return Host(name=name, address=f"10.0.0.{number}", roles=roles, nics=(nic,))


ONE = (host(2, "control-1", "control", "network"), host(9, "compute-1", "compute"))
THREE = (*ONE, *(host(n, f"control-{n}", "control", "network") for n in (3, 4)))


def plan(
    *hosts: Host,
    node: Node = READY,
    pool: tuple[str, str] | None = ("10.0.0.128", "10.0.0.200"),
    name: str = "2026.1",
    kolla: Mapping[str, str] | None = None,
) -> Deployment:
    network = Network(name="api", cidr="10.0.0.0/24", roles=("api",), pool=pool)
    return plan_deployment(
        Wish(session="enos-1", release=release(name), kolla=kolla or {}),
        testbed=Testbed(provider="paper", hosts=hosts, networks=(network,)),
        nodes={each.name: node for each in hosts},
        installed=Installed(
            bin=Path("/tool/bin"),
            ansible=Path("/tool/ansible"),
            groups=parse_multinode(MULTINODE),
            plays=site.read_site(SITE, lambda _: ""),
            defaults=DEFAULTS,
        ),
        place=Place(root=Path("/lab/kolla"), sockets=Path("/tmp/s")),
    )


def values(*hosts: Host, **more: Any) -> Mapping[str, Any]:  # noqa: ANN401  # as `plan`
    return plan(*hosts, **more).variables


def test_several_control_nodes_get_an_address_and_haproxy_before_the_database() -> None:
    chosen = values(*THREE)
    assert chosen["kolla_internal_vip_address"] == "10.0.0.128"
    assert chosen["enable_haproxy"] == "yes"
    assert chosen["keepalived_traffic_mode"] == "unicast"
    assert 1 <= int(chosen["keepalived_virtual_router_id"]) <= 254
    assert chosen["enable_proxysql"] == "no"
    assert chosen["enable_external_mariadb_load_balancer"] == "yes"
    assert "kolla_address(host)" in chosen["external_haproxy_members"]


def test_databases_bear_being_asked_by_haproxy_for_ever() -> None:
    config = plan(*THREE).config
    # Host by host: a `galera.cnf` of the user's would replace one of ours.
    for name in ("control-1", "control-3", "control-4"):
        own = config[f"mariadb/{name}/galera.cnf"]
        assert "max_connect_errors = 4294967295" in own
    assert len([path for path in config if path.endswith("galera.cnf")]) == 3
    assert not [path for path in plan(*ONE).config if path.endswith("galera.cnf")]


def test_one_control_node_needs_neither() -> None:
    chosen = values(*ONE)
    assert chosen["kolla_internal_vip_address"] == "10.0.0.2"
    assert (chosen["enable_haproxy"], chosen["enable_proxysql"]) == ("no", "no")
    assert "enable_external_mariadb_load_balancer" not in chosen


def test_proxysql_is_left_to_those_who_ask_for_it() -> None:
    chosen = values(*THREE, kolla={"enable_proxysql": "yes"})
    assert chosen["enable_proxysql"] == "yes"
    assert "enable_external_mariadb_load_balancer" not in chosen


def test_a_database_of_the_user_s_own_gets_no_load_balancer_of_ours() -> None:
    chosen = values(*THREE, kolla={"enable_mariadb": "no"})
    assert "enable_external_mariadb_load_balancer" not in chosen


@pytest.mark.parametrize("hosts", [ONE, THREE])
def test_the_container_that_asks_databases_is_off_where_a_release_has_it(
    hosts: tuple[Host, ...],
) -> None:
    old, new = (values(*hosts, name=name) for name in ("2025.1", "2025.2"))
    assert old["enable_mariadb_clustercheck"] == "no"
    assert "enable_mariadb_clustercheck" not in new


@pytest.mark.parametrize(
    ("group", "turned_on"),
    [
        ("heat-api", {"enable_heat": "yes"}),
        ("horizon", {"enable_horizon": "yes"}),
        ("nova-novncproxy", {"nova_console": "novnc"}),
        ("grafana", {"enable_grafana": "yes"}),
    ],
)
def test_a_service_elsewhere_needs_a_load_balancer_when_it_is_on(
    group: str, turned_on: dict[str, str]
) -> None:
    hosts = (*ONE, host(5, "other-1", group))
    assert values(*hosts)["enable_haproxy"] == "no"
    deployment = plan(*hosts, kolla=turned_on)
    assert deployment.variables["enable_haproxy"] == "yes"
    assert f"`{group}` is on other-1: haproxy on 10.0.0.128" in deployment.decisions


def test_every_group_is_turned_on_by_one_variable() -> None:
    names = {switch.partition("=")[0] for switch in FRONTED.values()}
    assert all(name.startswith("enable_") or name == "nova_console" for name in names)


@pytest.mark.parametrize(
    "kolla", [{"enable_haproxy": "yes"}, {"kolla_enable_tls_internal": "yes"}]
)
def test_who_asks_for_it_or_for_tls_gets_the_load_balancer(
    kolla: dict[str, str],
) -> None:
    chosen = values(*ONE, kolla=kolla)
    assert chosen["kolla_internal_vip_address"] == "10.0.0.128"
    assert chosen["enable_haproxy"] == "yes"


def test_an_address_of_the_user_s_is_used_without_a_pool() -> None:
    chosen = values(
        *THREE, pool=None, kolla={"kolla_internal_vip_address": "10.0.0.77"}
    )
    assert chosen["kolla_internal_vip_address"] == "10.0.0.77"
    assert chosen["enable_haproxy"] == "yes"


def test_who_forbids_haproxy_gets_none() -> None:
    own = {"kolla_internal_vip_address": "10.0.0.77", "enable_haproxy": "no"}
    deployment = plan(*THREE, kolla=own)
    chosen = deployment.variables
    assert chosen["enable_keepalived"] == chosen["enable_proxysql"] == "no"
    told = "`kolla:` wants none: no load balancer, clients use 10.0.0.77"
    assert told in deployment.decisions


def test_without_a_free_address_the_reason_and_a_way_out_are_told() -> None:
    with pytest.raises(ConfigError, match="no network has free addresses") as caught:
        plan(*THREE, pool=None)
    assert caught.value.details == "`keystone` is on control-1, control-3, control-4"
    assert "kolla_internal_vip_address" in caught.value.hint


def test_haproxy_takes_fewer_connections_where_limits_are_fixed() -> None:
    assert values(*THREE, node=CONFINED)["haproxy_max_connections"] == 4000
    assert "haproxy_max_connections" not in values(*THREE)
    assert "haproxy_max_connections" not in values(*ONE, node=CONFINED)


def base(deployment: Deployment) -> list[dict[str, Any]]:
    text = deployment.shadow.playbooks[site.file_of("base")]
    plays: list[dict[str, Any]] = yaml.safe_load(text)
    return plays


def test_backups_may_listen_where_kolla_leaves_the_kernel_s_settings_alone() -> None:
    [play] = [p for p in base(plan(*THREE, node=CONFINED)) if "stand by" in p["name"]]
    assert play["hosts"] == "loadbalancer"
    assert "ip_nonlocal_bind=1" in play["tasks"][0]["ansible.builtin.shell"]
    for other in (plan(*THREE), plan(*ONE, node=CONFINED)):
        assert not [p for p in base(other) if "stand by" in p["name"]]


def after(deployment: Deployment) -> dict[str, tuple[str, ...]]:
    return {lane.name: lane.after for lane in plan_runs(deployment, checks=True)}


def test_prechecks_end_before_haproxy_takes_its_ports() -> None:
    lanes = after(plan(*THREE))
    assert lanes["prechecks"] == ()
    assert lanes["base"] == ("prechecks",)
    assert after(plan(*ONE))["base"] == ()


def test_prechecks_of_machines_to_be_prepared_come_after_that() -> None:
    lanes = after(plan(*THREE, node=BARE))
    assert lanes["base"] == ()
    assert lanes["prechecks"] == ("base",)
