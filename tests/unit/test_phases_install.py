"""What `enos os` says of an OpenStack after each of its commands."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from enos.errors import PlaybookError
from enos.kolla import brokers, site
from enos.kolla import deployment as kolla
from enos.kolla.inventory import parse_multinode
from enos.kolla.nodes import Node
from enos.kolla.plan import Deployment, Installed, Place, Wish, plan_deployment
from enos.kolla.releases import release
from enos.kolla.stopping import UNWIRE
from enos.phases import deployed, guests, install, metrics
from enos.phases.session import Session
from enos.testing import RecordingShell
from enos.testing.recording import Answer, Call

Opener = Callable[[str, RecordingShell], AbstractContextManager[Session]]
FILE = "provider: {type: fake}\nresources: {any: {control: 1, compute: 1}}\n"
SITE = "- {name: Apply role kolla_toolbox, hosts: all, roles: [{role: kolla_toolbox}]}"
ABLE = Node(limits=True, modules=True, sysctl=True, openvswitch=True, kvm=True, cpus=4)


def deployment(session: Session, action: str = "deploy") -> Deployment:
    """What the experiment comes to with a kolla-ansible of one play."""
    return plan_deployment(
        Wish(session="s", release=release("2026.1")),
        testbed=session.testbed,
        nodes={host.name: ABLE for host in session.testbed.hosts},
        installed=Installed(
            bin=Path("/tool/bin"),
            ansible=Path("/tool/ansible"),
            groups=parse_multinode("[control]\n[network]\n[compute]\n"),
            plays=site.read_site(SITE, lambda _: ""),
            defaults={"enable_neutron": False},
        ),
        place=Place(root=session.directory.kolla, sockets=Path("/tmp/s")),
        action=action,
    )


@pytest.fixture(name="done")
def _done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What kolla-ansible was asked for, in order; it succeeds."""
    asked: list[str] = []

    def deploy(
        *_: object, action: str = "deploy", tags: Sequence[str] = (), **__: object
    ) -> None:
        asked.append(" ".join((action, *tags)))

    def planned(session: Session, *, action: str = "deploy") -> Deployment:
        return deployment(session, action)

    monkeypatch.setattr(install, "planned", planned)
    monkeypatch.setattr(kolla, "deploy", deploy)
    monkeypatch.setattr(kolla, "write", lambda *_, **__: None)
    monkeypatch.setattr(metrics, "follow_services", lambda *_: None)
    monkeypatch.setattr(guests, "prepare", lambda _: None)
    return asked


@pytest.fixture(name="shell")
def _shell() -> RecordingShell:
    return RecordingShell()


@pytest.fixture(name="session")
def _session(machines_up: Opener, shell: RecordingShell) -> Iterator[Session]:
    with machines_up(FILE, shell) as session:
        yield session


def complete(session: Session) -> bool:
    return install.deployed(session) == install.fingerprint(deployment(session))


def test_pulling_images_deploys_nothing(session: Session, done: list[str]) -> None:
    install.act(session, "pull")

    assert done == ["pull"]
    assert not install.deployed(session)
    assert "os" not in session.directory.load().phases
    install.run(session, again=False)
    assert done == ["pull", "deploy"]


def test_pulling_images_leaves_what_is_deployed(
    session: Session, done: list[str]
) -> None:
    install.run(session)
    install.act(session, "pull")

    assert complete(session)
    install.run(session, again=False)
    assert done == ["deploy", "pull"]


@pytest.mark.parametrize("action", ["deploy", "reconfigure"])
def test_some_services_are_not_all_of_them(
    session: Session, done: list[str], action: str
) -> None:
    install.act(session, action, ("nova",))

    assert done == [f"{action} nova"]
    assert not install.deployed(session)
    assert not session.directory.load().done("os")


def test_some_services_again_leave_a_complete_openstack_complete(
    session: Session, done: list[str]
) -> None:
    install.run(session)
    install.act(session, "deploy", ("nova",))

    assert complete(session)
    assert session.directory.load().done("os")
    assert done == ["deploy", "deploy nova"]


