"""Which playbook each of kolla-ansible's commands runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from enos.kolla.inventory import parse_multinode
from enos.kolla.nodes import Node
from enos.kolla.plan import Deployment, Installed, Place, Wish, plan_deployment
from enos.kolla.releases import release
from enos.kolla.site import read_site
from enos.kolla.subcommands import argv
from enos.testbed import Host, Testbed

COPY = Path("/lab/kolla/ansible")
SITE = "- {name: Apply role kolla_toolbox, hosts: all, roles: [{role: kolla_toolbox}]}"
ABLE = Node(limits=True, modules=True, sysctl=True, openvswitch=True, kvm=True, cpus=4)
NEW = (
    *("bifrost.yml", "certificates.yml", "destroy.yml", "gather-facts.yml"),
    *("kolla-host.yml", "mariadb-backup.yml", "mariadb-recovery.yml", "mariadb.yml"),
    *("nova-libvirt-cleanup.yml", "prune-images.yml", "rabbitmq-reset-state.yml"),
    "site.yml",
)
OLD = (*NEW[:5], "mariadb_backup.yml", "mariadb_recovery.yml", *NEW[7:])


def plan(playbooks: tuple[str, ...] = NEW) -> Deployment:
    machine = Host(name="control-1", address="10.0.0.2", roles=("control",))
    return plan_deployment(
        Wish(session="s", release=release("2026.1")),
        testbed=Testbed(provider="paper", hosts=(machine,), networks=()),
        nodes={"control-1": ABLE},
        installed=Installed(
            bin=Path("/tool/bin"),
            ansible=Path("/tool/ansible"),
            groups=parse_multinode("[control]\n[network]\n[compute]\n"),
            plays=read_site(SITE, lambda _: ""),
            defaults={"enable_neutron": False},
            playbooks=playbooks,
        ),
        place=Place(root=COPY.parent, sockets=Path("/tmp/s")),
    )


def playbook(*words: str, deployment: Deployment | None = None) -> str:
    told = argv(deployment or plan(), words)
    return told[told.index("--playbook") + 1]


@pytest.mark.parametrize("command", ["deploy", "reconfigure", "pull", "upgrade"])
def test_what_enos_deploys_is_run_with_its_own_plays(command: str) -> None:
    assert playbook(command) == str(COPY / "enos-site.yml")


def test_the_prechecks_have_the_plays_of_prechecks() -> None:
    assert playbook("prechecks") == str(COPY / "enos-prechecks.yml")


@pytest.mark.parametrize(
    "command", ["stop", "genconfig", "validate-config", "deploy-containers", "check"]
)
def test_what_has_no_playbook_of_its_own_runs_kolla_s_site_in_the_copy(
    command: str,
) -> None:
    assert playbook(command) == str(COPY / "site.yml")


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("mariadb-recovery", "mariadb-recovery.yml"),
        ("bootstrap-servers", "kolla-host.yml"),
        ("upgrade-bifrost", "bifrost.yml"),
        ("rabbitmq-reset-state", "rabbitmq-reset-state.yml"),
    ],
)
def test_what_has_one_runs_that_of_the_copy(command: str, file: str) -> None:
    assert playbook(command) == str(COPY / file)


@pytest.mark.parametrize("command", ["mariadb-backup", "mariadb-recovery"])
def test_older_releases_write_names_with_underscores(command: str) -> None:
    old = plan(OLD)
    file = playbook(command, deployment=old)
    assert file == str(COPY / f"{command.replace('-', '_')}.yml")


@pytest.mark.parametrize("command", ["destroy", "prune-images"])
def test_what_finds_programs_beside_kolla_s_playbooks_runs_those(command: str) -> None:
    assert "--playbook" not in argv(plan(), (command,))


@pytest.mark.parametrize(
    "given", [("--playbook", "mine.yml"), ("--playbook=mine.yml",), ("-pmine.yml",)]
)
def test_a_playbook_of_the_user_s_is_the_one_that_is_run(
    given: tuple[str, ...],
) -> None:
    told = argv(plan(), ("deploy", *given))
    assert told[-len(given) :] == given
    assert not [word for word in told if str(COPY) in word]


def test_openstack_is_removed_where_the_user_says() -> None:
    assert argv(plan(), ("destroy",))[-2:] == ("--limit", "!localhost")
    told = argv(plan(), ("destroy", "--limit", "compute-1"))
    assert told.count("--limit") == 1
    assert "--limit" not in argv(plan(), ("destroy", "-l", "compute-1"))
    assert "--limit" not in argv(plan(), ("stop",))


def test_options_follow_the_command_that_takes_any() -> None:
    told = argv(plan(), ("stop", "--ignore-missing"))
    assert told[:3] == ("/tool/bin/kolla-ansible", "stop", "--configdir")
    assert told[-1] == "--ignore-missing"
    assert argv(plan(), ("install-deps",))[1:] == ("install-deps",)


def test_the_copy_is_where_the_experiment_is() -> None:
    there = replace(plan(), place=Place(root=Path("/else"), sockets=Path("/tmp/s")))
    assert playbook("stop", deployment=there) == "/else/ansible/site.yml"
