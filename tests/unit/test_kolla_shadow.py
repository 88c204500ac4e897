"""What enos changes in its copy of kolla-ansible, secrets, and what nodes can do."""

import runpy
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from enos.errors import StateError
from enos.kolla.credentials import Credentials, clouds_yaml, openrc
from enos.kolla.nodes import SCRIPT, Node, probe, read
from enos.kolla.passwords import ensure_passwords, merged, write_secret
from enos.kolla.shadow import (
    OVERLAY,
    PATCHES,
    Shadow,
    build,
    with_imports_in_sight,
)
from enos.testbed import Host, Testbed
from enos.testing.recording import Answer, Call, RecordingShell

WORKER = "module_utils/kolla_systemd_worker.py"
WAITING = """\
import os
from time import sleep

class SystemdWorker:
    def wait_for_unit(self, timeout, state='running'):
        delay = 5
        elapsed = 0

        while True:
            if self.get_unit_state() == state:
                return True
            elif elapsed > timeout:
                return False
            else:
                sleep(delay)
                elapsed += delay
"""
AWAIT_MARIADB = """\
- name: Wait for MariaDB service port liveness
  ansible.builtin.wait_for:
    port: 3306
    timeout: 60
  register: check_mariadb_port
  until: check_mariadb_port is success
  retries: 10
  delay: 6
"""


def original(place: Path) -> Path:
    """A kolla-ansible of a few files."""
    files = {
        WORKER: WAITING,
        "library/kolla_container.py": (
            "def main():\n"
            "    from ansible.module_utils.kolla_docker_worker import DockerWorker\n"
            "    from ansible.module_utils.kolla_podman_worker import PodmanWorker\n"
        ),
        "library/kolla_toolbox.py": "# theirs\n",
        "filter_plugins/address.py": "",
        "action_plugins/merge_configs.py": "",
        "site.yml": "[]\n",
        "group_vars/all/nova.yml": "enable_nova: true\n",
        "roles/nova/tasks/main.yml": "[]\n",
        "roles/nova-cell/tasks/wait_discover_computes.yml": "# theirs\n",
        "roles/nova-cell/tasks/deploy.yml": "# theirs\n",
        "roles/module-load/tasks/main.yml": "# theirs\n",
        "roles/service-ks-register/tasks/main.yml": "# theirs\n",
        "roles/service-ks-register/defaults/main.yml": "service_ks_register_delay: 1\n",
        "roles/mariadb/tasks/lookup_cluster.yml": "        timeout: 10\n",
        "roles/mariadb/tasks/restart_services.yml": AWAIT_MARIADB,
    }
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place


@pytest.fixture(name="copies")
def _copies(tmp_path: Path) -> tuple[Path, Path]:
    return original(tmp_path / "original"), tmp_path / "copy"


def test_the_installed_kolla_ansible_is_never_changed(
    copies: tuple[Path, Path],
) -> None:
    theirs, ours = copies
    before = {p: p.read_bytes() for p in theirs.rglob("*") if p.is_file()}
    build(Shadow(playbooks={"enos-base.yml": "[]\n"}), theirs, ours)
    assert {p: p.read_bytes() for p in theirs.rglob("*") if p.is_file()} == before
    assert (ours / "enos-base.yml").read_text(encoding="utf-8") == "[]\n"


def test_waits_are_shortened_in_the_copy(copies: tuple[Path, Path]) -> None:
    theirs, ours = copies
    build(Shadow(playbooks={}), theirs, ours)
    assert "delay = 0.2" in (ours / WORKER).read_text(encoding="utf-8")
    lookup = ours / "roles/mariadb/tasks/lookup_cluster.yml"
    assert "mariadb_cluster_exists" in lookup.read_text(encoding="utf-8")


SLOW_ENGINE = """#!/bin/sh
echo "$*" >>"$0.asked"
test "$1 $2 $4" = 'inspect --format toolbox' || exit 1
test "$3" = '{{.State.Running}}' || exit 1
test "$(wc -l <"$0.asked")" -gt 2 && echo true || echo false
"""


