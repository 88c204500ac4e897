"""What goes wrong is told once, with place, hint and exit code; nothing is harmed."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from enos import plugins
from enos.errors import CapabilityError
from enos.state.directory import Directory
from enos.state.record import PhaseRecord
from enos.testing import Answer, Call, FakeProvider, RecordingShell

Enos = Callable[..., Any]
Golden = Callable[[str, str], None]

BROKEN = Path(__file__).parents[1] / "golden" / "broken"
FAKE = "provider: {type: fake}\nresources: {any: {control: 1}}\n"
STATIC = """\
provider: static
resources: {control: {address: 10.0.0.9, keyfile: lab-key}}
"""
LOOK = '[{"ifname": "eth0", "addr_info": [{"family": "inet", %s}]}]'
ADDRESS = LOOK % '"local": "10.0.0.9", "prefixlen": 24'


@pytest.fixture
def fake(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of an experiment on the testbed that is nowhere."""
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    (here / "demo.yml").write_text(FAKE)
    return here / "demo.yml"


def pretend(directory: Directory, *phases: str) -> None:
    """Say in the state that phases are done."""
    state = directory.load()
    for name in phases:
        done = PhaseRecord(status="done", started=1.0, finished=2.0)
        state = state.with_phase(name, done)
    directory.save(state)


@pytest.mark.parametrize(
    "name",
    ["unknown_key", "unknown_role_in_a_constraint", "zero_machines", "misaligned_keys"],
)
@pytest.mark.parametrize("command", ["check", "up", "deploy"])
def test_a_wrong_file_is_explained_and_nothing_is_begun(
    enos: Enos, here: Path, name: str, command: str
) -> None:
    (here / f"{name}.yml").write_bytes((BROKEN / f"{name}.yml").read_bytes())

    told = enos(command, "-f", f"{name}.yml")

    assert (told.code, told.out) == (3, "")
    assert told.err == (BROKEN / f"{name}.txt").read_text()
    assert [path.name for path in here.iterdir()] == [f"{name}.yml"]


def test_a_file_that_is_not_there_may_be_a_misspelt_topology(enos: Enos) -> None:
    told = enos("up", "-f", "dmeo")

    assert told.code == 3
    assert told.err == "error: there is no file `dmeo`\nhint: did you mean `demo`?\n"


def test_a_wrong_key_file_is_named_before_anybody_is_called(
    enos: Enos, here: Path, shell: RecordingShell, golden: Golden
) -> None:
    (here / "mine.yml").write_text(STATIC)

    told = enos("up", "-f", "mine.yml")

    assert told.code == 4
    golden("cli/wrong-key-file.txt", told.err)
    assert shell.calls == []


def test_an_unreachable_host_is_named_and_the_same_command_goes_on(
    enos: Enos, here: Path, shell: RecordingShell, golden: Golden
) -> None:
    (here / "mine.yml").write_text(STATIC)
    (here / "lab-key").touch()
    deaf = "ssh: connect to host 10.0.0.9 port 22: Connection refused"
    shell.on("ssh *10.0.0.9*", stderr=deaf, returncode=255)

    told = enos("up", "-f", "mine.yml")
    shell.on("ssh *10.0.0.9*", stdout=ADDRESS)
    again = enos("up", "-f", "mine.yml")

    assert told.code == 4
    golden("cli/unreachable-host.txt", told.err)
    assert again.code == 0
    assert Directory(here / "enos-mine").load().done("up")


