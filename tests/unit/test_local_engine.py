from pathlib import Path

import pytest
from enos_local import doctor, engine
from enos_local.engine import Machine

from enos.errors import CapabilityError, ProcessError
from enos.provider import Check
from enos.testing import Answer, Call, RecordedStep, RecordingProgress, RecordingShell

USER = Machine(root=False, debian=True, systemd=True)
ROOT = Machine(root=True, debian=True, systemd=False)
VERSION = "docker version *"
DOWN = Answer(stderr="Cannot connect to the Docker daemon", returncode=1)
UP = Answer(stdout="26.1.5\n")
DENIED = Answer(stderr="permission denied while trying to connect", returncode=1)


@pytest.fixture(autouse=True)
def _all_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/usr/bin/{name}")


def missing(call: Call) -> Answer:
    raise CapabilityError(f"`{call.argv[0]}` cannot be started")


def ensure(shell: RecordingShell, machine: Machine) -> RecordingProgress:
    progress = RecordingProgress()
    engine.ensure(shell, progress, RecordedStep("Docker"), machine, Path("/tmp/log"))
    return progress


def test_a_docker_that_answers_is_left_alone() -> None:
    shell = RecordingShell()
    shell.script(VERSION, UP)
    assert ensure(shell, USER).decisions == []
    assert len(shell.calls) == 1


def test_root_on_debian_gets_docker_installed_and_started() -> None:
    shell = RecordingShell()
    shell.script(VERSION, missing, DOWN, DOWN, UP)
    progress = ensure(shell, ROOT)
    lines = "\n".join(shell.lines)
    install = "apt-get install -q -y --no-install-recommends docker.io iptables"
    assert install in lines
    assert "docker-cli" not in lines
    assert "setsid -f" in lines
    assert len(progress.decisions) == 2


def test_a_client_without_a_daemon_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _, **__: None)
    monkeypatch.setattr(engine, "missing_programs", dict)
    shell = RecordingShell()
    shell.script(VERSION, DOWN, DOWN, UP)
    ensure(shell, ROOT)
    assert "--no-install-recommends docker.io" in "\n".join(shell.lines)


def test_the_client_is_installed_too_where_it_is_a_package_of_its_own() -> None:
    shell = RecordingShell()
    shell.script(VERSION, missing, missing, UP)
    ensure(shell, ROOT)
    assert "--no-install-recommends docker-cli" in "\n".join(shell.lines)


def test_a_daemon_started_by_hand_does_not_carry_the_sessions_mark() -> None:
    shell = RecordingShell()
    shell.script(VERSION, DOWN, UP)
    ensure(shell, ROOT)
    (launch,) = [argv for argv in shell.argvs if "setsid" in argv]
    assert launch[:3] == ("env", "-u", "ENOS_SESSION")


def test_systemd_starts_the_daemon_where_it_runs() -> None:
    shell = RecordingShell()
    shell.script(VERSION, DOWN, UP)
    ensure(shell, Machine(root=True, debian=True, systemd=True))
    assert ("systemctl", "start", "docker") in shell.argvs


@pytest.mark.parametrize(
    ("machine", "answer", "hint"),
    [
        (USER, missing, "sudo apt-get install docker.io"),
        (Machine(root=True, debian=False, systemd=True), missing, "your packages"),
        (USER, DOWN, "sudo systemctl start docker"),
        (USER, DENIED, "usermod"),
    ],
)
def test_where_enos_may_not_help_itself_it_says_what_does(
    machine: Machine, answer: Answer, hint: str
) -> None:
    shell = RecordingShell()
    shell.script(VERSION, answer)
    with pytest.raises(CapabilityError) as caught:
        ensure(shell, machine)
    assert hint in caught.value.hint


@pytest.fixture
def _no_programs(monkeypatch: pytest.MonkeyPatch, _all_programs: None) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)


