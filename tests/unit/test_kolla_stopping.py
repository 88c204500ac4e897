"""What runs on the hosts is ended before kolla-ansible removes it."""

import os
import subprocess
from pathlib import Path

import pytest

from enos.errors import ProcessError
from enos.kolla.stopping import SCRIPT, stop
from enos.testbed import Host, Testbed
from enos.testing import RecordingProgress, RecordingShell

HOSTS = (Host(name="c1", address="192.0.2.1"), Host(name="c2", address="192.0.2.2"))
TESTBED = Testbed(provider="fake", hosts=HOSTS, networks=())


def test_every_host_is_told_once(tmp_path: Path) -> None:
    shell = RecordingShell()

    stop(TESTBED, "docker", shell, RecordingProgress(), tmp_path)

    assert sorted(call.argv[-2] for call in shell.calls) == [
        "root@192.0.2.1",
        "root@192.0.2.2",
    ]
    assert {call.argv[-1] for call in shell.calls} == {"sh -s -- docker"}
    assert {call.stdin for call in shell.calls} == {SCRIPT}


def test_an_unreachable_host_is_an_error(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("ssh *192.0.2.2*", returncode=255, stderr="no route to host")

    with pytest.raises(ProcessError):
        stop(TESTBED, "docker", shell, RecordingProgress(), tmp_path)


def test_guests_that_go_on_are_named(tmp_path: Path) -> None:
    shell, progress = RecordingShell(), RecordingProgress()
    said = "error: failed to connect\nenos: guests cannot be listed\n"
    shell.on("ssh *192.0.2.2*", stderr=said)

    stop(TESTBED, "docker", shell, progress, tmp_path)

    assert progress.warnings == ["c2: guests cannot be listed"]


ENGINE = """\
#!/bin/sh
case "$*" in
*list*)
    if [ -e "$0.broken" ]; then exit 1; fi
    printf 'instance-1\\ninstance-2\\n\\n'
    ;;
*destroy*) echo "$*" >> "$0.log"; case "$*" in *instance-1) exit 1 ;; esac ;;
esac
"""


@pytest.mark.usefixtures("processes")
def test_the_script_ends_each_guest_and_tells_of_those_it_cannot(
    tmp_path: Path,
) -> None:
    engine = tmp_path / "engine"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    quiet = tmp_path / "systemctl"  # not this machine's
    quiet.write_text("#!/bin/sh\n")
    quiet.chmod(0o755)

    def told() -> str:
        path = f"{tmp_path}:{os.environ['PATH']}"
        return subprocess.run(
            ("sh", "-s", "--", engine),
            input=SCRIPT,
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": path},
        ).stderr

    assert told() == "enos: guest instance-1 does not end\n"
    ended = (tmp_path / "engine.log").read_text().splitlines()
    assert [line.split()[-1] for line in ended] == ["instance-1", "instance-2"]
    (tmp_path / "engine.broken").touch()
    assert told() == "enos: guests cannot be listed\n"
