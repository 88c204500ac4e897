import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from enos.archive import (
    BackupPlan,
    archive_name,
    as_json,
    as_lines,
    as_text,
    describe,
    plan_backup,
    verify,
    write,
)
from enos.archive.write import WORKPLACE, _locked
from enos.errors import ArchiveError
from enos.process import LocalShell
from enos.testbed import Host, Testbed
from enos.testing.recording import Answer, Call, RecordingProgress, RecordingShell

PASSWORD = "rN7vQ2xT9mK4bW8cZ1dF6gH3jL5pS0aY"
LOGS = "var/lib/docker/volumes/kolla_logs/_data"


def tar(files: Mapping[str, str], *, links: Mapping[str, str] | None = None) -> str:
    """Return a tar stream as GNU tar on a host would send it."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT) as stream:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), 1_700_000_000
            stream.addfile(info, io.BytesIO(text.encode()))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            stream.addfile(info)
    return sink.getvalue().decode("ascii")


NOVA = {
    f"{LOGS}/nova/nova-api.log": f"connecting with {PASSWORD}\n" * 3,
    "etc/kolla/nova-api/nova.conf": f"[database]\nconnection = m://n:{PASSWORD}@h/n\n",
    "etc/kolla/keystone/fernet-keys/0": "c2VjcmV0",
}


@pytest.fixture
def shell() -> RecordingShell:
    answering = RecordingShell()
    answering.on("*env uname*", stdout="Linux control-1 6.1\n")
    answering.on("*tar --create*", stdout=tar(NOVA))
    return answering


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An experiment directory after a whole run."""
    files = {
        "experiment.yml": "provider: static\n",
        "state.json": '{"admin_password": "typed"}\n',
        "journal.jsonl": "".join(
            json.dumps(event) + "\n"
            for event in (
                {"time": 1.7e9, "kind": "phase", "what": "up", "status": "started"},
                {
                    "time": 1.7e9 + 60,
                    "kind": "phase",
                    "what": "up",
                    "status": "finished",
                    "seconds": 60.0,
                },
            )
        ),
        "kolla/passwords.yml": f"nova_database_password: {PASSWORD}\n",
        "kolla/globals.yml": "kolla_base_distro: debian\n",
        "logs/up.log": f"$ ansible --extra {PASSWORD}\n",
        "provider/id_ed25519": "-----BEGIN OPENSSH PRIVATE KEY-----\n",
        "results/bench-1/results.json": json.dumps(
            [
                {"name": "boot", "ok": False, "verdict": "1 of 2 iterations passed"},
                {"name": "auth", "ok": True, "verdict": "2 of 2 iterations passed"},
            ]
        ),
        "results/tc.json": json.dumps(
            {
                "verdicts": [
                    {
                        "source": "control-1",
                        "destination": "compute-1",
                        "quantity": "rtt",
                        "asked": 50.0,
                        "measured": 50.3,
                        "ok": True,
                    }
                ]
            }
        ),
    }
    home = tmp_path / "enos-demo"
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return home


def machines(*names: str) -> Testbed:
    hosts = tuple(
        Host(name=name, address=f"10.0.0.{number}")
        for number, name in enumerate(names, start=1)
    )
    return Testbed(provider="static", hosts=hosts, networks=())


def planned(directory: Path, *names: str) -> BackupPlan:
    return plan_backup(
        machines(*names),
        directory,
        generated={"resolved.json": "{}\n"},
        versions={"enos": "9.0"},
    )


def contents(path: Path) -> dict[str, str]:
    """Return the text of every member, in order."""
    raw = path.read_bytes()
    if path.name.endswith(".zst"):
        reader = zstandard.ZstdDecompressor().stream_reader(
            raw, read_across_frames=True
        )
        raw = reader.read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {
            info.name: data.read().decode()
            for info in archive
            if (data := archive.extractfile(info))
        }


