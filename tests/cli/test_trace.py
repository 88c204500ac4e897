"""`enos trace` on the real trace of a boot, in two runs of one experiment."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enos import plugins
from enos.archive import plan_backup, write
from enos.phases.session import Workshop, starting
from enos.testing import FakeProvider, RecordingProgress, RecordingShell
from enos.traces.crossings import Lab, to_json

Enos = Callable[..., Any]
Golden = Callable[[str, str], None]
TRACE = Path(__file__).parents[1] / "golden" / "traces" / "boot-and-delete.json.gz"
LAB = Lab(
    groups={"control-1": ("core",), "compute-1": ("edge1",), "compute-2": ("edge2",)},
    rtt={("compute-1", "control-1"): 0.05},
    database="control-1",
    store="control-1",
)


@pytest.fixture
def results(here: Path, shell: RecordingShell, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for results of an experiment."""
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    (here / "demo.yml").write_text(
        "provider: {type: fake}\nresources: {a: {control: 1}}\n"
    )
    workshop = Workshop(
        progress=RecordingProgress(),
        where=here,
        cache=here.parent / "cache",
        shell=lambda _: shell,
    )
    with starting(here / "demo.yml", None, workshop) as session:
        return session.directory.results


@pytest.fixture
def traced(results: Path) -> Path:
    """Return the folder for results, with two runs that have a trace each."""
    for run, name in (("bench-1-wan", "aaaa1111"), ("bench-2-wan", "bbbb2222")):
        place = results / run / "01-boot-and-delete" / "traces"
        place.mkdir(parents=True)
        shutil.copy(TRACE, place / f"0001-{name}.json.gz")
        (results / run / "traces.json").write_text(json.dumps(to_json(LAB)))
    return results


@pytest.mark.usefixtures("traced")
def test_traces_are_listed_with_the_names_they_are_found_by(enos: Enos) -> None:
    told = enos("trace", "list")
    assert told.code == 0
    assert told.out.splitlines() == [
        "bench-1-wan/01-boot-and-delete  1  aaaa1111",
        "bench-2-wan/01-boot-and-delete  1  bbbb2222",
    ]
    rows = json.loads(enos("trace", "list", "--json").out)
    assert rows[0] == {
        "scenario": "bench-1-wan/01-boot-and-delete",
        "iteration": 1,
        "id": "aaaa1111",
    }


@pytest.mark.usefixtures("traced")
def test_a_trace_is_shown_with_the_round_trips_of_its_link(
    enos: Enos, golden: Golden
) -> None:
    told = enos("trace", "show", "bbbb")
    assert told.code == 0
    golden("cli/trace-show.txt", told.out)


@pytest.mark.usefixtures("traced")
def test_the_tree_has_a_line_for_each_span(enos: Enos) -> None:
    out = enos("trace", "show", "bbbb", "--tree").out
    tree = out.partition("trace 00000000")[2].splitlines()
    assert len(tree) == 1097 + 2


@pytest.mark.usefixtures("traced")
def test_scripts_get_every_row(enos: Enos) -> None:
    (told,) = json.loads(enos("trace", "show", "bbbb", "--json").out)
    assert told["traces"][0]["spans"] == 1097
    assert sum(row["calls"] for row in told["operations"]) == 1097
    assert "tree" not in told["traces"][0]
    (told,) = json.loads(enos("trace", "show", "bbbb", "--json", "--tree").out)
    tree = told["traces"][0]["tree"]
    assert len(tree) == 1097
    assert {"id", "parent", "service", "operation", "begin", "own"} <= tree[0].keys()


def test_programs_are_told_the_pages_that_are_or_would_be(
    enos: Enos, traced: Path
) -> None:
    show = ("trace", "show", "boot-and-delete", "--html", "--json")
    plan = json.loads(enos(*show, "--dry-run").out)
    planned = list(traced.rglob("*.html"))
    made = json.loads(enos(*show).out)

    assert planned == []
    assert plan == made
    assert len(made["pages"]) == len(list(traced.rglob("*.html"))) == 1


def test_a_page_is_written_beside_the_trace(enos: Enos, traced: Path) -> None:
    told = enos("trace", "show", "boot-and-delete", "--html")
    assert told.code == 0
    (page,) = (traced / "bench-2-wan").rglob("*.html")
    assert told.out.strip().endswith(page.name)


