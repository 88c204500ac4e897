"""The script that moves bridges to user space, before a switch that is a stand-in."""

import os
import re
import subprocess
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from enos.kolla.nodes import SCRIPT, read
from enos.kolla.stopping import UNWIRE
from enos.kolla.tunnels import TUNNEL_BRIDGE, WIRE, WIRED

pytestmark = pytest.mark.integration

KEPT = "/usr/local/sbin/enos-bridges"

SWITCH = """#!/bin/sh
# docker exec openvswitch_vswitchd ovs-vsctl --timeout=N COMMAND ARGUMENTS…
echo "$*" >>"$0.asked"
test -e "$0.down" && { echo 'container abc is not running' >&2; exit 1; }
shift 4
case $1 in
br-exists) test -e "$0.$2" || exit 2 ;;
get) cat "$0.$3" ;;
set) echo netdev >"$0.$3" ;;
--may-exist) ip link show "$3" >/dev/null 2>&1 || ip link add "$3" type bridge ;;
esac
"""


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(SWITCH)
    path.chmod(0o755)
    return path


def move(
    switch: Path, *args: str, place: tuple[str, ...] = (), stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    script = files("enos") / "ansible" / "roles" / "enos_bridges" / "files"
    with as_file(script / "bridges.sh") as path:
        return subprocess.run(
            [*place, "/bin/sh", str(path), *args],
            env={"PATH": f"{switch.parent}:/usr/sbin:/usr/bin:/sbin:/bin"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )


def bridge(switch: Path, name: str) -> Path:
    return switch.with_name(f"{switch.name}.{name}")


def test_moves_the_bridges_that_exist_once(switch: Path) -> None:
    bridge(switch, "br-ex").write_text('""\n')
    first = move(switch, "br-ex,br-other", "eth1", "-", "-", "-")
    again = move(switch, "br-ex,br-other", "eth1", "-", "-", "-")
    assert (first.returncode, first.stdout) == (0, "changed\n")
    assert (again.returncode, again.stdout) == (0, "")
    assert bridge(switch, "br-ex").read_text() == "netdev\n"
    assert not bridge(switch, "br-other").exists()


def test_a_switch_that_does_not_answer_is_not_an_absent_bridge(switch: Path) -> None:
    bridge(switch, "br-ex").write_text('""\n')
    bridge(switch, "down").touch()
    down = move(switch, "br-ex", "eth1", "-", "-", "-")
    assert down.returncode == 1
    assert "not running" in down.stderr
    bridge(switch, "down").unlink()
    assert move(switch, "br-ex", "eth1", "-", "-", "-").stdout == "changed\n"


@pytest.fixture
def place() -> Iterator[tuple[str, ...]]:
    """A network namespace with an interface for tunnels, as the words to run there."""
    name = f"enos-wire-{os.getpid()}"
    there = ("ip", "netns", "exec", name)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for words in (
            "ip link add eth2 mtu 9000 type veth peer name other mtu 9000",
            "ip address add 192.0.2.7/24 dev eth2",
        ):
            subprocess.run([*there, *words.split()], check=True)
        yield there
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def links(place: tuple[str, ...], *words: str) -> str:
    """Return what `ip` says in a namespace."""
    argv = [*place, "ip", "-br", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def test_tunnels_pass_a_bridge_of_the_kernel_until_it_is_taken_away(
    switch: Path, place: tuple[str, ...]
) -> None:
    tunnel = ("br-ex", WIRED, "eth2", "192.0.2.7/24", WIRE)
    first = move(switch, *tunnel, place=place)
    again = move(switch, *tunnel, place=place)

    assert (first.returncode, first.stdout) == (0, "changed\n"), first.stderr
    assert (again.returncode, again.stdout) == (0, "")
    ports = links(place, "link", "show", "master", WIRE)
    assert {line.split()[0].split("@")[0] for line in ports.splitlines()} == {
        "eth2",
        f"{WIRE}-0",
    }
    assert "192.0.2.7/24" in links(place, "address", "show", WIRED)
    assert "192.0.2.7" not in links(place, "address", "show", "eth2")
    asked = bridge(switch, "asked").read_text()
    assert f"--may-exist add-port {WIRED} {WIRE}-1" in asked
    mtu = subprocess.run(
        [*place, "cat", f"/sys/class/net/{WIRE}-1/mtu"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert mtu.stdout == "9000\n"

    # What Open vSwitch leaves of its bridges, and one that is not its.
    tap = "ip tuntap add br-tun mode tap", "ip link add br-ex type bridge"
    for words in tap:
        subprocess.run([*place, *words.split()], check=True)
    for _ in range(2):
        subprocess.run(
            [*place, "sh", "-s", "--", WIRE, "br-tun", "br-ex"],
            input=UNWIRE, text=True, check=True,
        )  # fmt: skip
    left = links(place, "link", "show")
    assert WIRE not in left
    assert "br-tun" not in left
    assert "br-ex" in left
    rules = subprocess.run(
        [*place, "iptables", "-S", "FORWARD"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert WIRE not in rules.stdout


# With folders of its own for what systemd and the script keep.
BOOTS = f"""set -e
for folder in /run /etc/systemd/system /usr/local/sbin; do
    mount -t tmpfs none $folder
done
mkdir /run/systemd /run/systemd/system
"$@"
"$@"
cat /etc/systemd/system/enos-bridges.service
ip link delete {WIRE}; ip link delete {WIRED}; ip address add 192.0.2.7/24 dev eth2
$(sed -n s/ExecStart=//p /etc/systemd/system/enos-bridges.service)
ip -o address show dev {WIRED}
cat >/run/unwire
"$1" /run/unwire {WIRE}
ls /etc/systemd/system /usr/local/sbin
"""


def test_what_a_boot_takes_away_is_made_again_by_a_unit_until_it_is_removed(
    switch: Path, place: tuple[str, ...]
) -> None:
    systemctl = switch.with_name("systemctl")
    systemctl.write_text('#!/bin/sh\necho "$*" >>"$0.asked"\n')
    systemctl.chmod(0o755)
    boots = (*place, "unshare", "--mount", "sh", "-c", BOOTS, "-")

    done = move(
        switch, "br-ex", WIRED, "eth2", "192.0.2.7/24", WIRE, place=boots, stdin=UNWIRE
    )

    assert done.returncode == 0, done.stderr
    first, unit, rest = re.split(r"(?s)(\[Unit\].*target\n)", done.stdout)
    assert first == "changed\nchanged\n", "the second time it is as it should be"
    assert f"ExecStart={KEPT} br-ex {WIRED} eth2 192.0.2.7/24 {WIRE}\n" in unit
    changed, _, left = rest.partition("\n")
    assert changed == "changed"
    assert " 192.0.2.7/24 " in left
    assert left.endswith("/etc/systemd/system:\n\n/usr/local/sbin:\n")
    asked = bridge(systemctl, "asked").read_text().splitlines()
    assert asked[:2] == ["daemon-reload", "--quiet enable enos-bridges.service"]
    assert asked[2:] == ["--quiet disable --now enos-bridges", "daemon-reload"]


@pytest.mark.parametrize("laid", ["bridge", "bridge and pair"])
def test_a_wire_that_was_laid_half_way_is_taken_away(
    place: tuple[str, ...], laid: str
) -> None:
    parts = [f"link add {WIRE} type bridge"]
    if laid != "bridge":
        parts.append(f"link add {WIRE}-0 type veth peer name {WIRE}-1")
    for words in parts:
        subprocess.run([*place, "ip", *words.split()], check=True)

    subprocess.run(
        [*place, "sh", "-s", "--", WIRE], input=UNWIRE, text=True, check=True
    )

    assert WIRE not in links(place, "link", "show")


def test_a_kernel_without_the_table_of_ip6tables_gets_its_wire(
    switch: Path, place: tuple[str, ...]
) -> None:
    refusing = switch.with_name("ip6tables")
    refusing.write_text("#!/bin/sh\necho 'Table does not exist' >&2\nexit 3\n")
    refusing.chmod(0o755)

    done = move(switch, "br-ex", WIRED, "eth2", "192.0.2.7/24", WIRE, place=place)

    assert (done.returncode, done.stdout) == (0, "changed\n"), done.stderr
    rules = subprocess.run(
        [*place, "iptables", "-S", "FORWARD"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"-i {WIRE} -o {WIRE} -j ACCEPT" in rules.stdout


@pytest.mark.parametrize(("there", "bridged"), [(TUNNEL_BRIDGE, False), (WIRED, True)])
def test_tunnels_that_are_laid_stay_as_they_are(
    place: tuple[str, ...], there: str, *, bridged: bool
) -> None:
    # Of the two, one would be answered otherwise by whatever kernel this is.
    subprocess.run([*place, "ip", "link", "add", there, "type", "bridge"], check=True)
    said = subprocess.run(
        [*place, "sh", "-s", "--"],
        input=SCRIPT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert read(said.stdout).bridged is bridged