@pytest.mark.usefixtures("_no_programs")
def test_small_programs_are_installed_like_docker_is() -> None:
    shell = RecordingShell()
    shell.script(VERSION, UP)
    progress = ensure(shell, ROOT)
    assert shell.lines[1].endswith("iproute2 openssh-client")
    assert len(progress.decisions) == 1
    with pytest.raises(CapabilityError, match="ssh, ssh-keygen, ip"):
        ensure(shell, USER)


def test_doctor_names_the_packages_of_missing_programs() -> None:
    check = doctor.programs_check({"ssh": "openssh-client", "ip": "iproute2"})
    assert check.fix == "sudo apt-get install iproute2 openssh-client"
    assert doctor.programs_check({}).ok


def test_a_daemon_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "START_SECONDS", 0.0)
    shell = RecordingShell()
    shell.script(VERSION, DOWN)
    with pytest.raises(CapabilityError, match="does not answer 0 s after"):
        ensure(shell, ROOT)


def docker_line(answer: object, machine: Machine) -> Check:
    shell = RecordingShell()
    shell.script(VERSION, answer)  # type: ignore[arg-type]
    return doctor.docker_check(shell, machine)


def test_doctor_knows_every_state_of_docker() -> None:
    assert docker_line(UP, USER).ok
    by_itself = docker_line(missing, ROOT)
    assert (by_itself.ok, by_itself.required) == (False, False)
    assert docker_line(missing, USER).fix == "sudo apt-get install docker.io"
    assert docker_line(DOWN, USER).fix == "sudo systemctl start docker"
    assert docker_line(DENIED, USER).fix == engine.ADD_TO_GROUP


def test_doctor_tells_a_spare_capability_from_a_needed_one() -> None:
    assert doctor.capability_check(()).ok
    assert not doctor.capability_check(("SYS_RESOURCE",)).required
    assert doctor.capability_check(("NET_ADMIN", "SYS_TIME")).required


@pytest.mark.parametrize(
    ("mounted", "known", "ok", "required"),
    [
        (True, "", True, True),
        (False, "nodev\tcgroup2\n", False, False),
        (False, "nodev\tcgroup\n", False, True),
    ],
)
def test_doctor_accepts_control_groups_of_both_versions(
    tmp_path: Path, *, mounted: bool, known: str, ok: bool, required: bool
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/filesystems").write_text(known)
    if mounted:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/cgroup.controllers").touch()
    check = doctor.cgroup_check(tmp_path)
    assert (check.ok, check.required) == (ok, required)


def test_doctor_tries_netem_and_queues_in_a_namespace_of_their_own() -> None:
    shell = RecordingShell()
    shell.on("unshare *tc qdisc*", returncode=2)
    assert not doctor.netem_check(shell).ok
    assert doctor.queue_check(shell).ok
    assert all(call.argv[0] == "unshare" for call in shell.calls)


def test_doctor_measures_memory_as_it_is_sold(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    info = tmp_path / "proc/meminfo"
    info.write_text("MemTotal:        12009760 kB\nMemFree: 1 kB\n")
    assert doctor.memory_check(tmp_path).ok
    info.write_text("MemTotal:        8009760 kB\n")
    assert not doctor.memory_check(tmp_path).ok


def test_doctor_looks_for_room_where_the_cache_will_be(tmp_path: Path) -> None:
    check = doctor.disk_check(tmp_path / "not" / "there")
    assert str(tmp_path) in check.found
    assert "XDG_CACHE_HOME" in check.fix


def test_a_late_docker_counts_as_one_that_does_not_answer() -> None:
    def late(call: Call) -> Answer:
        raise ProcessError(f"`docker` did not end within {call.timeout:g} s")

    shell = RecordingShell()
    shell.script(VERSION, late)
    said = engine.ask(shell)
    assert said is not None
    assert (said.ok, said.stderr) == (False, "`docker` did not end within 30 s")


def test_the_readme_asks_for_what_doctor_looks_for() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    plain = " ".join(readme.split())
    assert f"{doctor.MEMORY} GB of memory" in plain
    assert f"{doctor.DISK} GB of disk" in plain
