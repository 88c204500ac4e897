"""What must be true after `make demo`: read from the experiment directory it left."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from enos import archive
from enos.state.directory import Directory
from enos.state.journal import timings

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def directory() -> Directory:
    """The newest run of the demo."""
    runs = sorted(
        ROOT.glob("enos-demo*/state.json"), key=lambda path: path.stat().st_mtime
    )
    assert runs, "run `make demo` first"
    return Directory(runs[-1].parent)


@pytest.fixture(scope="module")
def measured(directory: Directory) -> dict[str, Any]:
    """The proof of the network."""
    found: dict[str, Any] = json.loads((directory.results / "tc.json").read_text())
    return found


def test_the_guest_answered_and_its_console_was_kept(directory: Directory) -> None:
    console = (directory.results / "guest-console.log").read_text(errors="replace")

    assert "enos-guest: ready" in console


def test_every_pair_of_groups_has_the_delay_that_was_asked(
    measured: dict[str, Any],
) -> None:
    rtts = [row for row in measured["verdicts"] if row["quantity"] == "rtt"]

    assert {row["asked"] for row in rtts} == {25.0}
    assert {row["network"] for row in rtts} == {"api", "tunnel"}
    for row in rtts:
        assert row["ok"], row
        assert abs(row["measured"] - row["asked"] - row["baseline"]) <= 1.0, row


def test_the_scenarios_of_keystone_neutron_and_nova_passed(
    directory: Directory,
) -> None:
    runs = sorted(directory.results.glob("bench-*/results.json"))
    scenarios = json.loads(runs[-1].read_text())

    services = {one["plugin"].partition(".")[0] for one in scenarios}
    assert {"KeystoneBasic", "NeutronNetworks", "NovaServers"} <= services
    assert all(one["ok"] for one in scenarios)


def test_the_archive_verifies(directory: Directory) -> None:
    saved = sorted(directory.path.glob("*.tar.*"))

    assert archive.verify(saved[-1]).ok


def test_the_report_outlives_the_machines_and_is_in_the_archive(
    directory: Directory,
) -> None:
    page = (directory.results / "report.html").read_text()
    saved = sorted(directory.path.glob("*.tar.*"))
    members = {member.path for member in archive.verify(saved[-1]).manifest.members}

    assert {"results/report.html", "results/machines.json"} <= members
    assert "✕ no" not in page
    assert page.count("✓ as asked") == 3  # OpenStack, network, benchmark
    assert page.index('"destroy"') > page.index('"bench"')


def test_nothing_of_the_session_is_left_in_docker(directory: Directory) -> None:
    label = f"label=enos.session={directory.load().session}"
    for what in (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"]):
        argv = ["docker", *what, "--filter", label]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert done.stdout == ""


def test_the_journal_knows_where_each_second_went(directory: Directory) -> None:
    took = timings(directory.journal.events())

    phases = {t.what for t in took if t.kind == "phase" and t.status == "finished"}
    assert {"up", "os", "init", "tc", "bench", "backup", "destroy"} <= phases