@pytest.mark.usefixtures("traced")
def test_two_single_traces_differ_in_nothing_that_is_sure(enos: Enos) -> None:
    told = enos("trace", "diff", "bench-1-wan", "bench-2-wan")
    assert told.code == 0
    assert "no call changed by more than it varies" in told.out
    (plain,) = json.loads(enos("trace", "diff", "aaaa", "bbbb", "--json").out)
    assert plain["before"] == "bench-1-wan/01-boot-and-delete"
    assert not any(row["sure"] for row in plain["operations"])


@pytest.fixture
def packed(traced: Path, here: Path) -> Path:
    """Return an archive of the results, away from the experiment."""
    place = here.parent / "elsewhere" / "demo.tar.zst"
    place.parent.mkdir()
    plan = plan_backup(None, traced.parent)
    write(plan, place, shell=RecordingShell(), progress=RecordingProgress())
    return place


@pytest.mark.usefixtures("traced")
def test_an_archive_is_read_where_there_is_no_experiment(
    enos: Enos, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = enos("trace", "show", "bbbb")
    monkeypatch.chdir(packed.parent)

    listed = enos("trace", "list", packed.name).out.splitlines()
    shown = enos("trace", "show", f"{packed.name}/bbbb")
    diff = enos("trace", "diff", *(line.split()[0] for line in listed), "--json")
    paged = enos("trace", "show", packed.name, "--html")

    assert listed == [
        "demo.tar.zst/bench-1-wan/01-boot-and-delete  1  aaaa1111",
        "demo.tar.zst/bench-2-wan/01-boot-and-delete  1  bbbb2222",
    ]
    label, *rest = shown.out.splitlines()
    assert label.startswith("demo.tar.zst/bench-2-wan/01-boot-and-delete")
    assert rest == inside.out.splitlines()[1:]
    (plain,) = json.loads(diff.out)
    assert plain["before"] == "demo.tar.zst/bench-1-wan/01-boot-and-delete"
    assert paged.code == 0
    assert [one.name for one in packed.parent.glob("*.html")] == [
        "boot-and-delete-0001-bbbb2222.html"
    ]


def test_an_archive_and_the_experiment_are_compared(
    enos: Enos, traced: Path, packed: Path
) -> None:
    assert (traced / "bench-1-wan").exists()

    told = enos("trace", "diff", str(packed), "bench-1-wan", "--json")

    (plain,) = json.loads(told.out)
    assert plain["before"].endswith("demo.tar.zst/bench-2-wan/01-boot-and-delete")
    assert plain["after"] == "bench-1-wan/01-boot-and-delete"


def test_what_an_archive_does_not_hold_is_an_error(enos: Enos, packed: Path) -> None:
    told = enos("trace", "show", f"{packed}/nothing")
    assert told.code == 15
    assert "demo.tar.zst`" in told.err
    assert "`enos trace list " in told.err
    packed.write_text("no archive")
    assert enos("trace", "show", str(packed)).code == 12


def test_a_dry_run_names_the_pages_and_writes_none(enos: Enos, traced: Path) -> None:
    told = enos("trace", "show", "--html", "--dry-run")

    assert told.out.strip().endswith("boot-and-delete-0001-bbbb2222.html")
    assert not list(traced.rglob("*.html"))


@pytest.mark.usefixtures("results")
def test_without_traces_it_says_how_to_get_some(enos: Enos) -> None:
    told = enos("trace", "show")
    assert told.code == 15
    assert "there are no traces" in told.err
    assert "`osprofiler: true`" in told.err


@pytest.mark.usefixtures("traced")
def test_an_unknown_name_is_an_error(enos: Enos) -> None:
    told = enos("trace", "show", "nothing")
    assert told.code == 15
    assert "`enos trace list`" in told.err


def test_a_damaged_trace_is_named(enos: Enos, traced: Path) -> None:
    (file,) = (traced / "bench-2-wan").rglob("*.gz")
    file.write_bytes(file.read_bytes()[:500])
    told = enos("trace", "show")
    assert told.code == 15
    assert file.name in told.err