@pytest.mark.usefixtures("processes")
def test_a_unit_is_waited_for_until_its_container_runs(
    copies: tuple[Path, Path],
) -> None:
    theirs, ours = copies
    build(Shadow(playbooks={}), theirs, ours)
    engine = ours / "engine"
    engine.write_text(SLOW_ENGINE)
    engine.chmod(0o755)
    module = runpy.run_path(str(ours / WORKER))
    worker = module["SystemdWorker"]()
    worker.container_dict = {"engine": engine, "name": "toolbox"}
    asked = engine.with_suffix(".asked")

    worker.get_unit_state = lambda: "running"
    assert worker.wait_for_unit(timeout=30)
    assert len(asked.read_text().splitlines()) == 3
    worker.get_unit_state = lambda: "dead"
    assert worker.wait_for_unit(timeout=30, state="dead")
    assert not worker.wait_for_unit(timeout=0.1)
    assert len(asked.read_text().splitlines()) == 3, "no unit, nothing to ask"


def test_mariadb_is_asked_more_often_and_waited_for_as_long(
    copies: tuple[Path, Path],
) -> None:
    theirs, ours = copies
    build(Shadow(playbooks={}), theirs, ours)
    file = ours / "roles/mariadb/tasks/restart_services.yml"
    [task] = yaml.safe_load(file.read_text(encoding="utf-8"))
    timeout = task["ansible.builtin.wait_for"]["timeout"]
    assert task["delay"] == 1
    assert task["retries"] * task["delay"] == 10 * 6
    assert task["retries"] * (timeout + task["delay"]) == 10 * (60 + 6)


def test_keystone_is_waited_for_as_long_as_kolla_ansible_does() -> None:
    file = OVERLAY / "roles/service-ks-register/tasks/main.yml"
    [task] = yaml.safe_load(file.read_text(encoding="utf-8"))
    theirs = {"service_ks_register_retries": 5, "service_ks_register_delay": 10}
    times, pause = (
        int(jinja2.Template(task[key]).render(theirs)) for key in ("retries", "delay")
    )
    assert (times, pause) == (25, 2)


def test_every_patch_says_why() -> None:
    assert all(patch.why and patch.old != patch.new for patch in PATCHES)


def test_roles_are_replaced_only_where_that_is_needed(
    copies: tuple[Path, Path],
) -> None:
    theirs, ours = copies
    load = ours / "roles/module-load/tasks/main.yml"
    build(Shadow(playbooks={}), theirs, ours)
    assert load.read_text(encoding="utf-8") == "# theirs\n"
    build(Shadow(playbooks={}, without_modules=True), theirs, ours)
    assert load.read_text(encoding="utf-8") != "# theirs\n"


def test_a_replaced_role_keeps_the_release_s_own_defaults(
    copies: tuple[Path, Path],
) -> None:
    theirs, ours = copies
    build(Shadow(playbooks={}), theirs, ours)
    role = ours / "roles/service-ks-register"
    assert "enos.python" in (role / "tasks/main.yml").read_text(encoding="utf-8")
    assert (role / "defaults/main.yml").exists()


def test_a_replaced_file_of_a_role_stays_beside_ours(
    copies: tuple[Path, Path],
) -> None:
    theirs, ours = copies
    build(Shadow(playbooks={}), theirs, ours)
    tasks = ours / "roles/nova-cell/tasks"
    kept = tasks / "wait_discover_computes-kolla.yml"
    assert kept.read_text(encoding="utf-8") == "# theirs\n"
    assert "discover.py" in (tasks / "wait_discover_computes.yml").read_text("utf-8")
    assert (tasks / "deploy.yml").read_text(encoding="utf-8") == "# theirs\n"


def test_only_the_worker_of_the_engine_in_use_is_imported_in_sight() -> None:
    inner = (
        "def main():\n"
        "    from ansible.module_utils.kolla_docker_worker import DockerWorker\n"
        "    from ansible.module_utils.kolla_podman_worker import PodmanWorker\n"
    )
    changed = with_imports_in_sight(inner, "docker")
    assert changed.startswith(inner)
    assert "import ansible.module_utils.kolla_docker_worker" in changed
    assert "import ansible.module_utils.kolla_podman_worker" not in changed
    compile(changed, "kolla_container", "exec")


