"""Monitoring in the phases: on, off, silent, kept."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from enos import plugins
from enos.errors import MonitoringError, StateError
from enos.metrics import grafana
from enos.phases import agents, drawn, health, metrics, services, since
from enos.phases.session import Session, Workshop, phase, starting
from enos.testing import Answer, Call, FakeProvider, RecordingProgress, RecordingShell

ON = """\
provider: {type: fake}
resources: {any: {control: 1, compute: 1}}
enable_monitoring: true
monitoring: {interval: 1s}
"""


@pytest.fixture(autouse=True)
def _at_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()  # however long a busy machine takes from sample to question
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(metrics, "LATE", 0.0)
    monkeypatch.setattr(time, "sleep", lambda _: None)


@contextmanager
def opened(
    where: Path, shell: RecordingShell, text: str = ON, *, up: bool = True
) -> Iterator[tuple[Session, RecordingProgress]]:
    file, progress = where / "demo.yml", RecordingProgress()
    file.write_text(text)
    workshop = Workshop(
        progress=progress, where=where, cache=where / "cache", shell=lambda _: shell
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
        patch.setattr(plugins, "provider", lambda _: FakeProvider)
        with starting(file, None, workshop) as session:
            demand = session.experiment.demand
            session.save(testbed=session.provider.acquire(demand))
            if up:
                with phase(session, metrics.PHASE):
                    pass
            yield session, progress


def beats(shell: RecordingShell, *hosts: str) -> None:
    """Let a database answer that has a sample of each host every second."""
    now = time.time()
    series = [
        {
            "name": "cpu",
            "tags": {"host": host, "instance": "", "unit": "cores"},
            "columns": ["time", "value"],
            "values": [[(now - back) * 1000, 0.5] for back in range(30, -1, -1)],
        }
        for host in hosts
    ]
    told = json.dumps({"results": [{"series": series}]})

    def answer(call: Call) -> Answer:
        return Answer(stdout=told if "SELECT" in call.stdin else "")

    shell.script("*fetch(*", answer)


def test_without_monitoring_nothing_is_asked_and_nothing_kept(tmp_path: Path) -> None:
    shell = RecordingShell()
    off = ON.replace("true", "false")
    with opened(tmp_path, shell, off, up=False) as (session, _):
        metrics.run(session)

        assert metrics.covered(session, tmp_path, 0) is None
        assert metrics.keep(session) is None
        with pytest.raises(StateError, match="is not monitored"):
            metrics.planned(session)
    assert not [line for line in shell.lines if "python3" in line]


def test_a_run_that_was_measured_all_along_says_so(tmp_path: Path) -> None:
    shell = RecordingShell()
    with opened(tmp_path, shell) as (session, progress):
        beats(shell, *(host.name for host in session.testbed.hosts))
        found = metrics.covered(session, tmp_path, time.time() - 20)

    assert found is not None
    assert found.ok
    assert json.loads((tmp_path / "metrics.json").read_text())["ok"] is True
    assert progress.warnings == []


def test_a_machine_that_was_not_measured_is_named_in_the_results(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    with opened(tmp_path, shell) as (session, progress):
        first, second = (host.name for host in session.testbed.hosts)
        beats(shell, first)
        found = metrics.covered(session, tmp_path, time.time() - 20)

    assert found is not None
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert [gap["host"] for gap in kept["gaps"]] == [second]
    assert kept["gaps"][0]["seconds"] == pytest.approx(20, abs=1)
    assert progress.warnings[0].startswith(f"measures are missing of {second}")
    with pytest.raises(MonitoringError, match=second):
        found.require()


def test_a_service_that_never_answered_is_named_in_the_results(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    with opened(tmp_path, shell) as (session, progress):
        first, second = (host.name for host in session.testbed.hosts)
        services.remember(session.directory, {first: ["rabbitmq"], "gone": ["mariadb"]})
        beats(shell, first, second)
        before = metrics.covered(session, tmp_path, time.time() - 20)
        with phase(session, "os"):
            pass
        found = metrics.covered(session, tmp_path, time.time() - 20)

    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert before is not None
    assert before.ok  # without an OpenStack no service is missing
    assert found is not None
    assert (kept["ok"], kept["gaps"]) == (False, [])
    assert kept["problem"] == f"rabbitmq on {first} never answered"
    assert progress.warnings == [f"rabbitmq on {first} never answered"]
    with pytest.raises(MonitoringError, match="rabbitmq"):
        found.require()


def test_the_measures_of_a_run_are_kept_with_it_as_finely_as_they_were_taken(
    tmp_path: Path,
) -> None:
    shell, begin = RecordingShell(), time.time() - 20
    with opened(tmp_path, shell) as (session, _):
        beats(shell, *(host.name for host in session.testbed.hosts))
        metrics.covered(session, tmp_path, begin)
        asked = [call.stdin for call in shell.calls if "mean(" in call.stdin]

    (lane,) = json.loads((tmp_path / drawn.FILE).read_text())
    assert lane["title"] == "CPU"
    assert len(lane["lines"][0]["points"]) == 31
    assert len(asked) == 1
    assert "time(1000ms)" in asked[0]
    assert f"time >= {round((begin - 3) * 1000)}ms" in asked[0]


def result(folder: Path, began: float, *, ok: bool | None = None) -> Path:
    folder.mkdir(parents=True)
    one = {
        "name": "boot",
        "plugin": "p",
        "verdict": "",
        "ok": True,
        "durations": [],
        "slas": [],
        "began": began,
        "seconds": 9.0,
    }
    (folder / "results.json").write_text(json.dumps([one]))
    if ok is not None:
        (folder / "metrics.json").write_text(json.dumps({"ok": ok}))
        (folder / drawn.FILE).write_text("[]")
    return folder


def test_a_run_that_lacked_measures_at_its_end_is_asked_for_again(
    tmp_path: Path,
) -> None:
    never = result(tmp_path / "never", 100.0)
    partly = result(tmp_path / "partly", 200.0, ok=False)
    result(tmp_path / "whole", 300.0, ok=True)
    result(tmp_path / "not-begun", 0.0)
    (result(tmp_path / "broken", 1.0) / "results.json").write_text("[")

    assert list(drawn.lacking(tmp_path)) == [
        (never, (100.0, 109.0)),
        (partly, (200.0, 209.0)),
    ]


@pytest.mark.parametrize(("more", "removals"), [("", 1), (", grafana: true", 0)])
def test_a_grafana_that_is_not_wanted_any_more_is_removed(
    more: str, removals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = RecordingShell()
    monkeypatch.setattr(agents, "bundles", lambda *_: {})
    text = ON.replace("interval: 1s", f"interval: 1s{more}")
    with opened(tmp_path, shell, text) as (session, _):
        metrics.run(session)

    asked = [call for call in shell.calls if call.stdin == grafana.REMOVAL]
    assert len(asked) == removals


def test_a_database_that_is_gone_ends_neither_the_run_nor_the_backup(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    shell.on("*python3 -c*", stderr="[Errno 111] Connection refused", returncode=4)
    with opened(tmp_path, shell) as (session, _):
        run = metrics.covered(session, tmp_path, time.time() - 20)
        whole = metrics.keep(session)
        results = session.directory.results

    assert run is not None
    assert whole is not None
    assert (
        "Connection refused"
        in json.loads((results / "metrics.json").read_text())["problem"]
    )
    for found in (run, whole):
        with pytest.raises(MonitoringError, match="Connection refused") as failed:
            found.require()
        assert failed.value.exit_code == 14


def test_the_password_is_made_once_private_and_withheld_from_archives(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, RecordingShell()) as (session, _):
        first, second = metrics.planned(session), metrics.planned(session)
        file = session.directory.path / metrics.PASSWORD

        assert first.password == second.password == file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert metrics.passwords(session) == (first.password,)


def test_the_status_names_machines_that_are_silent(tmp_path: Path) -> None:
    shell = RecordingShell()
    with opened(tmp_path, shell) as (session, _):
        first, second = (host.name for host in session.testbed.hosts)
        beats(shell, first)
        found = health.status(session)

    assert [one.host for one in found] == [first, second]
    assert found[1].age is None
    health.require(found[:1], 1)
    with pytest.raises(MonitoringError, match=f"{second} had no sample for 3 s"):
        health.require(found, 1)


OFF = ON.replace("true", "false")


def removed(shell: RecordingShell) -> list[Call]:
    return [call for call in shell.calls if '"remove": true' in call.stdin]


def tarred(**members: str) -> str:
    """Return a tar file as text, for a shell that answers in UTF-8."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue().decode()


