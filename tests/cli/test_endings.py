"""How commands end: JSON of what was done, and the next command to type."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enos import content, plugins
from enos.errors import StateError
from enos.metrics.gaps import Coverage
from enos.phases import destroy, install, tc
from enos.phases import images as imaging
from enos.phases import init as initialising
from enos.phases.backup import Backup
from enos.phases.session import Session, phase
from enos.state.directory import Directory, for_experiment
from enos.state.record import PhaseRecord, State
from enos.testing import FakeProvider, RecordingShell

Enos = Callable[..., Any]

FILE = "provider: {type: fake}\nresources: {any: {control: 1}}\n"
PHASES = (
    (install, "run", "os"),
    (install, "act", "os"),
    (initialising, "run", "init"),
    (tc, "run", "tc"),
    (tc, "reset", ""),
    (destroy, "openstack", "destroy"),
)


@pytest.fixture
def done(
    here: Path, shell: RecordingShell, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Let phases end at once; return what was run, in order."""
    ran: list[str] = []
    assert shell.calls == []
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    for module, function, name in PHASES:
        monkeypatch.setattr(module, function, ended(ran, function, name))
    monkeypatch.setattr(install, "command", ended(ran, "command", ""))
    (here / "demo.yml").write_text(FILE)
    return ran


def ended(ran: list[str], function: str, name: str) -> Callable[..., None]:
    def run(session: Session, *_: object, **__: object) -> None:
        ran.append(function)
        if name:
            with phase(session, name) as running:
                running.facts["said"] = function

    return run


