"""The real kolla-ansible of each release: it is read, copied, changed and parsed."""

import json
import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from enos.kolla import deployment as kolla
from enos.kolla import subcommands
from enos.kolla.nodes import Node
from enos.kolla.plan import Deployment, Place, Wish, plan_deployment
from enos.kolla.releases import DEFAULT, release
from enos.kolla.shadow import OVERLAY, PATCHES
from enos.process import LocalShell
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing.recording import RecordingProgress
from enos.toolenvs import ToolEnvironments

RELEASES = (
    pytest.param("2025.1", marks=pytest.mark.e2e),
    pytest.param("2025.2", marks=pytest.mark.e2e),
    "2026.1",
)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "enos"
COMMAND = re.compile(r"^([a-z-]+) = kolla_ansible\.cli\.commands:(\w+)$", re.MULTILINE)
CHOSEN = re.compile(r"_choose_playbooks\(\s*parsed_args,?\s*(?:\"([\w-]+)\")?\s*\)")
SPAN = re.MULTILINE | re.DOTALL
NAMED = re.compile(r"module_name: \"?([a-z_.]+)\"?$", re.MULTILINE)
ENGINE = """\
#!/bin/sh
# docker exec --interactive kolla_toolbox /opt/ansible/bin/python3 -c PROGRAM
shift 4
exec {python} "$@"
"""
CONFINED = Node(limits=False, modules=False, sysctl=False, openvswitch=False, kvm=False)


def host(number: int, name: str, *roles: str) -> Host:
    nics = tuple(
        Nic(device=f"eth{index}", network=network, addresses=addresses)
        for index, (network, addresses) in enumerate(
            (
                ("api", (f"10.0.0.{number}/24",)),
                ("external", ()),
                ("tunnel", (f"10.0.2.{number}/24",)),
            )
        )
    )
    return Host(name=name, address=f"10.0.0.{number}", roles=roles, nics=nics)


def lab_of(controllers: int) -> Testbed:
    pool = ("10.0.0.128", "10.0.0.200")
    names = [f"control-{number}" for number in range(1, controllers + 1)]
    return Testbed(
        provider="paper",
        hosts=(
            *(host(n, name, "control", "network") for n, name in enumerate(names, 3)),
            host(2, "compute-1", "compute"),
        ),
        networks=tuple(
            Network(name=name, cidr=f"10.0.{number}.0/24", roles=(name,), pool=pool)
            for number, name in enumerate(("api", "external", "tunnel"))
        ),
    )


def environments() -> ToolEnvironments:
    shell = LocalShell(session="test-kolla")
    return ToolEnvironments(cache=CACHE, shell=shell, progress=RecordingProgress())


def written(name: str, place: Path, *, controllers: int = 1) -> Deployment:
    tools, machines = environments(), lab_of(controllers)
    wish = Wish(
        session="test", release=release(name), virt="fake", fake_computes=3, kolla={}
    )
    deployment = plan_deployment(
        wish,
        testbed=machines,
        nodes={each.name: CONFINED for each in machines.hosts},
        installed=kolla.read_installed(tools.ensure(wish.release.lock)),
        place=Place(root=place / "kolla", sockets=place / "s"),
    )
    kolla.write(deployment, shell=LocalShell(session="test-kolla"))
    return deployment


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RELEASES)
def test_ansible_accepts_every_lane_over_the_real_kolla_ansible(
    name: str, tmp_path: Path
) -> None:
    deployment = written(name, tmp_path)
    lanes = kolla.plan_runs(deployment, checks=True)
    for lane in lanes:
        argv = [*lane.run.argv[:-1], "--syntax-check", lane.run.argv[-1]]
        LocalShell(session="test-kolla").run(argv, env=lane.run.env)
    assert {lane.name for lane in lanes} == {
        *("prechecks", "base", "database", "fabric", "keystone", "nova-databases"),
        *("glance", "nova", "neutron", "fakes"),
    }


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RELEASES)
def test_ansible_accepts_the_load_balancers_of_several_controllers(
    name: str, tmp_path: Path
) -> None:
    deployment = written(name, tmp_path, controllers=3)
    [base] = [lane for lane in kolla.plan_runs(deployment) if lane.name == "base"]
    playbook = Path(base.run.argv[-1]).read_text(encoding="utf-8")
    assert "ip_nonlocal_bind=1" in playbook
    assert "Apply role loadbalancer" in playbook
    argv = [*base.run.argv[:-1], "--syntax-check", base.run.argv[-1]]
    LocalShell(session="test-kolla").run(argv, env=base.run.env)


