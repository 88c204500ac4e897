"""What runs on the hosts is ended before kolla-ansible removes it."""

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