def told(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    assert isinstance(found["seconds"], float)
    return found


@pytest.mark.usefixtures("done")
def test_a_program_reads_what_each_phase_did(enos: Enos) -> None:
    where = "<dir>/here/enos-demo"
    up = told(enos("up", "-f", "demo.yml", "--json").out)
    several = [
        told(enos(*words.split(), "--json").out)
        for words in ("os", "init", "tc", "tc --reset", "destroy", "destroy --hard")
    ]
    whole = told(enos("deploy", "-f", "demo.yml", "--json").out)

    assert (up["did"], up["where"], up["next"]) == ("up", where, "enos os")
    assert list(up["phases"]) == ["up"]
    assert [(one["did"], one["next"]) for one in several] == [
        ("deploy", "enos init"),
        ("init", "enos tc"),
        ("tc", "enos tc --test"),
        ("tc --reset", "enos tc"),
        ("destroy", "enos os"),
        ("destroy --hard", "enos up -f demo.yml"),
    ]
    assert {one["where"] for one in several} == {where}
    assert several[1]["phases"]["init"]["facts"] == {"said": "run"}
    assert whole["did"] == "deploy"
    assert whole["where"] == "<dir>/here/enos-demo-2"
    assert list(whole["phases"]) == ["up", "os", "init"]


@pytest.mark.usefixtures("done")
@pytest.mark.parametrize(
    ("argv", "after"),
    [
        (("os",), "enos init"),
        (("os", "--pull"), "enos os"),
        (("os", "--reconfigure"), "enos init"),
        (("os", "--", "stop"), ""),
        (("init",), "enos tc"),
        (("tc", "--reset"), "enos tc"),
        (("destroy", "--hard"), "enos up -f demo.yml"),
    ],
)
def test_the_next_command_is_for_the_same_experiment(
    enos: Enos, here: Path, argv: tuple[str, ...], after: str
) -> None:
    begun = enos("up", "-f", "demo.yml", "--env", "mine").err
    (here / "current").unlink()
    named = enos("--env", "mine", *argv).err
    assert enos("up", "-f", "demo.yml").code == 0
    short = enos(*argv).err

    assert begun.endswith("next: enos os --env mine\n")
    if after:
        assert named.endswith(f"next: {after} --env mine\n")
        assert short.endswith(f"next: {after}\n")
    else:
        assert "next:" not in named + short


@pytest.mark.usefixtures("done")
def test_images_lead_on_to_the_experiment_they_are_for(
    enos: Enos, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    made = SimpleNamespace(digests={"cron": "sha256:1"})
    monkeypatch.setattr(imaging, "make", lambda _: made)

    built = enos("images", "build", "-f", "demo.yml", "--json")

    assert json.loads(built.out) == {"cron": "sha256:1"}
    assert built.err.endswith("next: enos up -f demo.yml\n")


@pytest.mark.usefixtures("done")
def test_a_shipped_topology_is_called_by_its_name(
    enos: Enos, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = here.parent / "shipped"
    folder.mkdir()
    (folder / "lab.yml").write_text(FILE)
    monkeypatch.setattr(content, "folder", lambda _: folder)

    assert enos("up", "-f", "lab").code == 0

    assert enos("destroy", "--hard").err.endswith("next: enos up -f lab\n")


@pytest.mark.usefixtures("done")
def test_images_that_were_pushed_or_copied_are_listed(
    enos: Enos, monkeypatch: pytest.MonkeyPatch
) -> None:
    from enos.images.registry import SyncPlan

    plan = SyncPlan(copies=(("kolla/cron", "1"),), removals=(("kolla/old", "0"),))
    monkeypatch.setattr(imaging, "send_all", lambda *_: ("r:5000/kolla/cron:1",))
    monkeypatch.setattr(imaging, "synchronise", lambda *_, **__: plan)

    pushed = enos("images", "push", "-f", "demo.yml", "r:5000", "--json").out
    copied = enos("images", "sync", "a:5000", "b:5000", "--json").out

    assert json.loads(pushed) == ["r:5000/kolla/cron:1"]
    assert json.loads(copied) == {
        "copied": ["kolla/cron:1"],
        "removed": ["kolla/old:0"],
    }


@pytest.mark.usefixtures("done")
@pytest.mark.parametrize("problem", ["", "the database does not answer"])
def test_a_backup_tells_where_it_is_and_what_it_lacks(
    enos: Enos, here: Path, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    span: dict[str, Any] = {"begin": 1.0, "end": 2.0, "interval": 5.0, "hosts": ()}
    measured = Coverage(**span, problem=problem)
    written = Backup(archive=here / "demo.tar.zst", measured=measured)
    monkeypatch.setattr("enos.phases.backup.run", lambda *_: written)
    assert enos("up", "-f", "demo.yml").code == 0

    done = enos("backup", "--json")

    found = told(done.out)
    assert (found["did"], found["where"]) == ("backup", "<dir>/here/demo.tar.zst")
    assert found["measured"] == json.loads(json.dumps(measured.to_json()))
    assert done.code == (14 if problem else 0)
    assert found["next"] == (None if problem else "enos destroy --hard")


@pytest.mark.usefixtures("done")
def test_a_plan_is_a_list_of_lines_for_programs(enos: Enos) -> None:
    plan = json.loads(enos("up", "-f", "demo.yml", "--dry-run", "--json").out)

    assert plan == {"plan": ["node control-1"]}


@pytest.mark.usefixtures("done", "kolla_ansible")
def test_check_tells_programs_what_a_file_comes_to(enos: Enos) -> None:
    found = json.loads(enos("check", "-f", "demo.yml", "--json").out)

    machine = {"name": "control-1", "group": "default_group", "roles": ["control"]}
    assert found["machines"] == [{**machine, "flavour": "any"}]
    assert found["provider"] == "fake"
    assert "[control]" in found["inventory"]
    assert found["variables"]["enable_haproxy"] in {"no", "yes"}
    assert (found["network"], found["events"], found["monitoring"]) == ([], [], [])


@pytest.mark.usefixtures("done")
def test_doctor_leads_on_to_an_experiment_file(enos: Enos, here: Path) -> None:
    first = enos("doctor", "-p", "fake").err
    (here / "experiment.yml").write_text(FILE)
    then = enos("doctor", "-p", "fake").err

    assert first.endswith("next: enos new --provider fake\n")
    assert then.endswith("next: enos check\n")


@pytest.mark.parametrize(
    "argv",
    [
        ("backup", "--to", "http://192.0.2.9:8086"),
        ("backup", "--data", "folder"),
        ("backup", "--restore-metrics", "x", "--to", "http://h:1", "--data", "y"),
        ("backup", "--verify", "x", "--restore-metrics", "x"),
        ("os", "--pull", "--", "stop"),
        ("logs", "--follow", "--json", "nova"),
        ("ssh", "--json", "control"),
        ("new", "--json"),
    ],
)
def test_options_without_an_effect_are_refused(
    enos: Enos, here: Path, argv: tuple[str, ...]
) -> None:
    refused = enos(*argv)

    assert (refused.code, refused.out) == (2, "")
    assert list(here.iterdir()) == []


def test_verbose_shows_what_was_skipped_and_quiet_still_warns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from enos.cli.console import NORMAL, QUIET, VERBOSE, Console

    for level in (QUIET, NORMAL, VERBOSE):
        console = Console(level=level)
        with console.step("images") as step:
            step.skipped("all there")
        console.warn("old")

    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines] == [
        "warning: old",
        "warning: old",
        "images: all there",
        "warning: old",
    ]


def test_a_file_that_cannot_be_written_has_a_hint(enos: Enos) -> None:
    told = enos("new", "nowhere/mine.yml")

    assert told.code == 3
    assert told.err.splitlines() == [
        "error: `nowhere/mine.yml` cannot be written: No such file or directory",
        "hint: name a file in a folder that is there and may be written to",
    ]


def test_a_folder_full_of_runs_has_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(session="enos-1", provider="fake").with_phase(
        "destroy", PhaseRecord(status="done", started=1.0)
    )
    monkeypatch.setattr(Directory, "exists", lambda _: True)
    monkeypatch.setattr(Directory, "load", lambda _: state)

    with pytest.raises(StateError, match="holds 9999 runs") as refused:
        for_experiment(Path("demo.yml"), tmp_path)

    assert "--env DIR" in refused.value.hint