@pytest.mark.parametrize("suffix", ["tar.zst", "tar.gz", "tar"])
def test_everything_is_archived_without_its_secrets(
    directory: Path, tmp_path: Path, shell: RecordingShell, suffix: str
) -> None:
    saved = tmp_path / f"a.{suffix}"
    write(planned(directory, "c1"), saved, shell=shell, progress=RecordingProgress())

    found = contents(saved)
    assert not any(PASSWORD in text for text in found.values())
    assert found["enos-demo/resolved.json"] == "{}\n"
    assert found["enos-demo/hosts/c1/logs/nova/nova-api.log"] == (
        "connecting with [redacted]\n" * 3
    )
    assert found["enos-demo/hosts/c1/facts/uname.txt"] == "Linux control-1 6.1\n"
    assert found["enos-demo/state.json"] == '{"admin_password": "[redacted]"}\n'
    assert "provider" not in "".join(found)
    assert list(found)[-2:] == [
        "enos-demo/manifest.json",
        "enos-demo/manifest.json.sha256",
    ]


def test_an_archive_just_written_verifies(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    saved = tmp_path / "a.tar.zst"
    plan = planned(directory, "c1", "c2")
    manifest = write(plan, saved, shell=shell, progress=RecordingProgress())

    found = verify(saved)
    found.require()
    assert found.ok
    assert found.manifest == manifest
    assert PASSWORD not in saved.read_text(errors="replace")
    assert saved.stat().st_mode & 0o777 == 0o600


def test_the_manifest_tells_what_was_redacted_and_left_out(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    saved = tmp_path / "a.tar.zst"
    plan = planned(directory, "c1")
    manifest = write(plan, saved, shell=shell, progress=RecordingProgress())

    members = {member.path: member for member in manifest.members}
    assert members["hosts/c1/logs/nova/nova-api.log"].redactions == 3
    assert members["hosts/c1/logs/nova/nova-api.log"].host == "c1"
    assert members["logs/up.log"].host == ""
    withheld = {(one.host, one.path): one.reason for one in manifest.withheld}
    assert withheld == {
        ("", "kolla/passwords.yml"): "password list",
        ("c1", "hosts/c1/etc/kolla/keystone/fernet-keys/0"): "token key",
    }


def test_members_come_in_the_same_order_each_time(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    plan = planned(directory, "c1", "c2", "c3", "c4")
    orders = []
    for number in range(3):
        saved = tmp_path / f"{number}.tar"
        write(plan, saved, shell=shell, progress=RecordingProgress())
        orders.append(list(contents(saved)))
    assert orders[0] == orders[1] == orders[2]
    hosts = [name.split("/")[2] for name in orders[0] if "/hosts/" in name]
    assert hosts == sorted(hosts)


def test_a_dead_host_makes_the_archive_partial_and_says_so(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    why = "ssh: connect to host 10.0.0.2 port 22: No route to host"
    shell.on("*root@10.0.0.2*", stderr=why, returncode=255)
    saved, progress = tmp_path / "a.tar.zst", RecordingProgress()
    plan = planned(directory, "c1", "c2")
    manifest = write(plan, saved, shell=shell, progress=progress)

    assert not manifest.complete
    assert [host.status for host in manifest.hosts] == ["ok", "unreachable"]
    assert manifest.hosts[1].reasons == (why,)
    assert progress.warnings == [f"c2 is unreachable in the archive: {why}"]
    assert verify(saved).ok


def test_a_missing_folder_and_a_missing_program_are_recorded(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    gone = "tar: etc/kolla: Cannot stat: No such file or directory\n"
    only_logs = {f"{LOGS}/a.log": "a\n"}
    shell.script(
        "*tar --create*", Answer(stdout=tar(only_logs), stderr=gone, returncode=2)
    )
    shell.on("*env lscpu*", returncode=127)
    shell.on("*env docker*", returncode=127)
    shell.on("*env podman*", returncode=127)
    manifest = write(
        planned(directory, "c1"),
        tmp_path / "a.tar",
        shell=shell,
        progress=RecordingProgress(),
    )

    (host,) = manifest.hosts
    assert host.status == "partial"
    assert set(host.missing) == {"docker or podman", "/etc/kolla"}
    assert host.reasons == ()
    assert any("env cat /proc/cpuinfo" in line for line in shell.lines)


def test_a_connection_that_breaks_keeps_what_had_arrived(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    whole = tar({f"{LOGS}/a.log": "a\n", f"{LOGS}/b.log": "b" * 5000})
    cut = Answer(stdout=whole[: 512 * 4 + 100], stderr="broken pipe", returncode=255)
    shell.script("*tar --create*", cut)
    saved = tmp_path / "a.tar"
    manifest = write(
        planned(directory, "c1"), saved, shell=shell, progress=RecordingProgress()
    )

    (host,) = manifest.hosts
    assert host.status == "partial"
    assert host.reasons[0].startswith("its tar stream ended early")
    assert host.reasons[1] == "the connection was lost: broken pipe"
    assert verify(saved).ok
    paths = {member.path for member in manifest.members}
    assert "hosts/c1/logs/a.log" in paths
    assert "hosts/c1/logs/b.log" not in paths


def test_a_program_that_fails_is_told_without_its_secrets(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    shell.on("*env journalctl*", stderr=f"no {PASSWORD}", returncode=1)
    manifest = write(
        planned(directory, "c1"),
        tmp_path / "a.tar",
        shell=shell,
        progress=RecordingProgress(),
    )
    (reason,) = manifest.hosts[0].reasons
    assert reason.endswith("no [redacted]")


def test_names_a_host_makes_up_never_enter(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    evil = {
        "etc/kolla/../../root/.ssh/authorized_keys": "mine",
        "tmp/elsewhere": "x",
        "etc/kolla/new\nline": "x",
        "etc/kolla/twice": "1",
        "etc/kolla//twice": "2",
    }
    stream = tar(evil, links={"etc/kolla/link": "/etc/shadow"})
    shell.on("*tar --create*", stdout=stream)
    saved = tmp_path / "a.tar"
    manifest = write(
        planned(directory, "c1"), saved, shell=shell, progress=RecordingProgress()
    )

    assert verify(saved).ok
    assert [name for name in contents(saved) if "/etc/" in name] == [
        "enos-demo/hosts/c1/etc/kolla/twice"
    ]
    assert {one.reason for one in manifest.withheld if one.host} == {
        "it climbs out of its folder",
        "it was not asked for",
        "its name holds control characters or is not UTF-8",
        "its name has empty or dot parts",
        "it is a symbolic link",
    }


def test_a_password_list_that_cannot_be_read_stops_everything(directory: Path) -> None:
    (directory / "kolla" / "passwords.yml").write_text("a: [1\nb: secret")
    with pytest.raises(ArchiveError, match="passwords cannot be redacted") as refused:
        planned(directory)
    assert "secret" not in refused.value.details


def test_short_passwords_are_warned_of(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    (directory / "kolla" / "passwords.yml").write_text("a: abc\nb: x\n")
    progress = RecordingProgress()
    write(planned(directory), tmp_path / "a.tar", shell=shell, progress=progress)
    assert progress.warnings[0].startswith("2 passwords have fewer than 4 characters")


def test_a_name_that_tells_no_kind_of_archive_is_refused(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    with pytest.raises(ArchiveError, match=r"`a\.zip` does not name") as refused:
        write(
            planned(directory),
            tmp_path / "a.zip",
            shell=shell,
            progress=RecordingProgress(),
        )
    assert ".tar.zst" in refused.value.hint


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from enos.archive import plan_backup, write
from enos.errors import ArchiveError
from enos.testing.recording import RecordingProgress, RecordingShell
directory, saved = Path(sys.argv[1]), Path(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
try:
    plan = plan_backup(None, directory)
    write(plan, saved, shell=RecordingShell(), progress=RecordingProgress())
except ArchiveError as error:
    print(error.message, "|", error.hint)
    sys.exit(error.exit_code)
"""


@pytest.mark.usefixtures("processes")
def test_a_full_disk_leaves_the_archive_that_was_there(
    directory: Path, tmp_path: Path
) -> None:
    (directory / "logs" / "big.log").write_bytes(os.urandom(200_000).hex().encode())
    saved = tmp_path / "a.tar"
    saved.write_text("the one before")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, directory, saved],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 12, done.stderr
    assert done.stdout.startswith(f"`{saved}` cannot be written: File too large | make")
    assert saved.read_text() == "the one before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "enos-demo"]


def test_what_a_killed_run_left_is_removed_and_what_a_live_one_uses_is_not(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    dead, alive = tmp_path / f"{WORKPLACE}dead", tmp_path / f"{WORKPLACE}alive"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "00000.part").write_text("half")
    with _locked(alive):
        write(
            planned(directory),
            tmp_path / "a.tar",
            shell=shell,
            progress=RecordingProgress(),
        )
    assert not dead.exists()
    assert alive.exists()


def test_a_failure_on_this_machine_ends_the_other_hosts_streams(
    directory: Path, tmp_path: Path
) -> None:
    def fail(_: Call) -> Answer:
        raise OSError(28, "No space left on device")

    shell = RecordingShell()
    shell.on("*tar --create*", stdout=tar(NOVA))
    shell.script("*root@10.0.0.2*env lscpu*", fail)
    plan = planned(directory, "c1", "c2")
    with pytest.raises(ArchiveError, match="No space left on device"):
        write(plan, tmp_path / "a.tar", shell=shell, progress=RecordingProgress())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["enos-demo"]


def test_a_description_tells_the_whole_story(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    shell.on("*root@10.0.0.2*", stderr="no route", returncode=255)
    saved = tmp_path / "a.tar.zst"
    plan = planned(directory, "c1", "c2")
    manifest = write(plan, saved, shell=shell, progress=RecordingProgress())

    told = describe(saved)
    text = as_text(told)
    for line in (
        f"archived  {manifest.created}, {len(manifest.members)} files,",
        "ran       2023-11-14T22:13:20+00:00 to 2023-11-14T22:14:20+00:00",
        "host      c1               ok",
        "host      c2               unreachable: no route",
        "phase     up         finished      60.0 s",
        "network   control-1 → compute-1: rtt asked 50, measured 50.3 passed",
        "scenario  bench-1 boot: FAILED, 1 of 2 iterations passed",
        "scenario  bench-1 auth: passed, 2 of 2 iterations passed",
        "version   enos 9.0",
    ):
        assert line in text
    assert json.loads(json.dumps(as_json(told)))["complete"] is False


def test_a_description_survives_results_it_cannot_read(
    directory: Path, tmp_path: Path, shell: RecordingShell
) -> None:
    (directory / "results" / "tc.json").write_text('{"verdicts": [{}]}')
    (directory / "journal.jsonl").write_text('{"time": "\x1b[31m"}\n[1]\n{cut')
    saved = tmp_path / "a.tar"
    write(planned(directory), saved, shell=shell, progress=RecordingProgress())

    told = describe(saved)
    assert told.notes == ("`results/tc.json` cannot be read: KeyError: 'measured'",)
    assert as_text(told).isprintable() is False  # lines
    assert all(line.isprintable() for line in as_text(told).split("\n"))


def test_the_plan_can_be_read_before_anything_is_done(
    directory: Path, golden: Callable[[str, str], None]
) -> None:
    plan = planned(directory, "control-1")
    text = "\n".join(as_lines(plan)).replace(str(directory), "DIR") + "\n"
    golden("archive/plan.txt", text)
    assert PASSWORD not in repr(plan)


def test_an_archive_is_named_after_its_experiment_and_hour() -> None:
    when = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)
    assert archive_name("enos-demo", when) == "enos-demo-20261121T090500Z.tar.zst"


def test_a_pipe_that_nobody_answers_is_not_needed_without_hosts(
    directory: Path, tmp_path: Path
) -> None:
    plan = plan_backup(None, directory)
    manifest = write(
        plan, tmp_path / "a.tar", shell=LocalShell(), progress=RecordingProgress()
    )
    assert manifest.complete
    assert manifest.hosts == ()