@given(st.text(alphabet="abc \n"))
def test_a_module_without_inner_imports_is_left_as_it_is(text: str) -> None:
    assert with_imports_in_sight(text, "docker") == text


def genpwd(call: Call) -> Answer:
    file = Path(call.argv[-1])
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    made = {key: value or f"made-{key}" for key, value in values.items()}
    file.write_text(yaml.safe_dump(made), encoding="utf-8")
    return Answer()


def tools(place: Path, *keys: str) -> Path:
    examples = place / "share/kolla-ansible/etc_examples/kolla"
    examples.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{key}:\n" for key in keys)
    (examples / "passwords.yml").write_text(text, encoding="utf-8")
    return place / "bin"


def test_passwords_are_made_once_and_readable_by_their_owner_only(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    shell.script("*kolla-genpwd*", genpwd)
    place = tmp_path / "kolla" / "passwords.yml"
    first = ensure_passwords(place, tools=tools(tmp_path, "a", "b"), shell=shell)
    again = ensure_passwords(place, tools=tools(tmp_path, "a", "b"), shell=shell)
    assert first == again == {"a": "made-a", "b": "made-b"}
    assert len(shell.argvs) == 1
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [entry.name for entry in place.parent.iterdir()] == ["passwords.yml"]


def test_a_newer_release_only_adds_the_passwords_it_asks_for(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.script("*kolla-genpwd*", genpwd)
    place = tmp_path / "passwords.yml"
    write_secret(place, "a: kept\n")
    made = ensure_passwords(place, tools=tools(tmp_path, "a", "new"), shell=shell)
    assert made == {"a": "kept", "new": "made-new"}


def test_passwords_that_cannot_be_read_are_not_replaced(tmp_path: Path) -> None:
    place = tmp_path / "passwords.yml"
    place.write_text("a: [", encoding="utf-8")
    with pytest.raises(StateError, match="cannot be read"):
        ensure_passwords(place, tools=tools(tmp_path, "a"), shell=RecordingShell())
    assert place.read_text(encoding="utf-8") == "a: ["


@given(
    st.dictionaries(st.text("ab", min_size=1), st.none()),
    st.dictionaries(st.text("ab", min_size=1), st.none() | st.text()),
)
def test_merging_keeps_every_known_password(
    skeleton: Mapping[str, None], kept: Mapping[str, str | None]
) -> None:
    both = merged(skeleton, kept)
    assert set(skeleton) <= set(both)
    assert all(both[key] == value for key, value in kept.items() if value is not None)


def test_credentials_read_back_as_they_were_given() -> None:
    account = Credentials(url="http://10.0.0.2:5000/v3", password="it's a 'secret'")
    cloud = yaml.safe_load(clouds_yaml(account))["clouds"]["enos"]
    assert cloud["auth"]["password"] == account.password
    assert cloud["auth"]["auth_url"] == account.url
    assert "cacert" not in cloud
    lines = dict(
        line.removeprefix("export ").split("=", 1)
        for line in openrc(account).splitlines()
        if line.startswith("export ")
    )
    assert lines["OS_AUTH_URL"] == account.url
    assert lines["OS_PASSWORD"] == "'it'\"'\"'s a '\"'\"'secret'\"'\"''"


CONFINED = """\
capabilities=000001fffeffffff
modules=no
sysctl=no
openvswitch=no
kvm=yes
cpus=2
docker=/usr/bin/docker
container=yes
distribution=debian 13
kernel=6.18.44
"""


def test_what_a_node_can_do_is_read_from_its_answer() -> None:
    assert read(CONFINED) == Node(
        limits=False,
        modules=False,
        sysctl=False,
        openvswitch=False,
        kvm=True,
        container=True,
        cpus=2,
        docker=True,
        distribution="debian 13",
        kernel="6.18.44",
    )
    assert read("capabilities=000001ffffffffff\n").limits


def test_every_node_is_asked_with_the_same_script() -> None:
    hosts = tuple(Host(name=name, address=f"10.0.0.{name}") for name in "12")
    shell = RecordingShell()
    shell.on("ssh *", stdout=CONFINED)
    found = probe(Testbed(provider="paper", hosts=hosts, networks=()), shell)
    assert set(found) == {"1", "2"}
    assert {call.stdin for call in shell.calls} == {SCRIPT}


@dataclass
class Keystone:
    """An identity service in memory, as openstacksdk shows one."""

    kept: dict[str, list[SimpleNamespace]] = field(
        default_factory=lambda: {
            "service": [],
            "endpoint": [],
            "project": [],
            "user": [],
            "role": [SimpleNamespace(id="role-admin", name="admin")],
        }
    )
    grants: set[tuple[str, ...]] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., object]:
        verb, _, kind = name.partition("_")
        if name.endswith("s") and name[:-1] in self.kept:
            return lambda **query: [
                entry
                for entry in self.kept[name[:-1]]
                if query.get("service_id") in {None, getattr(entry, "service_id", None)}
            ]
        if verb == "create":
            return lambda **values: self._create(kind, values)
        if verb == "update":
            return lambda entry, **values: self._update(kind, entry, values)
        raise AttributeError(name)

    def find_domain(self, name: str, **_: object) -> SimpleNamespace:
        return SimpleNamespace(id=f"domain-{name}")

    def assign_project_role_to_user(self, project: str, user: str, role: str) -> None:
        self.grants.add((project, user, role))

    def _create(self, kind: str, values: Mapping[str, Any]) -> SimpleNamespace:
        self.calls.append(f"create {kind}")
        number = len(self.kept[kind])
        entry = SimpleNamespace(id=f"{kind}-{number}", **values)
        self.kept[kind].append(entry)
        return entry

    def _update(
        self, kind: str, entry: SimpleNamespace, values: Mapping[str, Any]
    ) -> None:
        self.calls.append(f"update {kind}")
        vars(entry).update(values)


GLANCE = {
    "domain": "default",
    "endpoint_region": "RegionOne",
    "services": [
        {
            "name": "glance",
            "type": "image",
            "endpoints": [
                {"interface": "internal", "url": "http://10.0.0.2:9292"},
                {"interface": "public", "url": "http://10.0.0.2:9292"},
            ],
        },
        {"name": "off", "type": "off", "enabled": False, "endpoints": []},
    ],
    "users": [
        {"user": "glance", "project": "service", "role": "admin", "password": "one"}
    ],
    "roles": ["reader"],
    "user_roles": [],
    "update_passwords": True,
}


def register(keystone: Keystone, request: Mapping[str, Any]) -> Iterable[str]:
    program = OVERLAY / "roles/service-ks-register/files/register.py"
    done: list[str] = runpy.run_path(str(program))["Registration"](
        keystone, request
    ).run()
    return done


def test_a_service_is_registered_with_all_that_belongs_to_it() -> None:
    keystone = Keystone()
    register(keystone, GLANCE)
    assert [each.name for each in keystone.kept["service"]] == ["glance"]
    assert {each.interface for each in keystone.kept["endpoint"]} == {
        "internal",
        "public",
    }
    assert keystone.grants == {("project-0", "user-0", "role-admin")}
    assert {each.name for each in keystone.kept["role"]} == {"admin", "reader"}


def test_registering_again_only_sets_the_password_again() -> None:
    keystone = Keystone()
    register(keystone, GLANCE)
    keystone.calls.clear()
    assert list(register(keystone, GLANCE)) == ["password of glance"]
    assert keystone.calls == ["update user"]
    quiet = {**GLANCE, "update_passwords": False}
    assert not list(register(keystone, quiet))


def test_an_end_point_that_moved_is_corrected() -> None:
    keystone = Keystone()
    register(keystone, {**GLANCE, "update_passwords": False})
    endpoints = [{"interface": "internal", "url": "http://10.0.0.9:9292"}]
    moved = [{**GLANCE["services"][0], "endpoints": endpoints}]  # type: ignore[index]
    request = {**GLANCE, "services": moved, "update_passwords": False}
    assert list(register(keystone, request)) == ["internal http://10.0.0.9:9292"]
