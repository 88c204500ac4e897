"""RabbitMQ is removed where it never founded its cluster, and nowhere else."""

from pathlib import Path

import pytest

from enos.errors import ProcessError
from enos.kolla.brokers import FOUNDED, HALF, REMOVE, clear
from enos.testbed import Host, Testbed
from enos.testing import RecordingProgress, RecordingShell
from enos.testing.recording import Answer

HOSTS = tuple(Host(name=f"c{n}", address=f"192.0.2.{n}") for n in (1, 2, 3))
TESTBED = Testbed(provider="fake", hosts=HOSTS, networks=())


def cleared(
    where: Path, *found: str
) -> tuple[tuple[str, ...], RecordingShell, RecordingProgress]:
    """Return the hosts that lost theirs when this was found on c1, c2, c3."""
    shell, progress = RecordingShell(), RecordingProgress()
    for host, what in zip(HOSTS, found, strict=True):
        answer = Answer(stdout=f"{what}\n" if what else "")
        shell.script(f"ssh *{host.address}*", answer, Answer())
    clear(TESTBED, "docker", shell, progress, where)
    removed = sorted(c.argv[-2] for c in shell.calls if c.stdin == REMOVE)
    return tuple(removed), shell, progress


def test_nodes_that_wait_for_each_other_are_made_anew(tmp_path: Path) -> None:
    removed, shell, progress = cleared(tmp_path, HALF, HALF, "")
    assert removed == ("root@192.0.2.1", "root@192.0.2.2")
    assert {call.argv[-1] for call in shell.calls} == {"sh -s -- docker"}
    assert progress.decisions == [
        "RabbitMQ is made anew, its cluster was never founded: c1, c2"
    ]


@pytest.mark.parametrize("found", [("", "", ""), (FOUNDED, FOUNDED, FOUNDED)])
def test_where_none_is_or_all_are_in_a_cluster_nothing_is_done(
    tmp_path: Path, found: tuple[str, ...]
) -> None:
    removed, shell, progress = cleared(tmp_path, *found)
    assert removed == ()
    assert len(shell.calls) == len(HOSTS)
    assert not progress.decisions
    assert not progress.warnings


def test_as_soon_as_one_was_in_a_cluster_all_are_kept_and_that_is_told(
    tmp_path: Path,
) -> None:
    removed, _, progress = cleared(tmp_path, HALF, FOUNDED, HALF)
    assert removed == ()
    assert progress.warnings == [
        "RabbitMQ does not run on c1, c3; it is kept, since that of c2 was in a cluster"
    ]


def test_an_unreachable_host_is_an_error_and_nothing_is_removed(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    shell.on("ssh *192.0.2.1*", stdout=HALF)
    shell.on("ssh *192.0.2.2*", returncode=255, stderr="no route to host")
    with pytest.raises(ProcessError):
        clear(TESTBED, "docker", shell, RecordingProgress(), tmp_path)
    assert REMOVE not in {call.stdin for call in shell.calls}
