"""`enos bench --dry-run` with events, before and after there are machines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enos import plugins
from enos.errors import CapabilityError, ConfigError
from enos.phases.session import Workshop, phase, starting
from enos.testing import Answer, Call, FakeProvider, RecordingProgress, RecordingShell

Enos = Callable[..., Any]
Golden = Callable[[str, str], None]

FILE = """\
provider: {type: fake}
topology: {core: {control: 1}, edge: {compute: 2}}
events:
  - at 10s: partition core|edge
  - at 15s: pause rabbitmq on core
"""


@pytest.fixture
def experiment(
    here: Path, shell: RecordingShell, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the file of an experiment whose machines are up."""
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    file = here / "demo.yml"
    file.write_text(FILE)
    workshop = Workshop(
        progress=RecordingProgress(),
        where=here,
        cache=here.parent / "cache",
        shell=lambda _: shell,
    )
    with (
        starting(file, None, workshop) as session,
        phase(session, "up") as running,
    ):
        testbed = running.session.provider.acquire(session.experiment.demand)
        running.session.save(testbed=testbed)
    shell.on("ip *", stdout="[]")
    shell.script("ssh *", looked)
    return file


def looked(call: Call) -> Answer:
    asked = call.stdin.rstrip().rpartition("\n")[2] == "look"
    return Answer(stdout="can nft\ncan flock\ncontainer rabbitmq\n" if asked else "")


@pytest.mark.usefixtures("experiment")
def test_a_dry_run_prints_every_command_of_every_event(
    enos: Enos, golden: Golden
) -> None:
    told = enos("bench", "--dry-run")

    assert told.code == 0
    golden("cli/bench-events.txt", told.out)


@pytest.mark.usefixtures("experiment")
def test_a_dry_run_leaves_events_out_when_asked(enos: Enos) -> None:
    told = enos("bench", "--dry-run", "--no-events")

    assert told.code == 0
    assert "nft" not in told.out


@pytest.mark.usefixtures("experiment")
def test_events_may_come_from_a_file_of_their_own(enos: Enos, here: Path) -> None:
    (here / "other.yml").write_text("events: ['at 3s: pause rabbitmq']\n")

    told = enos("bench", "--dry-run", "--events", "other.yml")

    assert "## 3s pause rabbitmq" in told.out
    assert "partition" not in told.out


@pytest.mark.usefixtures("experiment")
def test_a_wrong_file_of_events_is_explained(enos: Enos, here: Path) -> None:
    (here / "other.yml").write_text("events: ['at 3s: partition cor|edge']\n")

    told = enos("bench", "--dry-run", "--events", "other.yml")

    assert told.code == ConfigError.exit_code
    assert "other.yml:1:10: no group or role is called `cor`" in told.err


@pytest.mark.usefixtures("experiment")
def test_machines_that_cannot_be_switched_are_refused(enos: Enos, here: Path) -> None:
    (here / "other.yml").write_text("events: ['at 3s: stop compute-1']\n")

    told = enos("bench", "--dry-run", "--events", "other.yml")

    assert told.code == CapabilityError.exit_code
    assert "the provider `fake` cannot stop a machine" in told.err


def test_a_host_without_nftables_is_named(
    enos: Enos, experiment: Path, shell: RecordingShell
) -> None:
    shell.on("ssh *192.0.2.4*", stdout="can flock\n")
    told = enos("bench", "--dry-run")

    assert experiment.exists()
    assert told.code == CapabilityError.exit_code
    assert "events need the program `nft` on `compute-2`" in told.err
    assert "install the package nftables" in told.err


def test_without_an_experiment_a_dry_run_prints_the_scenarios(
    enos: Enos, here: Path
) -> None:
    told = enos("bench", "--dry-run")

    assert told.code == 0
    assert told.out.splitlines()
    assert "the events cannot be planned" in told.err
    assert list(here.iterdir()) == []


def test_only_one_of_the_two_options_is_taken(enos: Enos) -> None:
    told = enos("bench", "--events", "x.yml", "--no-events")

    assert told.code == 2
    assert "choose one" in told.err
