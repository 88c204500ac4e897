"""kolla-ansible's `site.yml`, cut into lanes that run side by side. Pure.

The installed release's own plays are kept as they are. Those of services that are off
or of actions that are not asked for are left out, since Ansible spends seconds on
loading and skipping them, and the rest is dealt out to lanes: runs of Ansible that
depend on each other only where OpenStack does.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

Play = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePlan:
    """A lane: its plays, and the lanes that must end before it begins.

    Attributes:
        services: roles and playbooks of kolla-ansible it holds, by name.

    """

    name: str
    services: tuple[str, ...]
    after: tuple[str, ...] = ()


LANES: tuple[LanePlan, ...] = (
    LanePlan(
        name="base",
        services=(
            "prechecks",
            "logs",
            "common",
            "kolla_toolbox",
            "cron",
            "fluentd",
            "loadbalancer",
            "opensearch",
            "letsencrypt",
        ),
    ),
    LanePlan(name="database", services=("mariadb",), after=("base",)),
    LanePlan(
        name="fabric",
        services=(
            *("memcached", "valkey", "redis", "rabbitmq", "etcd"),
            *("openvswitch", "ovs-dpdk", "ovn-controller", "ovn-db"),
        ),
        after=("base",),
    ),
    LanePlan(name="keystone", services=("keystone",), after=("database",)),
    LanePlan(
        name="nova-databases",
        services=("nova-bootstrap",),
        after=("database", "fabric"),
    ),
    LanePlan(
        name="glance", services=("glance", "placement"), after=("keystone", "fabric")
    ),
    LanePlan(name="nova", services=("nova",), after=("keystone", "nova-databases")),
    LanePlan(name="neutron", services=("neutron",), after=("keystone", "fabric")),
    LanePlan(name="fakes", services=("fake computes",), after=("nova", "neutron")),
)
CHECKS = "prechecks"
"""Lane of kolla-ansible's prechecks, which nothing that takes a port may overtake."""

REST = "others"
"""Lane of every service that no other lane names; runs after all of them."""

LISTENING = frozenset({"loadbalancer", "opensearch", "letsencrypt"})
"""Services of the lane `base` that take ports or addresses."""