@pytest.mark.usefixtures("kolla_ansible")
def test_a_machine_without_docker_is_told_how_to_get_it(
    enos: Enos,
    shell: RecordingShell,
    golden: Golden,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from enos_local import engine

    def missing(call: Call) -> Answer:
        raise CapabilityError(f"`{call.argv[0]}` cannot be started: not there")

    shell.script("docker *", missing)
    account = engine.Machine(root=False, debian=True, systemd=True)
    monkeypatch.setattr(engine, "this_machine", lambda: account)
    monkeypatch.setattr(engine, "missing_programs", dict)

    told = enos("up", "-f", "demo")

    assert told.code == 9
    golden("cli/no-docker.txt", told.err)


@pytest.mark.usefixtures("shell")
def test_a_guest_image_that_is_another_is_refused(
    enos: Enos, here: Path, fake: Path, golden: Golden
) -> None:
    image = here.parent / "guest.img"
    image.write_bytes(b"another image")
    wanted = f"{{url: 'file://{image}', checksum: 'sha256:{'0' * 64}'}}"
    fake.write_text(f"{FAKE}guest_image: {wanted}\n")

    assert enos("up", "-f", "demo.yml").code == 0
    pretend(Directory(here / "enos-demo"), "os")
    told = enos("init")

    assert told.code == 11
    golden("cli/wrong-guest-image.txt", told.err)
    assert list((here.parent / "cache" / "guest").iterdir()) == []


@pytest.mark.usefixtures("shell", "fake")
def test_a_full_disk_is_called_so_and_the_same_command_goes_on(
    enos: Enos, here: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        told = enos("up", "-f", "demo.yml")
    again = enos("up", "-f", "demo.yml")

    assert told.code == 9
    golden("cli/full-disk.txt", told.err)
    assert again.code == 0
    assert Directory(here / "enos-demo").load().done("up")


@pytest.mark.usefixtures("shell", "fake")
@pytest.mark.parametrize(
    ("argv", "first"),
    [
        (("os",), "up"),
        (("os", "--reconfigure"), "up"),
        (("init",), "os"),
        (("tc",), "up"),
        (("tc", "--test"), "tc"),
        (("destroy",), "up"),
    ],
)
def test_a_phase_out_of_order_names_the_one_to_run_first(
    enos: Enos, here: Path, argv: tuple[str, ...], first: str
) -> None:
    Directory(here / "enos-demo").create(provider="fake")

    told = enos(*argv)

    assert told.code == 8
    assert told.err.splitlines()[-2:] == [
        f"error: `{first}` has not been completed in `enos-demo`",
        f"hint: run `enos {first}` first",
    ]


@pytest.mark.usefixtures("shell", "fake")
def test_a_second_enos_in_the_same_directory_stays_out(enos: Enos, here: Path) -> None:
    assert enos("up", "-f", "demo.yml").code == 0

    with Directory(here / "enos-demo").locked():
        told = [enos("tc", "--reset"), enos("destroy", "--hard")]
    after = enos("destroy", "--hard")

    assert [one.code for one in told] == [8, 8]
    assert told[0].err == told[1].err
    assert told[0].err.splitlines() == [
        f"error: another enos (process {os.getpid()}) works in `<dir>/here/enos-demo`",
        "hint: wait for it, or name another directory with `--env DIR`",
    ]
    assert after.code == 0


@pytest.mark.usefixtures("fake")
def test_an_interrupted_command_goes_on(
    enos: Enos, here: Path, shell: RecordingShell
) -> None:
    def interrupt(_: Call) -> NoReturn:
        raise KeyboardInterrupt

    shell.script("ssh *", interrupt, Answer())

    told = enos("up", "-f", "demo.yml")
    again = enos("up", "-f", "demo.yml")

    assert told.code == 130
    assert told.err.endswith("interrupted: the same command goes on from here\n")
    assert again.code == 0
    assert Directory(here / "enos-demo").load().done("up")


def test_a_damaged_state_is_not_guessed_at(enos: Enos, here: Path) -> None:
    Directory(here / "enos-demo").create(provider="fake")
    (here / "enos-demo" / "state.json").write_text('{"version": 1, "session"')

    told = enos("info")

    assert told.code == 8
    assert told.err.startswith(
        "error: `<dir>/here/enos-demo/state.json` cannot be read"
    )
    assert told.err.endswith(
        "hint: restore it from a backup; the journal tells what was acquired\n"
    )


@pytest.mark.parametrize("argv", [("info",), ("backup", "--verify")])
def test_what_is_no_archive_is_refused(
    enos: Enos, here: Path, argv: tuple[str, ...]
) -> None:
    (here / "holiday.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 100)

    told = enos(*argv, "holiday.jpg")

    assert (told.code, told.out) == (12, "")
    assert told.err.startswith("error: `holiday.jpg`")


@pytest.mark.parametrize(
    "argv",
    [
        ("tc", "--plan", "--reset"),
        ("tc", "--set", "grp1,grp2", "delay=5ms", "--test"),
        ("tc", "delay=5ms"),
        ("tc", "--one-way"),
        ("os", "--reconfigure", "--pull"),
        ("deploy", "--no-such-option"),
        ("info", "no-such-archive.tar"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_opened(
    enos: Enos, here: Path, argv: tuple[str, ...]
) -> None:
    told = enos(*argv)

    assert (told.code, told.out) == (2, "")
    assert "Error: " in told.err
    assert list(here.iterdir()) == []