def test_a_failure_in_some_services_makes_the_next_deployment_do_all_again(
    session: Session, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install.run(session)

    def fail(*_: object, **__: object) -> None:
        raise PlaybookError("nova failed on compute-1")

    with monkeypatch.context() as patch:
        patch.setattr(kolla, "deploy", fail)
        with pytest.raises(PlaybookError):
            install.act(session, "deploy", ("nova",))
    assert not install.deployed(session)
    install.run(session, again=False)
    assert done == ["deploy", "deploy"]


def test_reconfiguring_everything_completes_the_phase(
    session: Session, done: list[str]
) -> None:
    install.act(session, "reconfigure")

    assert done == ["reconfigure"]
    assert complete(session)
    assert session.directory.load().done("os")


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("prechecks",), True),
        (("check",), True),
        (("mariadb-backup", "--full"), True),
        (("stop", "--yes-i-really-really-mean-it"), False),
        (("upgrade",), False),
        (("destroy", "--yes-i-really-really-mean-it"), False),
    ],
)
def test_a_command_that_changes_what_runs_makes_the_next_deployment_look(
    session: Session, done: list[str], words: Sequence[str], *, kept: bool
) -> None:
    install.run(session)
    install.command(session, words)

    assert done == ["deploy"]
    assert complete(session) is kept
    assert bool(install.deployed(session)) is kept


def test_after_kolla_s_own_destroy_no_openstack_is_there(
    session: Session, done: list[str], shell: RecordingShell
) -> None:
    install.run(session)
    install.command(session, ("destroy", "--yes-i-really-really-mean-it"))

    assert done == ["deploy"]
    assert "os" not in session.directory.load().phases
    [argv] = [argv for argv in shell.argvs if argv[0].endswith("kolla-ansible")]
    assert argv[argv.index("--limit") + 1] == "!localhost"
    unwired = [call.argv[-2] for call in shell.calls if call.stdin == UNWIRE]
    assert sorted(unwired) == ["root@192.0.2.2", "root@192.0.2.3"]
    assert shell.argvs.index(argv) < min(
        number for number, call in enumerate(shell.calls) if call.stdin == UNWIRE
    ), "the switch is still needed by kolla's own"


def test_openstack_is_there_after_kolla_s_own_destroy_of_some_machines(
    session: Session, done: list[str], shell: RecordingShell
) -> None:
    install.run(session)
    words = ("destroy", "--yes-i-really-really-mean-it", "--limit", "compute-1")
    install.command(session, words)

    assert done == ["deploy"]
    assert not install.deployed(session)
    assert "os" in session.directory.load().phases
    assert UNWIRE not in {call.stdin for call in shell.calls}


def test_what_some_services_left_is_known_to_be_there(
    session: Session, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        # Known before anything is done: enos may be killed on the way.
        assert session.directory.load().phases["os"].status == "failed"
        raise PlaybookError("nova failed on compute-1")

    monkeypatch.setattr(kolla, "deploy", fail)
    with pytest.raises(PlaybookError):
        install.act(session, "deploy", ("nova",))

    assert done == []
    assert deployed.there(session)


@pytest.mark.parametrize(
    ("words", "known"), [(("deploy",), True), (("prechecks",), False)]
)
def test_what_a_command_of_kolla_s_left_is_known_to_be_there(
    session: Session, done: list[str], words: Sequence[str], *, known: bool
) -> None:
    install.command(session, words)

    assert done == []
    assert deployed.there(session) is known
    assert not session.directory.load().done("os")


def test_a_broker_without_a_cluster_goes_before_the_prechecks(
    session: Session, done: list[str], shell: RecordingShell
) -> None:
    def look(call: Call) -> Answer:
        assert done == []
        return Answer(stdout="half\n" if call.stdin == brokers.LOOK else "")

    shell.script("ssh *'sh -s -- docker'", *[look] * 4)

    install.run(session)

    assert done == ["deploy"]
    asked = [call.stdin for call in shell.calls if call.stdin]
    assert sorted(asked) == sorted([brokers.LOOK, brokers.REMOVE] * 2)


def test_a_machine_that_does_not_answer_is_taken_to_be_like_another(
    session: Session, shell: RecordingShell
) -> None:
    shell.on("ssh *192.0.2.2*", stdout="cpus=6\nkvm=yes\n")
    before = len(shell.argvs)

    found = install._nodes(session, ("compute-1",))

    assert list(found) == ["control-1", "compute-1"]
    assert found["control-1"] == found["compute-1"]
    assert found["compute-1"].cpus == 6
    assert len(shell.argvs) == before + 1
