"""A copy of kolla-ansible's `ansible/` folder, mostly links, that enos may change.

kolla-ansible itself is never touched. What is changed, and why, is told as decisions:

- `PATCHES`: waits that are longer than what they wait for, each with its reason.
- `kolla_toolbox`: runs a module in the container directly, not through a new Ansible.
- `library/*.py`: imports within functions are repeated at the end of the file, since
  mitogen sends along only what a module imports at its top level.
- role `service-ks-register`: registers a service with one login to Keystone.
- role `nova-cell`: waits for compute services with one program instead of many.
- role `module-load`: does nothing, only where the kernel has no loadable modules.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OVERLAY = Path(__file__).parent / "overlay"
INNER_IMPORT = re.compile(
    r"^\s+from (ansible\.module_utils\.kolla_\w+) import", re.MULTILINE
)
FAKES = "enos_fake_computes"
CELL = "nova-cell"
REPLACED = frozenset({"service-ks-register"})
COPIED = ("action_plugins", "filter_plugins", "library", "module_utils")
"""Folders of plug-ins, which Ansible looks for beside the real path of a playbook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A text of kolla-ansible's that is replaced wherever it stands in a file.

    Attributes:
        file: path below kolla-ansible's `ansible/` folder.
        why: the reason, for the record.

    """

    file: str
    old: str
    new: str
    why: str


AWAIT_RPC = """\
- name: Wait for neutron-rpc-server
  listen: Restart neutron-rpc-server container
  become: true
  command:
    argv:
      - "{{ kolla_container_engine }}"
      - exec
      - neutron_rpc_server
      - healthcheck_port
      - neutron-rpc-server
      - "{{ om_rpc_port }}"
  register: enos_neutron_rpc_server
  until: enos_neutron_rpc_server.rc == 0
  retries: 60
  delay: 1
  changed_when: false
  failed_when: false
"""
"""Runs after the handler of that name, before those that start agents."""

CONTAINER_RUNS = """(
                state != 'running' or 0 == os.system(
                    'test true = '
                    '"$({engine} inspect --format {{{{.State.Running}}}} {name})"'
                    .format(**self.container_dict)))"""
"""The unit's program is `docker start`: that it runs does not say that it is done."""

PATIENCE = (
    (
        "  retries: 10\n  delay: 6\n",
        "  retries: 60\n  delay: 1\n",
        "MariaDB is there within a few seconds, or within the minute kolla waits",
    ),
    (
        "    timeout: 60\n",
        "    timeout: 10\n",
        "six times the attempts are to last no longer where no database ever answers",
    ),
)
"""What waits for MariaDB: text of kolla-ansible's, ours, and why."""