ALWAYS = ("gather-facts", "group")
SWITCH = re.compile(r"enable_([a-z_]+?)_(True|False)(?=_enable_|$)")
UPGRADE = re.compile(r"kolla_action\s*==\s*'upgrade'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlay:
    """A play and the service it belongs to (``nova``, ``prechecks``, ``group``)."""

    service: str
    play: Play


PREPARE = ServicePlay(
    service="enos",
    play={
        "name": "Prepare the nodes",
        "hosts": "baremetal",
        "gather_facts": False,
        "tags": "enos",
        "roles": [{"role": "enos_node"}, {"role": "enos_leftovers"}],
    },
)
FOREIGN_ADDRESS = ServicePlay(
    service="enos",
    play={
        "name": "Let haproxy stand by for an address that another machine has",
        "hosts": "loadbalancer",
        "gather_facts": False,
        "tags": ["enos", "loadbalancer"],
        "tasks": [
            {
                "name": "Allow to listen on addresses of others",
                "become": True,
                # Where /proc/sys is read-only it may be so already.
                "ansible.builtin.shell": (
                    "grep -qx 1 /proc/sys/net/ipv4/ip_nonlocal_bind"
                    " || sysctl -w net.ipv4.ip_nonlocal_bind=1"
                ),
                "changed_when": False,
            }
        ],
    },
)
"""Of the settings kolla makes for it, the one that backups do not start without."""

BRIDGES = ServicePlay(
    service="enos",
    play={
        "name": "Set up bridges in user space",
        "hosts": "openvswitch",
        "gather_facts": False,
        "tags": ["openvswitch", "neutron"],
        "roles": [{"role": "enos_bridges"}],
    },
)


FAKES = (
    ServicePlay(
        service="fake computes",
        play={
            "name": "Add pretended compute hosts",
            "hosts": "compute",
            "gather_facts": False,
            "tags": ["nova", "nova-cell"],
            "roles": [{"role": "enos_fake_computes"}],
        },
    ),
    ServicePlay(
        service="fake computes",
        play={
            "name": "Map pretended compute hosts to their cell",
            "hosts": "nova-conductor[0]",
            "gather_facts": False,
            "tags": ["nova", "nova-cell"],
            "tasks": [
                {
                    "name": "Discover compute hosts",
                    "ansible.builtin.import_role": {
                        "name": "enos_fake_computes",
                        "tasks_from": "discover.yml",
                    },
                }
            ],
        },
    ),
)


def read_site(text: str, included: Callable[[str], str]) -> tuple[ServicePlay, ...]:
    """Return the plays of `site.yml`, imported playbooks put in place.

    `included` returns the text of an imported playbook by its file name.
    """
    plays: list[ServicePlay] = []
    for entry in yaml.safe_load(text):
        file = entry.get("import_playbook") or entry.get(
            "ansible.builtin.import_playbook"
        )
        if file:
            name = str(file).removesuffix(".yml")
            inner = yaml.safe_load(included(str(file)))
            plays += [ServicePlay(service=_part(name, p), play=p) for p in inner]
        else:
            plays.append(ServicePlay(service=_service(entry), play=entry))
    return tuple(plays)


def wanted(
    plays: Iterable[ServicePlay],
    *,
    action: str,
    switch: Callable[[str], bool | None],
) -> tuple[ServicePlay, ...]:
    """Return the plays that have something to do for an action.

    `switch` tells whether a variable ``enable_…`` is on, None when unknown.
    """
    found = (
        each
        for each in plays
        if _switched_on(each.play, switch)
        and not (action != "upgrade" and _for_upgrade_only(each.play))
        and (each.service != "prechecks" or action == "precheck")
    )
    return tuple(map(_at_once, found)) if action == "deploy" else tuple(found)


def _at_once(each: ServicePlay) -> ServicePlay:
    # RabbitMQ 4.0 founds a cluster when all its nodes answer: of three that are started
    # one by one, the first waits for the others, and they for it.
    if each.play.get("name") != "Restart rabbitmq services":
        return each
    return replace(each, play={**each.play, "serial": "100%"})


def deal(plays: Sequence[ServicePlay]) -> dict[str, tuple[ServicePlay, ...]]:
    """Return lane name → its plays, each lane beginning with facts and groups."""
    first = [each for each in plays if each.service in ALWAYS]
    lane_of = {name: lane.name for lane in LANES for name in lane.services}
    lanes: dict[str, list[ServicePlay]] = {lane.name: [] for lane in LANES}
    lanes[REST] = []
    for each in plays:
        if each.service not in ALWAYS:
            lanes[lane_of.get(each.service, REST)].append(each)
    return {name: (*first, *mine) for name, mine in lanes.items() if mine}


def with_own(
    lanes: Mapping[str, Sequence[ServicePlay]],
    *,
    netdev: bool,
    fakes: bool,
    standby: bool = False,
) -> dict[str, tuple[ServicePlay, ...]]:
    """Return the lanes with enos's own plays.

    They prepare the nodes, let load balancers stand by where kolla may not set what
    that takes (`standby`), set up bridges and add fake computes.
    """
    mine = {name: tuple(plays) for name, plays in lanes.items()}
    first = len([each for each in mine["base"] if each.service in ALWAYS])
    base = mine["base"]
    own = (PREPARE, FOREIGN_ADDRESS) if standby else (PREPARE,)
    mine["base"] = (*base[:first], *own, *base[first:])
    if netdev and any(e.service == "openvswitch" for e in mine.get("fabric", ())):
        mine["fabric"] = (*mine["fabric"], BRIDGES)
    if fakes:
        mine["fakes"] = (*base[:first], *FAKES)
    return mine


def joined(lanes: Mapping[str, Sequence[ServicePlay]]) -> tuple[ServicePlay, ...]:
    """Return the plays of all lanes one after another, facts and groups once."""
    ordered = [each for plays in lanes.values() for each in plays]
    first = [each for each in lanes["base"] if each.service in ALWAYS]
    return (*first, *(each for each in ordered if each.service not in ALWAYS))


def takes_ports(plays: Iterable[ServicePlay]) -> bool:
    """Tell whether plays start what the prechecks want to find stopped."""
    return any(each.service in LISTENING for each in plays)


def file_of(lane: str) -> str:
    """Return the file name of a lane's playbook."""
    return f"enos-{lane}.yml"


def needs(name: str, present: Iterable[str]) -> tuple[str, ...]:
    """Return the lanes a lane waits for, absent ones replaced by their own needs."""
    there = tuple(present)
    if name == REST:
        return tuple(other for other in there if other != REST)
    after = next(lane.after for lane in LANES if lane.name == name)
    found: dict[str, None] = {}
    for other in after:
        found |= dict.fromkeys((other,) if other in there else needs(other, there))
    return tuple(found)


def render(plays: Sequence[ServicePlay]) -> str:
    """Return the text of a playbook with these plays, grouping by their needs only."""
    used = {name for each in plays for name, _ in switches(each.play)}
    shown = [
        _only_groups(each.play, used) if each.service == "group" else each.play
        for each in plays
    ]
    return yaml.safe_dump([dict(play) for play in shown], sort_keys=False, width=1000)


def switches(play: Play) -> tuple[tuple[str, bool], ...]:
    """Return the services a play's host pattern asks for: ``(nova, on)``.

    >>> switches({"hosts": ["nova-api", "&enable_nova_True"]})
    (('nova', True),)
    """
    hosts = play.get("hosts", ())
    patterns = hosts if isinstance(hosts, list) else str(hosts).split(":")
    return tuple(
        (name, state == "True")
        for pattern in patterns
        for name, state in SWITCH.findall(str(pattern))
    )


def _part(playbook: str, play: Play) -> str:
    # Nova's databases need no Keystone: their plays may run while it is deployed.
    first = str(play.get("name", "")).startswith("Bootstrap nova")
    return f"{playbook}-bootstrap" if first else playbook


def _service(play: Play) -> str:
    roles = play.get("roles") or ()
    for role in roles:
        return str(role["role"] if isinstance(role, Mapping) else role)
    return "group" if "Group hosts" in str(play.get("name")) else str(play.get("name"))


def _switched_on(play: Play, switch: Callable[[str], bool | None]) -> bool:
    states = ((switch(f"enable_{name}"), state) for name, state in switches(play))
    return all(is_on is None or is_on == state for is_on, state in states)


def _for_upgrade_only(play: Play) -> bool:
    tasks = play.get("tasks") or ()
    return bool(tasks) and not play.get("roles") and all(_upgrades(t) for t in tasks)


def _upgrades(task: Mapping[str, Any]) -> bool:
    when = task.get("when") or ()
    conditions = when if isinstance(when, list) else [when]
    return any(UPGRADE.search(str(condition)) for condition in conditions)


def _only_groups(play: Play, used: set[str]) -> Play:
    tasks = []
    for task in play["tasks"]:
        items = task.get("with_items")
        if not items:
            tasks.append(task)
            continue
        mine = [item for item in items if _names(item) & used]
        if mine:
            tasks.append({**task, "with_items": mine})
    return {**play, "tasks": tasks}


def _names(item: str) -> set[str]:
    return set(re.findall(r"enable_([a-z_]+) \| bool", item))
