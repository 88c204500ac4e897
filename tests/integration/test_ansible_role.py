"""The role that prepares a machine, played by the real Ansible on files of a folder.

What would change this machine itself (packages, services) is only told; everything
else is done, below a temporary folder.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from enos.ansible import configuration
from enos.kolla.releases import DEFAULT, release
from enos.process import LocalShell
from enos.testing import RecordingProgress
from enos.toolenvs import ToolEnvironments

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
ROLE = Path(configuration.__file__).parent / "roles" / "enos_node"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "enos"
TOLD = ("ansible.builtin.apt", "ansible.builtin.service")
# Two hosts, both this machine: one of Debian's family, one that has no Docker.
PLAY = """\
- hosts: baremetal
  gather_facts: false
  vars:
    docker_registry: 10.0.0.9:5000
    docker_registry_insecure: "yes"
    ansible_python_interpreter: /usr/bin/python3
  pre_tasks:
    - ansible.builtin.set_fact: # cacheable: as the facts that were gathered
        cacheable: true
        os_family: "{{ own.os_family }}"
        distribution: "{{ own.distribution }}"
        hostname: "{{ own.hostname }}"
  roles: [enos_node]
"""
INVENTORY = """\
[baremetal]
control-1 ansible_connection=local enos_api_address=10.0.0.1
rocky-1 ansible_connection=local enos_api_address=10.0.0.2
[network]
"""
LOOK = """\
#!/bin/sh
printf 'loopback\\nno-docker-module\\nno-docker\\n'
"""
FACTS = {
    "control-1": {"os_family": "Debian", "distribution": "Debian", "hostname": "srv7"},
    "rocky-1": {"os_family": "RedHat", "distribution": "Rocky", "hostname": "rocky-1"},
}


def moved(value: Any, root: Path) -> Any:  # noqa: ANN401 - a tree of YAML
    """Return tasks that work below a folder, as whoever runs them."""
    if isinstance(value, str):
        return re.sub("/(?=etc/|var/lib/enos)", f"{root}/", value)
    if isinstance(value, list):
        return [moved(one, root) for one in value]
    if not isinstance(value, dict):
        return value
    task = {key: moved(one, root) for key, one in value.items() if key != "become"}
    for module in TOLD:
        if module in task:
            task["ansible.builtin.debug"] = {"msg": {module: task.pop(module)}}
    if "ansible.builtin.dnf" in task:
        names = task.pop("ansible.builtin.dnf")["name"]
        task["ansible.builtin.fail"] = {"msg": f"dnf has no {names}"}
    return task


def lay_out(root: Path) -> None:
    role = root / "roles" / "enos_node"
    for name in ("tasks", "files"):
        (role / name).mkdir(parents=True)
    for name in ("main", "install", "registry"):
        tasks = yaml.safe_load((ROLE / "tasks" / f"{name}.yml").read_text())
        text = yaml.safe_dump(moved(tasks, root), sort_keys=False)
        (role / "tasks" / f"{name}.yml").write_text(text)
    (role / "files" / "look.sh").write_text(LOOK)
    (root / "inventory").write_text(INVENTORY)
    (root / "play.yml").write_text(PLAY)
    for host, facts in FACTS.items():
        file = root / "host_vars" / f"{host}.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"own": facts}))
    (root / "etc" / "docker").mkdir(parents=True)
    (root / "etc" / "docker" / "daemon.json").write_text('{"debug": true}')
    (root / "etc" / "hosts").write_text(
        "127.0.0.1 localhost\n127.0.1.1 srv7.lab srv7\n"
    )


def play(root: Path, *arguments: str) -> str:
    """Play the role and return what Ansible printed, on one line."""
    shell = LocalShell(session="test-role")
    tools = ToolEnvironments(cache=CACHE, shell=shell, progress=RecordingProgress())
    programs = tools.ensure(release(DEFAULT).lock)
    done = subprocess.run(
        [programs / "ansible-playbook", "-i", "inventory", "play.yml", *arguments],
        cwd=root,
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(root),
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join((done.stdout + done.stderr).split())


def test_a_machine_is_prepared_once_and_only_with_what_lacks(tmp_path: Path) -> None:
    lay_out(tmp_path)
    first = play(tmp_path)
    again = play(tmp_path, "--limit", "control-1")

    assert '"name": [ "python3-docker", "docker.io" ]' in first, first
    assert re.search(r"control-1 : ok=\d+ changed=[1-9]\d* .*?failed=0", first), first
    assert re.search(r"control-1 : ok=\d+ changed=0 .*?failed=0", again), again
    assert (tmp_path / "etc" / "hosts").read_text() == (
        "127.0.0.1 localhost\n# enos: 127.0.1.1 srv7.lab srv7\n# BEGIN enos\n"
        "10.0.0.1 control-1 srv7\n10.0.0.2 rocky-1\n# END enos\n"
    )
    assert json.loads((tmp_path / "etc" / "docker" / "daemon.json").read_text()) == {
        "debug": True,
        "insecure-registries": ["10.0.0.9:5000"],
    }
    added = tmp_path / "var" / "lib" / "enos" / "registries"
    assert added.read_text() == "10.0.0.9:5000\n"
    assert '"state": "restarted"' in again, "as long as Docker has not read it"

    # Without Docker in the distribution, how to get one.
    assert "rocky-1 (Rocky) has no packages for docker-module, docker: install" in first
    assert "https://download.docker.com/linux/rhel/docker-ce.repo" in first
    assert "dnf said: dnf has no ['python3-docker', 'moby-engine']" in first, first
