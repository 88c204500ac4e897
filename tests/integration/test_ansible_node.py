"""What prepares a machine and undoes it: its scripts, with stand-ins for programs."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jinja2
import pytest
import yaml

from enos.kolla import site
from enos.kolla.nodes import SCRIPT, read

pytestmark = pytest.mark.integration
ROLES = Path(str(files("enos"))) / "ansible" / "roles"
PLAIN = "127.0.0.1 localhost\n127.0.1.1 srv7.lab srv7\n::1 localhost\n"


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def run(*argv: object, path: Path, stdin: str = "") -> str:
    done = subprocess.run(
        [str(word) for word in argv],
        env={"PATH": f"{path}:/usr/bin:/bin:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tasks(name: str) -> list[dict[str, object]]:
    text = (ROLES / "enos_node" / "tasks" / f"{name}.yml").read_text()
    found = yaml.safe_load(text)
    assert isinstance(found, list)
    return found


def hosts_block() -> str:
    (task,) = (t for t in tasks("main") if "ansible.builtin.blockinfile" in t)
    module = task["ansible.builtin.blockinfile"]
    assert isinstance(module, dict)
    return str(module["block"])


def rendered(**facts: dict[str, str]) -> list[str]:
    # Ansible's own settings of Jinja.
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
    hostvars = {
        name: {"enos_api_address": f"10.0.0.{number}", "ansible_facts": own}
        for number, (name, own) in enumerate(facts.items(), 1)
    }
    text = environment.from_string(hosts_block()).render(
        groups={"baremetal": list(facts)}, hostvars=hostvars
    )
    return text.splitlines()


def test_machines_are_named_by_the_experiment_and_by_themselves() -> None:
    assert rendered(
        control={"hostname": "srv7", "nodename": "srv7.lab"},
        compute={"hostname": "compute", "nodename": "compute"},
        fresh={"hostname": "localhost", "nodename": "localhost"},
        unasked={},
    ) == [
        "10.0.0.1 control srv7 srv7.lab",
        "10.0.0.2 compute",
        "10.0.0.3 fresh",
        "10.0.0.4 unasked",
    ]


def hidden(text: str) -> str:
    """What the role makes of /etc/hosts on its machine."""
    (task,) = (t for t in tasks("main") if "ansible.builtin.replace" in t)
    module = task["ansible.builtin.replace"]
    assert isinstance(module, dict)
    gone = re.sub(module["regexp"], module["replace"], text, flags=re.MULTILINE)
    return gone + "# BEGIN enos\n10.0.0.1 control srv7\n# END enos\n"


# As dockerd: told to read its configuration, it does so a little later, and takes the
# list over only from a file that names it.
RELOAD = """test "$*" = "reload docker" || exit 1
(sleep 0.5; grep -q insecure-registries {root}/etc/docker/daemon.json &&
    cp {root}/etc/docker/daemon.json {root}/remembered) >/dev/null 2>&1 &"""
INFO = """grep -o '"[^" ]*:5000"' {root}/remembered | tr -d '"'; echo docker.io"""


def restore(root: Path, *, runs: bool = True) -> str:
    script = Path(str(files("enos.ansible") / "restore.py")).read_text()
    reload = RELOAD.format(root=root) if runs else "exit 1"
    program(root / "bin", "systemctl", reload)
    program(root / "bin", "docker", INFO.format(root=root) if runs else "exit 1")
    return run(sys.executable, "-", root, path=root / "bin", stdin=script)


def test_names_are_taken_back_and_the_machines_own_line_returns(
    tmp_path: Path,
) -> None:
    hosts = tmp_path / "etc" / "hosts"
    hosts.parent.mkdir()
    hosts.write_text(hidden(PLAIN) + "10.1.1.1 mine\n")
    assert "# enos: 127.0.1.1 srv7.lab srv7\n" in hosts.read_text()

    assert restore(tmp_path) == "/etc/hosts\n"
    assert hosts.read_text() == PLAIN + "10.1.1.1 mine\n"
    assert restore(tmp_path) == ""


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize(
    ("there", "left"),
    [
        ({"insecure-registries": ["10.0.0.1:5000"]}, None),
        (
            {"insecure-registries": ["mine:5000", "10.0.0.1:5000"], "debug": True},
            {"insecure-registries": ["mine:5000"], "debug": True},
        ),
        ({"debug": True}, {"debug": True}),
    ],
)
def test_only_the_registry_enos_added_leaves_dockers_configuration(
    tmp_path: Path,
    there: dict[str, object],
    left: dict[str, object] | None,
    *,
    runs: bool,
) -> None:
    daemon = tmp_path / "etc" / "docker" / "daemon.json"
    added = tmp_path / "var" / "lib" / "enos" / "registries"
    for folder in (daemon.parent, added.parent):
        folder.mkdir(parents=True)
    (tmp_path / "etc" / "hosts").write_text(PLAIN)
    daemon.write_text(json.dumps(there))
    added.write_text("10.0.0.1:5000\n")

    (tmp_path / "remembered").write_text('["mine:5000", "10.0.0.1:5000"]')

    assert restore(tmp_path, runs=runs) == "/etc/docker/daemon.json\n"
    assert (json.loads(daemon.read_text()) if daemon.exists() else None) == left
    remembered = (tmp_path / "remembered").read_text()
    assert ("10.0.0.1:5000" in remembered) is not runs
    assert restore(tmp_path) == ""


def test_what_a_killed_run_left_of_a_registry_is_finished(tmp_path: Path) -> None:
    added = tmp_path / "var" / "lib" / "enos" / "registries"
    added.parent.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hosts").write_text(PLAIN)
    added.write_text("10.0.0.1:5000\n")

    assert restore(tmp_path) == "/etc/docker/daemon.json\n"
    assert not added.exists()


def test_a_registry_of_the_owners_stays(tmp_path: Path) -> None:
    daemon = tmp_path / "etc" / "docker" / "daemon.json"
    daemon.parent.mkdir(parents=True)
    (tmp_path / "etc" / "hosts").write_text(PLAIN)
    daemon.write_text('{"insecure-registries": ["10.0.0.1:5000"]}')

    assert restore(tmp_path) == ""
    assert daemon.read_text() == '{"insecure-registries": ["10.0.0.1:5000"]}'


def look(tmp_path: Path, docker: str, modules: str) -> list[str]:
    place = tmp_path / "bin"
    if docker:
        program(place, "docker", f'test "$1" = --version && echo "{docker}"')
    program(place, "sudo", "exit 0")
    program(
        place, "pythonX", f'case "{modules}" in *"${{2#import }}"*) ;; *) exit 1;; esac'
    )
    script = ROLES / "enos_node" / "files" / "look.sh"
    needed = ("cat", "grep", "sh")
    for name in needed:
        program(place, name, f'exec /bin/{name} "$@"')
    done = subprocess.run(
        ["/bin/sh", str(script), "pythonX"],
        env={"PATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [word for word in done.stdout.split() if word.startswith("no-")]


DOCKER = "Docker version 27.0"


@pytest.mark.parametrize(
    ("docker", "modules", "missing"),
    [
        (DOCKER, "dbus docker requests", []),
        (DOCKER, "requests", ["no-docker-module", "no-dbus"]),
        ("", "dbus docker requests", ["no-docker"]),
        ("podman version 5.2", "dbus docker requests", ["no-docker"]),
    ],
)
def test_each_thing_that_is_missing_is_named_alone(
    tmp_path: Path, docker: str, modules: str, missing: list[str]
) -> None:
    assert look(tmp_path, docker, modules) == missing


def test_a_docker_that_is_there_is_not_replaced_by_the_distributions() -> None:
    for task in tasks("install"):
        assert isinstance(task, dict)
        apt = task.get("ansible.builtin.apt")
        assert not isinstance(apt, dict) or "docker.io" not in apt["name"]
    (first, *_) = tasks("install")
    packages = first["vars"]
    assert isinstance(packages, dict)
    assert packages["enos_packages"]["no-docker"] == "docker.io"
    assert packages["enos_packages"]["no-docker-module"] == "python3-docker"


ENGINE = """echo "$*" >>"$0.asked"
case "$*" in
*"--filter label=kolla_version") echo aaa; echo bbb ;;
*"--filter name=^enos_") echo bbb ;;
ps*) echo zzz ;;
volume*) exit 1 ;;
esac"""


def test_only_containers_of_kolla_and_enos_are_removed(tmp_path: Path) -> None:
    program(tmp_path / "bin", "engine", ENGINE)
    script = ROLES / "enos_leftovers" / "files" / "leftovers.sh"
    told = run("/bin/sh", script, "engine", path=tmp_path / "bin")
    assert told.splitlines() == ["container aaa", "container bbb"]
    asked = (tmp_path / "bin" / "engine.asked").read_text().splitlines()
    assert [line for line in asked if line.startswith("rm")] == [
        "rm --force aaa",
        "rm --force bbb",
    ]


def probed(tmp_path: Path, *names: str, **answers: str) -> dict[str, str]:
    """What a machine says whose `uname`, `getent` and `modprobe` are stand-ins."""
    place = tmp_path / "bin"
    program(place, "modprobe", "exit 0")
    program(place, "uname", 'test "$1" = -n && echo srv7 || echo 0.0.0-none')
    cases = " ".join(f'{n}) echo "{a} STREAM";;' for n, a in answers.items())
    program(place, "getent", f"case $2 in {cases} *) exit 2;; esac")
    told = run("/bin/sh", "-s", "--", *names, path=place, stdin=SCRIPT)
    return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)


def test_modules_that_are_only_listed_are_no_modules(tmp_path: Path) -> None:
    said = probed(tmp_path)
    assert said["modules"] == "no"
    there = Path("/sys/module/openvswitch").is_dir()
    assert said["openvswitch"] == ("yes" if there else "no")


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        ({"srv7": "10.0.0.1", "compute": "10.0.0.2"}, True),
        ({"srv7": "127.0.1.1", "compute": "10.0.0.2"}, False),
        ({"srv7": "10.0.0.1"}, False),
    ],
)
def test_machines_are_named_when_all_names_lead_to_the_network(
    tmp_path: Path, answers: dict[str, str], *, named: bool
) -> None:
    said = probed(tmp_path, "srv7", "compute", **answers)
    assert read(f"named={said['named']}\n").named is named


def test_a_machine_under_another_name_than_its_own_is_not_named_yet(
    tmp_path: Path,
) -> None:
    said = probed(tmp_path, "control", srv7="10.0.0.1", control="10.0.0.1")
    assert said["named"] == "no"


@pytest.mark.parametrize(("value", "asked"), [("1", False), ("0", True)])
def test_a_setting_that_is_right_is_not_made_again(
    tmp_path: Path, value: str, *, asked: bool
) -> None:
    [task] = site.FOREIGN_ADDRESS.play["tasks"]
    setting = tmp_path / "ip_nonlocal_bind"
    setting.write_text(f"{value}\n")
    path = "/proc/sys/net/ipv4/ip_nonlocal_bind"
    command = task["ansible.builtin.shell"]
    assert path in command
    program(tmp_path / "bin", "sysctl", 'echo "$*"')
    told = run(
        "/bin/sh", "-c", command.replace(path, str(setting)), path=tmp_path / "bin"
    )
    assert told == ("-w net.ipv4.ip_nonlocal_bind=1\n" if asked else "")
