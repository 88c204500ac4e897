"""The script that moves bridges to user space, before a switch that is a stand-in."""

import subprocess
from importlib.resources import as_file, files
from pathlib import Path

import pytest

SWITCH = """#!/bin/sh
# docker exec openvswitch_vswitchd ovs-vsctl --timeout=N COMMAND ARGUMENTS…
echo "$*" >>"$0.asked"
test -e "$0.down" && { echo 'container abc is not running' >&2; exit 1; }
shift 4
case $1 in
br-exists) test -e "$0.$2" || exit 2 ;;
get) cat "$0.$3" ;;
set) echo netdev >"$0.$3" ;;
esac
"""


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(SWITCH)
    path.chmod(0o755)
    return path


def move(switch: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    script = files("enos") / "ansible" / "roles" / "enos_bridges" / "files"
    with as_file(script / "bridges.sh") as path:
        return subprocess.run(
            ["/bin/sh", str(path), *args],
            env={"PATH": f"{switch.parent}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )


def bridge(switch: Path, name: str) -> Path:
    return switch.with_name(f"{switch.name}.{name}")


def test_moves_the_bridges_that_exist_once(switch: Path) -> None:
    bridge(switch, "br-ex").write_text('""\n')
    first = move(switch, "br-ex,br-other", "eth1", "-", "-")
    again = move(switch, "br-ex,br-other", "eth1", "-", "-")
    assert (first.returncode, first.stdout) == (0, "changed\n")
    assert (again.returncode, again.stdout) == (0, "")
    assert bridge(switch, "br-ex").read_text() == "netdev\n"
    assert not bridge(switch, "br-other").exists()


def test_a_switch_that_does_not_answer_is_not_an_absent_bridge(switch: Path) -> None:
    bridge(switch, "br-ex").write_text('""\n')
    bridge(switch, "down").touch()
    down = move(switch, "br-ex", "eth1", "-", "-")
    assert down.returncode == 1
    assert "not running" in down.stderr
    bridge(switch, "down").unlink()
    assert move(switch, "br-ex", "eth1", "-", "-").stdout == "changed\n"
