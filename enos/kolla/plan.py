"""What a deployment will be: every file and every command, before anything is done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enos.ansible import configuration
from enos.ansible.inventory import Group, Inventory
from enos.kolla import globals as variables
from enos.kolla import overrides, site
from enos.kolla.external import require_external
from enos.kolla.inventory import KollaInventory, plan_inventory
from enos.kolla.nodes import Node, require_kvm
from enos.kolla.releases import Release
from enos.kolla.shadow import Shadow
from enos.kolla.site import ServicePlay
from enos.kolla.switches import switch, word
from enos.kolla.tunnels import plan_tunnels
from enos.testbed import Testbed

TLS = "kolla_enable_tls_internal"
DEPLOYS = frozenset({"deploy", "reconfigure", "upgrade"})
"""Actions that change what runs on the nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What an installed kolla-ansible brings, as values.

    Attributes:
        bin: folder of its programs.
        ansible: its folder of playbooks and roles.
        groups: those of its `multinode` inventory.
        plays: those of its `site.yml`.
        defaults: its variables for all hosts.
        mitogen: folder of mitogen's strategy plug-ins, None when not installed.
        playbooks: names of its playbooks.

    """

    bin: Path
    ansible: Path
    groups: tuple[Group, ...]
    plays: tuple[ServicePlay, ...]
    defaults: Mapping[str, Any]
    mitogen: Path | None = None
    playbooks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the experiment wants of OpenStack.

    Attributes:
        session: id of the experiment.
        virt: ``qemu``, ``kvm`` or ``fake``.
        fake_computes: pretended compute hosts on each compute node.
        images: variables that say where container images come from.
        profiled: whether requests can be traced by OSProfiler.
        kolla: the `kolla:` map of the experiment file.
        custom: folder of configuration the user wants merged, or None.

    """

    session: str
    release: Release
    virt: str = "qemu"
    fake_computes: int = 0
    images: Mapping[str, Any] = field(default_factory=dict)
    profiled: bool = False
    kolla: Mapping[str, Any] = field(default_factory=dict)
    custom: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a deployment keeps its files, all below one folder of the experiment.

    Attributes:
        root: the folder, also kolla-ansible's `--configdir`.
        sockets: folder for SSH's control sockets, with a short path.

    """

    root: Path
    sockets: Path

    @property
    def inventory(self) -> Path:
        """Return the path of the inventory."""
        return self.root / "inventory"

    @property
    def globals(self) -> Path:
        """Return the path of `globals.yml`."""
        return self.root / "globals.yml"

    @property
    def passwords(self) -> Path:
        """Return the path of `passwords.yml`."""
        return self.root / "passwords.yml"

    @property
    def ansible_cfg(self) -> Path:
        """Return the path of `ansible.cfg`."""
        return self.root / "ansible.cfg"

    @property
    def shadow(self) -> Path:
        """Return the folder of the changed copy of kolla-ansible's playbooks."""
        return self.root / "ansible"

    @property
    def config(self) -> Path:
        """Return the folder of configuration that kolla merges into its own."""
        return self.root / "config"

    @property
    def facts(self) -> Path:
        """Return the folder of cached facts."""
        return self.root / "facts"

    @property
    def logs(self) -> Path:
        """Return the folder of Ansible's output, a file per lane."""
        return self.root / "logs"

    @property
    def openrc(self) -> Path:
        """Return the path of the file to source for the `openstack` command."""
        return self.root / "admin-openrc.sh"

    @property
    def clouds(self) -> Path:
        """Return the path of `clouds.yaml`."""
        return self.root / "clouds.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment of OpenStack, ready to be written down and run.

    Attributes:
        variables: content of `globals.yml`.
        lanes: lane name → its plays.
        checks: plays of kolla-ansible's prechecks.
        nodes: host name → what it can do.
        checks_at_once: the machines are ready for the checks as they are.
        config: path below the configuration folder → text.
        decisions: choices made on the way, a sentence each.
        url: Keystone's internal end point.
        authority: where kolla's own certificate authority is, if there is one, when
            that end point speaks TLS.

    """

    release: Release
    place: Place
    installed: Installed
    inventory: Inventory
    variables: Mapping[str, Any]
    lanes: Mapping[str, tuple[ServicePlay, ...]]
    checks: tuple[ServicePlay, ...]
    nodes: Mapping[str, Node]
    checks_at_once: bool
    shadow: Shadow
    config: Mapping[str, str]
    custom: Path | None
    decisions: tuple[str, ...]
    url: str
    authority: Path | None = None

    @property
    def ansible_cfg(self) -> str:
        """Return the text of `ansible.cfg`."""
        return configuration.render(
            configuration.Configuration(
                facts=self.place.facts,
                sockets=self.place.sockets,
                mitogen=self.installed.mitogen,
            )
        )


def plan_deployment(
    wish: Wish,
    *,
    testbed: Testbed,
    nodes: Mapping[str, Node],
    installed: Installed,
    place: Place,
    action: str = "deploy",
) -> Deployment:
    """Return the deployment a wish comes to on a testbed.

    Raises ConfigError (no control node, no interface for Neutron, no free address for
    a VIP) and CapabilityError (tenant networks cannot span the nodes, no KVM).
    """
    tunnels, told = plan_tunnels(testbed, nodes, wish.kolla)
    mapped = _mapped(testbed, installed, tunnels)
    chosen = _chosen(wish, testbed, mapped.inventory, nodes, installed)
    if action in DEPLOYS:
        require_kvm(chosen.values, mapped.inventory.members("compute"), nodes)
        require_external(mapped.inventory, chosen.values, installed.defaults)
    fakes = wish.fake_computes if wish.virt == "fake" else 0
    lanes = plan_lanes(
        installed, chosen.values, action=action, fakes=fakes > 1 and action in DEPLOYS
    )
    checks = plan_checks(installed, chosen.values)
    return Deployment(
        release=wish.release,
        place=place,
        installed=installed,
        inventory=mapped.inventory,
        variables={
            **chosen.values,
            **({"enos_fake_computes": fakes} if fakes > 1 else {}),
        },
        lanes=lanes,
        checks=checks,
        nodes=dict(nodes),
        checks_at_once=all(node.docker and node.named for node in nodes.values()),
        shadow=_shadow(lanes, checks, nodes, chosen.values),
        config=overrides.plan_overrides(
            virt=wish.virt,
            nodes=nodes,
            inventory=mapped.inventory,
            chosen=chosen.values,
        ),
        custom=wish.custom,
        decisions=(*mapped.decisions, *chosen.decisions, *told),
        url=keystone_url(chosen.values),
        authority=_authority(chosen.values, place),
    )


def _chosen(
    wish: Wish,
    testbed: Testbed,
    inventory: Inventory,
    nodes: Mapping[str, Node],
    installed: Installed,
) -> variables.Globals:
    known = {**installed.defaults, **variables.LEAN, **wish.kolla}
    situation = variables.Situation(
        session=wish.session,
        testbed=testbed,
        inventory=inventory,
        nodes=nodes,
        virt=wish.virt,
        images=wish.images,
        profiled=wish.profiled,
        store="redis" if "enable_redis" in installed.defaults else "valkey",
        clustercheck=wish.release.clustercheck,
        setting=lambda name: word(name, known),
        user=wish.kolla,
    )
    return variables.plan_globals(situation)


def _mapped(
    testbed: Testbed, installed: Installed, tunnels: Mapping[str, Mapping[str, str]]
) -> KollaInventory:
    extra = {
        host.name: {
            "enos_api_address": testbed.address(host, "api"),
            **tunnels[host.name],
        }
        for host in testbed.hosts
    }
    python = str(installed.bin / "python")
    return plan_inventory(testbed, installed.groups, python=python, variables=extra)


def plan_lanes(
    installed: Installed, values: Mapping[str, Any], *, action: str, fakes: bool = False
) -> dict[str, tuple[ServicePlay, ...]]:
    """Return the lanes that have something to do, with enos's own plays added."""
    known = {**installed.defaults, **values}
    plays = site.wanted(
        installed.plays, action=action, switch=lambda name: switch(name, known)
    )
    changes = action in DEPLOYS
    confined = not variables.is_on(known.get("set_sysctl", "yes"))
    return site.with_own(
        site.deal(plays),
        netdev=changes and known.get("ovs_datapath") == "netdev",
        fakes=fakes,
        standby=changes and confined and variables.is_on(known.get("enable_haproxy")),
    )