def test_turned_off_it_is_saved_and_then_removed_from_the_machines(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    shell.on("*PLACE PORT*", stdout=tarred(measures_lp_gz="points"))
    with opened(tmp_path, shell, OFF) as (session, progress):
        metrics.run(session)

        assert metrics.PHASE not in session.directory.load().phases
        (folder,) = session.directory.results.glob("metrics-*")
    assert (folder / "measures.lp.gz").read_text() == "points"
    assert folder.name in progress.decisions[-1]
    assert len(removed(shell)) == 2


def test_measures_that_cannot_be_saved_are_not_removed(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("*PLACE PORT*", stderr="InfluxDB gives no backups", returncode=1)
    with opened(tmp_path, shell, OFF) as (session, _):
        with pytest.raises(MonitoringError, match="gives no backups") as failed:
            metrics.run(session)

        assert "`destroy --hard`" in failed.value.hint
        assert isinstance(failed.value.__cause__, MonitoringError)
        assert failed.value.__cause__.hint != failed.value.hint
        assert session.directory.load().done(metrics.PHASE)
    assert not removed(shell)


def test_monitoring_that_never_came_up_is_removed_without_measures(
    tmp_path: Path,
) -> None:
    shell = RecordingShell()
    shell.on("*PLACE PORT*", stderr="No such file", returncode=1)
    with opened(tmp_path, shell, OFF, up=False) as (session, progress):
        with suppress(KeyError), phase(session, metrics.PHASE):
            raise KeyError
        metrics.run(session)

    assert "No such file" in progress.warnings[-1]
    assert len(removed(shell)) == 2


def test_measuring_began_when_it_began_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, RecordingShell()) as (session, _):
        plan, directory = metrics.planned(session), session.directory
        first, second = (one.host.name for one in plan.hosts)
        early = replace(plan, hosts=plan.hosts[:1])
        for when, made in ((100.0, early), (200.0, plan)):
            monkeypatch.setattr(time, "time", lambda when=when: when)
            since.remember(directory, made)
        assert since.read(directory) == {first: 100.0, second: 200.0}

        since.remember(directory, replace(plan, interval=2))
        assert since.read(directory) == {first: 200.0, second: 200.0}
        since.forget(directory)
        assert since.read(directory) == {}