@pytest.mark.integration
@pytest.mark.parametrize("name", RELEASES)
def test_each_command_runs_the_playbook_kolla_ansible_says(name: str) -> None:
    programs = environments().ensure(release(name).lock)
    installed = kolla.read_installed(programs)
    (packages,) = programs.parent.glob("lib/python3*/site-packages")
    source = (packages / "kolla_ansible/cli/commands.py").read_text(encoding="utf-8")
    theirs = dict(re.findall(r"^class (\w+)(.*?)(?=^class|\Z)", source, SPAN))
    (told,) = packages.glob("kolla_ansible-*.dist-info/entry_points.txt")
    known = COMMAND.findall(told.read_text(encoding="utf-8"))
    assert len(known) > 20
    for command, kind in known:
        if command in subcommands.WITHOUT_OPTIONS:
            continue
        chosen = CHOSEN.search(theirs[kind])
        assert chosen, command
        file = f"{chosen[1] or 'site'}.yml"
        ours = subcommands.playbook(command, installed.playbooks)
        assert ours == file or (file == "site.yml" and ours.startswith("enos-"))
        assert file in installed.playbooks


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RELEASES)
def test_every_patch_finds_the_text_it_is_for(name: str, tmp_path: Path) -> None:
    deployment = written(name, tmp_path)
    for patch in PATCHES:
        theirs = deployment.installed.ansible / patch.file
        if name != DEFAULT and patch.old not in theirs.read_text(encoding="utf-8"):
            continue  # a task that older releases do not have
        changed = (deployment.place.shadow / patch.file).read_text(encoding="utf-8")
        assert patch.new in changed, patch.file
        assert patch.old not in changed.replace(patch.new, ""), patch.file


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RELEASES)
def test_the_toolbox_finds_every_module_that_roles_name(name: str) -> None:
    programs = environments().ensure(release(name).lock)
    installed = kolla.read_installed(programs)
    named = {
        module
        for file in (installed.ansible / "roles").rglob("*.yml")
        for module in NAMED.findall(file.read_text(encoding="utf-8"))
    }
    assert {"mysql_db", "os_nova_host_aggregate", "uri"} <= named

    module = runpy.run_path(str(OVERLAY / "library" / "kolla_toolbox.py"))
    paths = {one: module["module_path"](one) for one in named}
    (packages,) = programs.parent.glob("lib/python3*/site-packages")
    lost = {
        one
        for one, path in paths.items()
        if not (packages / path.replace(".", "/")).with_suffix(".py").exists()
    }
    # The images take that collection from an older `ansible` (images/lock).
    assert lost == {"openvswitch_bridge", "openvswitch_db", "openvswitch_port"}


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RELEASES)
@pytest.mark.parametrize(
    ("module", "arguments", "told"),
    [
        ("getent", {"database": "passwd", "key": "root"}, {"getent_passwd"}),
        (
            "enos.python",
            {
                "source": "import json; print(json.dumps(request))",
                "request": {"seen": "here"},
            },
            {"seen"},
        ),
    ],
)
def test_the_toolbox_runs_modules_and_programs(
    name: str, module: str, arguments: dict[str, object], told: set[str], tmp_path: Path
) -> None:
    programs = environments().ensure(release(name).lock)
    engine = tmp_path / "docker"
    engine.write_text(ENGINE.format(python=programs / "python"))
    engine.chmod(0o755)
    asked = {
        "container_engine": "docker",
        "module_name": module,
        "module_args": arguments,
    }
    done = subprocess.run(
        [
            *(programs / "ansible", "localhost", "--connection", "local", "--one-line"),
            *("--module-path", OVERLAY / "library", "-m", "kolla_toolbox"),
            *("--args", json.dumps(asked)),
        ],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.partition("=>")[2])
    facts = result.get("ansible_facts", {})
    assert told <= {*result, *facts}


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RELEASES)
def test_kolla_merges_what_is_said_of_a_database_host_by_host(name: str) -> None:
    installed = kolla.read_installed(environments().ensure(release(name).lock))
    text = (installed.ansible / "roles/mariadb/tasks/config.yml").read_text("utf-8")
    assert "{{ node_custom_config }}/mariadb/{{ inventory_hostname }}/galera" in text
