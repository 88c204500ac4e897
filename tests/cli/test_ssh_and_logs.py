"""`enos ssh` and `enos logs` find their hosts and run what was asked there."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from enos.cli import main
from enos.errors import ConfigError
from enos.phases.logs import FOLDERS, NONE_HERE, command, hosts_of
from enos.state.directory import Directory
from enos.state.record import PhaseRecord
from enos.testbed import Host, Testbed

HOSTS = (
    Host(name="control-1", address="192.0.2.2", roles=("control", "network")),
    Host(name="compute-1", address="192.0.2.3", roles=("compute",), groups=("grp1",)),
    Host(name="compute-2", address="192.0.2.4", roles=("compute",), groups=("grp2",)),
)
TESTBED = Testbed(provider="static", hosts=HOSTS, networks=())
Enos = Callable[..., int]

FAKE_SSH = """#!/bin/sh
for word; do last=$word; case $word in root@*) host=$word;; esac; done
case "$host $last" in
  *192.0.2.4*uname*) echo "gone away" >&2; exit 3;;
  *uname*) echo "Linux $host";;
  *192.0.2.2*"'"*" nova "*) echo "INFO started";;
  *192.0.2.3*" nova "*) echo "INFO compute";;
  *" libvirt "*) case $host in *2.3) echo "line";; *) exit 44;; esac;;
  *) echo nova neutron; exit 44;;
esac
"""


@pytest.fixture
def enos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Enos:
    """Run enos beside an experiment with three hosts and a scripted SSH client."""
    directory = Directory(tmp_path / "enos-demo")
    state = directory.create(provider="static")
    done = PhaseRecord(status="done", started=0)
    directory.save(replace(state.with_phase("up", done), testbed=TESTBED))
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FAKE_SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)

    def become(name: str, argv: list[str]) -> None:
        raise SystemExit(subprocess.run([name, *argv[1:]], check=False).returncode)

    monkeypatch.setattr(os, "execvp", become)

    def run(*argv: str) -> int:
        try:
            main(argv)
        except SystemExit as stopped:
            return int(stopped.code or 0)
        return 0

    return run


def test_a_word_is_a_host_a_role_or_a_group() -> None:
    assert [host.name for host in hosts_of(TESTBED, "compute-2")] == ["compute-2"]
    assert [host.name for host in hosts_of(TESTBED, "network")] == ["control-1"]
    assert [host.name for host in hosts_of(TESTBED, "grp1")] == ["compute-1"]
    assert len(hosts_of(TESTBED, "compute")) == 2


def test_a_word_that_means_nothing_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="called `compte`") as refused:
        hosts_of(TESTBED, "compte")
    assert refused.value.hint == "did you mean `compute`?"


def test_a_command_runs_on_one_host(
    enos: Enos, capfd: pytest.CaptureFixture[str]
) -> None:
    assert enos("ssh", "control-1", "--", "uname", "-a") == 0
    assert capfd.readouterr().out == "Linux root@192.0.2.2\n"


def test_a_command_runs_on_all_hosts_of_a_role_and_fails_if_one_does(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("ssh", "compute", "--", "uname") == 3
    assert capsys.readouterr().out == (
        "== compute-1\nLinux root@192.0.2.3\n== compute-2\ngone away\n"
    )


def test_a_dry_run_prints_the_ssh_commands(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("ssh", "--dry-run", "compute", "--", "echo", "a b") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("ssh -p 22 ")
    assert lines[0].endswith("root@192.0.2.3 'echo '\"'\"'a b'\"'\"''")


def test_logging_in_to_a_role_takes_its_first_host(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("ssh", "--dry-run", "compute") == 0
    assert capsys.readouterr().out.endswith("root@192.0.2.3\n")


def test_an_unknown_host_is_an_error_with_its_code(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("ssh", "contol", "--", "true") == 3
    assert "hint: did you mean `control`?" in capsys.readouterr().err


def test_logs_are_told_apart_by_host(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("logs", "nova") == 0
    assert capsys.readouterr().out == (
        "== control-1\nINFO started\n== compute-1\nINFO compute\n"
    )


def test_logs_can_be_read_by_programs(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("logs", "nova", "--host", "grp1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"compute-1": "INFO compute\n"}


def test_following_needs_one_host(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("logs", "-f", "nova") == 2
    assert "name one with --host" in capsys.readouterr().err


def test_following_becomes_the_client_on_the_one_host(
    enos: Enos, capfd: pytest.CaptureFixture[str]
) -> None:
    assert enos("logs", "-f", "libvirt") == 0
    assert capfd.readouterr().out == "line\n"


def test_a_service_nobody_logs_gets_a_suggestion(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enos("logs", "nuetron") == 8
    assert "hint: did you mean `neutron`?" in capsys.readouterr().err


@pytest.fixture
def on_host(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run the script of `enos logs` on a host with a log folder and a container."""
    nova = tmp_path / "kolla" / "nova"
    nova.mkdir(parents=True)
    (nova / "nova-api.log").write_text("api 1\napi 2\n")
    (nova / "nova-compute.log").write_text("compute 1\n")
    (tmp_path / "kolla" / "empty").mkdir()
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\ncase "$*" in *nova_ssh*) ;; *) exit 1;; esac\necho "docker $*"\n'
    )
    docker.chmod(0o755)

    def run(service: str, lines: int = 1) -> tuple[int, str]:
        argv = list(command(service, lines=lines))
        argv[2] = argv[2].replace(FOLDERS, str(tmp_path / "kolla"))
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            argv, env={"PATH": path}, check=False, capture_output=True, text=True
        )
        return done.returncode, done.stdout

    return run


def test_a_service_is_a_folder_a_file_or_a_container(
    on_host: Callable[..., tuple[int, str]],
) -> None:
    status, folder = on_host("nova")
    assert status == 0
    assert "api 2" in folder
    assert "compute 1" in folder
    assert on_host("nova-api", 2) == (0, "api 1\napi 2\n")
    assert on_host("nova-ssh") == (0, "docker logs --tail 1 nova_ssh\n")


def test_a_host_without_such_logs_names_those_it_has(
    on_host: Callable[..., tuple[int, str]],
) -> None:
    assert on_host("glance") == (NONE_HERE, "empty\nnova\n")
    assert on_host("empty") == (NONE_HERE, "empty\nnova\n")
