"""The experiment directory: what is saved comes back, also after a crash."""

import json
from pathlib import Path

import pytest

from enos.errors import StateError
from enos.state.directory import Directory, find, for_experiment, make_current
from enos.state.journal import Journal, timings
from enos.state.record import PhaseRecord, State, from_json, to_json
from enos.testbed import Host, Network, Nic, Testbed

TESTBED = Testbed(
    provider="local",
    hosts=(
        Host(
            name="control-1",
            address="10.0.0.2",
            key=Path("/keys/id"),
            groups=("core",),
            roles=("control", "network"),
            nics=(Nic(device="eth0", network="api", addresses=("10.0.0.2/24",)),),
        ),
    ),
    networks=(Network(name="api", cidr="10.0.0.0/24", roles=("api",)),),
    facts={"kernel": "6.12"},
)


def done(name: str) -> dict[str, PhaseRecord]:
    return {name: PhaseRecord(status="done", started=1.0, finished=2.0)}


def test_a_state_survives_json() -> None:
    state = State(
        session="enos-abc123",
        provider="local",
        source="/home/me/demo.yml",
        settings={"memory": "4g"},
        phases=done("up"),
        testbed=TESTBED,
    )

    assert from_json(json.loads(json.dumps(to_json(state)))) == state


def test_a_newer_version_is_refused_by_number() -> None:
    plain = to_json(State(session="s", provider="local")) | {"version": 99}

    with pytest.raises(StateError, match="version 99, this enos reads 1"):
        from_json(plain)


def test_only_a_finished_phase_is_done() -> None:
    running = {"os": PhaseRecord(status="running", started=1.0)}
    state = State(session="s", provider="local", phases=done("up") | running)

    assert state.done("up")
    assert not state.done("os")
    assert not state.done("init")


def test_a_directory_named_from_here_means_the_same_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = Directory(Path("mine"))
    monkeypatch.chdir("/")
    assert directory.kolla == tmp_path / "mine" / "kolla"


def test_creating_twice_keeps_the_session(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "enos-demo")

    first, second = directory.create(provider="local"), directory.create(provider="x")

    assert second == first
    assert (tmp_path / "enos-demo" / "state.json").stat().st_mode & 0o077 == 0


def test_a_directory_without_a_state_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="not an experiment directory") as caught:
        Directory(tmp_path).load()

    assert "enos up -f" in caught.value.hint


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"version": 1, "ses')

    with pytest.raises(StateError, match=r"state\.json` cannot be read"):
        Directory(tmp_path).load()


def test_the_lock_keeps_a_second_enos_out(tmp_path: Path) -> None:
    directory = Directory(tmp_path)

    with (
        directory.locked(),
        pytest.raises(StateError, match="another enos"),
        directory.locked(),
    ):
        pass


def test_an_unfinished_experiment_is_gone_on_with(tmp_path: Path) -> None:
    first = for_experiment(Path("demo.yml"), tmp_path)
    first.create(provider="local")

    assert for_experiment(Path("demo.yml"), tmp_path) == first


def test_a_released_experiment_is_never_overwritten(tmp_path: Path) -> None:
    first = for_experiment(Path("demo.yml"), tmp_path)
    state = first.create(provider="local")
    first.save(state.with_phase("destroy", done("destroy")["destroy"]))

    assert for_experiment(Path("demo.yml"), tmp_path).path.name == "enos-demo-2"


def test_current_is_found_before_anything_else(tmp_path: Path) -> None:
    for name in ("enos-a", "enos-b"):
        Directory(tmp_path / name).create(provider="local")
    with pytest.raises(StateError, match="`enos-a`, `enos-b`"):
        find(None, tmp_path)

    make_current(Directory(tmp_path / "enos-b"), tmp_path)

    assert find(None, tmp_path).path.name == "enos-b"
    assert find(tmp_path / "enos-a", tmp_path).path.name == "enos-a"


def test_a_line_cut_off_by_a_crash_is_left_out_of_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("step", "boot", phase="up", status="finished", seconds=1.5)
    with journal.path.open("a") as sink:
        sink.write('{"time": 1, "kind": "st')

    (timing,) = timings(journal.events())

    assert (timing.what, timing.phase, timing.seconds) == ("boot", "up", 1.5)


def test_what_follows_a_line_cut_off_by_a_full_disk_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("step", "boot")
    with journal.path.open("a") as sink:
        sink.write('{"time": 1, "kind": "st')

    journal.append("step", "été")
    journal.append("step", "login")

    assert [one["what"] for one in journal.events()] == ["boot", "été", "login"]
    assert "\n\n" not in journal.path.read_text()