PATCHES: tuple[Patch, ...] = (
    Patch(
        file="module_utils/kolla_systemd_worker.py",
        old="        delay = 5\n",
        new="        delay = 0.2\n",
        why="a unit runs milliseconds after its start: 5 s were slept per container",
    ),
    Patch(
        file="module_utils/kolla_systemd_worker.py",
        old="            if self.get_unit_state() == state:\n",
        new=f"            if self.get_unit_state() == state and {CONTAINER_RUNS}:\n",
        why="a unit runs as soon as its container is asked to start: who executes a"
        " program in it then finds none, unless 5 s were slept",
    ),
    Patch(
        file="roles/mariadb/tasks/lookup_cluster.yml",
        old="        timeout: 10\n",
        new='        timeout: "{{ 10 if mariadb_cluster_exists | bool else 1 }}"\n',
        why="no database answers on a volume made a moment ago: 10 s were waited",
    ),
    *(
        Patch(file=file, old=old, new=new, why=why)
        for file in (
            "roles/mariadb/handlers/main.yml",
            "roles/mariadb/tasks/restart_services.yml",
        )
        for old, new, why in PATIENCE
    ),
    Patch(
        file="roles/nova/tasks/refresh_scheduler_cell_cache.yml",
        old="kill -HUP `{{ kolla_container_engine }} inspect -f "
        "'{% raw %}{{ .State.Pid }}{% endraw %}' nova_scheduler`",
        new="{{ kolla_container_engine }} restart --time 1 nova_scheduler",
        why="a scheduler on native threads never comes back from SIGHUP: it waits for"
        " its worker, and no guest is scheduled for minutes",
    ),
    Patch(
        file="roles/nova-cell/tasks/config.yml",
        old="      register: hypervisors\n",
        new="      register: hypervisors\n"
        "      until: hypervisors is success\n      retries: 30\n      delay: 2\n",
        why="nova-api was started just before: a load balancer does not know it yet",
    ),
    Patch(
        file="roles/neutron/handlers/main.yml",
        old="- name: Restart neutron-periodic-worker container\n",
        new=f"{AWAIT_RPC}\n- name: Restart neutron-periodic-worker container\n",
        why="an agent that asks before neutron-rpc-server listens waits a minute",
    ),
)
"""Each is tried; a release in which the text is not there is left as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """What the copy differs in.

    Attributes:
        playbooks: file name → text, added to kolla-ansible's own.
        without_modules: replace the role that loads kernel modules.
        engine: ``docker`` or ``podman``, what runs the containers.

    """

    playbooks: Mapping[str, str]
    without_modules: bool = False
    engine: str = "docker"


def with_imports_in_sight(module: str, engine: str) -> str:
    """Return a module of kolla's with its inner imports of module_utils repeated.

    Where they stand nothing executes them: the module has ended by then. Only those
    for one container engine: mitogen imports them all at once, and the other engine's
    library is not there.
    """
    names = dict.fromkeys(INNER_IMPORT.findall(module))
    inner = [name for name in names if f"_{engine}_" in name]
    if not inner:
        return module
    lines = "".join(f"    import {name}  # noqa\n" for name in inner)
    return f"{module}\ntry:\n{lines}except ImportError:\n    pass\n"


def build(shadow: Shadow, original: Path, place: Path) -> None:
    """Make the copy of `original` in `place`, whatever was there before."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for entry in original.iterdir():
        if entry.name in COPIED:
            shutil.copytree(entry, place / entry.name)
        elif entry.suffix == ".yml":
            shutil.copy2(entry, place / entry.name)
        elif entry.name != "roles":
            (place / entry.name).symlink_to(entry)
    _roles(shadow, original / "roles", place / "roles")
    _patch(shadow, place)
    shutil.copy2(OVERLAY / "library" / "kolla_toolbox.py", place / "library")
    for name, text in shadow.playbooks.items():
        (place / name).write_text(text, encoding="utf-8")


def _roles(shadow: Shadow, original: Path, place: Path) -> None:
    place.mkdir()
    shutil.copytree(OVERLAY / "roles" / FAKES, place / FAKES)
    replaced = set(REPLACED)
    replaced |= {"module-load"} if shadow.without_modules else set()
    patched = {Path(p.file).parts[1] for p in PATCHES if p.file.startswith("roles/")}
    for role in original.iterdir():
        if role.name == CELL:
            _overlay(role, OVERLAY / "roles" / CELL, place / CELL)
        elif role.name in patched:
            shutil.copytree(role, place / role.name)
        elif role.name in replaced:
            shutil.copytree(OVERLAY / "roles" / role.name, place / role.name)
            if (role / "defaults").is_dir():
                (place / role.name / "defaults").symlink_to(role / "defaults")
        else:
            (place / role.name).symlink_to(role)


def _overlay(role: Path, over: Path, place: Path) -> None:
    shutil.copytree(role, place)
    for file in over.rglob("*.yml"):
        theirs = place / file.relative_to(over)
        if theirs.exists():
            theirs.rename(theirs.with_stem(f"{theirs.stem}-kolla"))
    shutil.copytree(over, place, dirs_exist_ok=True)


def _patch(shadow: Shadow, place: Path) -> None:
    for patch in PATCHES:
        file = place / patch.file
        if file.exists():
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
    for module in (place / "library").glob("*.py"):
        text = module.read_text(encoding="utf-8")
        changed = with_imports_in_sight(text, shadow.engine)
        module.write_text(changed, encoding="utf-8")