def plan_checks(
    installed: Installed, values: Mapping[str, Any]
) -> tuple[ServicePlay, ...]:
    """Return the plays of kolla-ansible's prechecks for what is switched on."""
    known = {**installed.defaults, **values}
    plays = site.wanted(
        installed.plays, action="precheck", switch=lambda name: switch(name, known)
    )
    return site.joined(site.deal(plays))


def keystone_url(values: Mapping[str, Any]) -> str:
    """Return Keystone's internal end point for what `globals.yml` says."""
    tls = variables.is_on(values.get(TLS))
    host = values.get("kolla_internal_fqdn", values["kolla_internal_vip_address"])
    port = values.get("keystone_public_port", "5000")
    return f"{'https' if tls else 'http'}://{host}:{port}/v3"


def _authority(values: Mapping[str, Any], place: Place) -> Path | None:
    if not variables.is_on(values.get(TLS)):
        return None
    folder = values.get("kolla_certificates_dir", place.root / "certificates")
    return Path(folder) / "ca" / "root.crt"


def _shadow(
    lanes: Mapping[str, tuple[ServicePlay, ...]],
    checks: tuple[ServicePlay, ...],
    nodes: Mapping[str, Node],
    values: Mapping[str, Any],
) -> Shadow:
    everything = site.joined(lanes)
    return Shadow(
        playbooks={
            **{site.file_of(name): site.render(plays) for name, plays in lanes.items()},
            site.file_of("site"): site.render(everything),
            site.file_of(site.CHECKS): site.render(checks),
        },
        without_modules=any(not node.modules for node in nodes.values()),
        engine=str(values.get("kolla_container_engine", "docker")),
    )
