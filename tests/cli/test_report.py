"""`enos report` of a directory, of one whose machines are gone, and of an archive."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from enos import plugins
from enos.phases import destroy, up
from enos.phases.session import Workshop, phase, resuming, starting
from enos.testing import Answer, FakeProvider, RecordingProgress, RecordingShell

Enos = Callable[..., Any]

FILE = "provider: {type: fake}\ntopology: {core: {control: 1}, edge: {compute: 1}}\n"
SAYS = "system=Debian 13\nkernel=6.12\nprocessors=2\nmemory=MemTotal: 4194304 kB\n"
SCENARIO = {
    "name": "boot",
    "plugin": "NovaServers.boot",
    "ok": True,
    "verdict": "1 of 1 iterations passed",
    "durations": [2.0],
    "spans": [[1000.0, 1002.0, True]],
    "slas": [],
    "began": 999.0,
    "seconds": 4.0,
}


@pytest.fixture
def experiment(
    here: Path, shell: RecordingShell, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the directory of an experiment that ran a workload and was given back."""
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    monkeypatch.setattr("enos.phases.images.share", lambda _: None)
    (here / "demo.yml").write_text(FILE)
    shell.on("ssh *os-release*", stdout=SAYS)
    workshop = Workshop(
        progress=RecordingProgress(),
        where=here,
        cache=here.parent / "cache",
        shell=lambda _: shell,
    )
    with starting(here / "demo.yml", None, workshop) as session:
        up.run(session)
        folder = session.directory.results / "bench-2026-11-21T16-42-18-demo"
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps([SCENARIO]))
    with resuming(session.directory.path, workshop) as session:
        destroy.release(session)
    return session.directory.path


ANSWER = {
    "results": [
        {
            "series": [
                {
                    "name": "cpu",
                    "tags": {"host": host, "instance": "", "unit": "cores"},
                    "columns": ["time", "mean"],
                    "values": [[1_000_000, 0.5], [1_005_000, None], [1_010_000, 1.25]],
                }
                for host in ("control-1", "compute-1")
            ]
        }
    ]
}


NAMES = {"name": "measurements", "columns": ["name"], "values": [["cpu"], ["load"]]}


def answer(query: str) -> dict[str, Any]:
    """Return what a database says that has nothing but `cpu`, and `load` of late."""
    if "SHOW MEASUREMENTS" in query:
        return {"results": [{"series": [NAMES]}]}
    return ANSWER if "cpu" in query else {"results": [{}]}


@pytest.fixture
def monitored(
    here: Path, shell: RecordingShell, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the directory of an experiment whose machines are there and measured."""
    monkeypatch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
    monkeypatch.setattr(plugins, "provider", lambda _: FakeProvider)
    monkeypatch.setattr("enos.phases.images.share", lambda _: None)
    (here / "demo.yml").write_text(FILE + "enable_monitoring: true\n")
    shell.script(
        "ssh *python3*", lambda call: Answer(stdout=json.dumps(answer(call.stdin)))
    )
    workshop = Workshop(
        progress=RecordingProgress(),
        where=here,
        cache=here.parent / "cache",
        shell=lambda _: shell,
    )
    with starting(here / "demo.yml", None, workshop) as session:
        up.run(session)
        with phase(session, "metrics"):
            pass
    return session.directory.path


def lanes(page: Path, place: str = "timeline") -> dict[str, list[str]]:
    """Return title → names of lines, of the lanes a page draws in a place."""
    pattern = rf'id="{place}-data">(.*?)</script>'
    found = re.search(pattern, page.read_text(), re.DOTALL)
    assert found is not None
    drawn = json.loads(found[1])["lanes"]
    return {
        lane["title"]: [line["label"] for line in lane.get("lines", ())]
        for lane in drawn
    }


def test_measures_are_drawn_under_what_happened(enos: Enos, monitored: Path) -> None:
    told = enos("--env", str(monitored), "metrics", "plot", "-m", "cpu", "-o", "m.html")

    assert (told.code, told.err, told.out) == (0, "", "m.html\n")
    assert lanes(Path("m.html")) == {"Phases": [], "CPU": ["compute-1", "control-1"]}


def test_measures_outlive_their_database(
    enos: Enos, monitored: Path, shell: RecordingShell
) -> None:
    assert enos("--env", str(monitored), "report", "-o", "a.html").code == 0
    shell.on("ssh *python3*", returncode=4, stderr="refused")

    told = enos("--env", str(monitored), "report", "-o", "b.html")

    assert told.code == 0
    assert "the report lacks the latest measures" in told.err
    assert lanes(Path("b.html")) == lanes(Path("a.html"))
    assert lanes(Path("b.html"))["CPU"] == ["compute-1", "control-1"]


class Canned(BaseHTTPRequestHandler):
    """A database that measures were brought up in again."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)["q"][0]
        body = json.dumps(answer(query)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_measures_are_drawn_of_another_database_when_the_machines_are_gone(
    enos: Enos, experiment: Path, url: str
) -> None:
    assert enos("--env", str(experiment), "backup").code == 0
    archive = str(next(experiment.glob("*.tar.zst")))
    plot = ("metrics", "plot", "demo", "-m", "cpu", "--url", url)

    here = enos("--env", str(experiment), *plot, "-o", "a.html")
    there = enos(*plot, "--archive", archive, "-o", "b.html")

    assert (here.code, there.code) == (0, 0), here.err + there.err
    assert lanes(Path("a.html")) == lanes(Path("b.html"))
    assert lanes(Path("b.html"))["CPU"] == ["compute-1", "control-1"]
    assert enos("metrics", "plot", "--archive", archive).code == 2


@pytest.mark.parametrize(
    ("measures", "code", "said"),
    [
        (("cpu", "cpuu"), 3, "no measure is called `cpuu`"),
        (("load",), 14, "the database holds no measures of `enos-demo`"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    enos: Enos, monitored: Path, measures: tuple[str, ...], code: int, said: str
) -> None:
    wanted = [word for name in measures for word in ("-m", name)]

    told = enos("--env", str(monitored), "metrics", "plot", *wanted, "-o", "m.html")

    assert told.code == code
    assert said in told.err
    assert not Path("m.html").exists()


def test_a_plan_of_a_plot_writes_no_page(enos: Enos, monitored: Path) -> None:
    plot = ("--env", str(monitored), "metrics", "plot", "-m", "cpu", "-o", "m.html")

    told = enos(*plot, "--dry-run")
    assert told.code == 0
    assert told.out.endswith("bytes → m.html\n")
    assert not Path("m.html").exists()

    found = json.loads(enos(*plot, "--json").out)
    assert (found["did"], found["where"]) == ("metrics plot", "m.html")
    assert found["bytes"] == Path("m.html").stat().st_size


def test_a_run_has_its_own_measures_in_the_report(
    enos: Enos, monitored: Path, shell: RecordingShell
) -> None:
    folder = monitored / "results" / "bench-2026-11-21T16-42-18-demo"
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps([SCENARIO]))

    assert enos("--env", str(monitored), "report", "-o", "a.html").code == 0

    own = [call.stdin for call in shell.calls if "time >= 999000ms" in call.stdin]
    assert len(own) == 1
    assert "time <= 1003000ms" in own[0]
    assert "rabbitmq_messages" in own[0]
    run = lanes(Path("a.html"), "timeline-0")
    assert list(run) == ["Benchmark demo, 16:42:18", "CPU"]
    assert run["CPU"] == ["compute-1", "control-1"]


def test_a_plot_needs_monitoring(enos: Enos, experiment: Path) -> None:
    told = enos("--env", str(experiment), "metrics", "plot")

    assert told.code == 8
    assert "is not monitored" in told.err


def test_a_report_needs_no_machines_any_more(enos: Enos, experiment: Path) -> None:
    told = enos("--env", str(experiment), "report")

    assert (told.code, told.err) == (0, "")
    assert told.out == "<dir>/here/enos-demo/results/report.html\n"
    html = (experiment / "results" / "report.html").read_text()
    assert "2 processors, 4.0 GiB" in html
    assert "NovaServers.boot" in html
    assert "1 in edge: compute" in html


def test_a_page_to_hand_on_holds_no_secret(enos: Enos, experiment: Path) -> None:
    file = experiment / "experiment.yml"
    file.write_text(FILE + "kolla: {keystone_admin_password: opensesame1}\n")
    (experiment / "kolla" / "passwords.yml").write_text("memcache: s3cretvalue9\n")
    with (experiment / "journal.jsonl").open("a") as journal:
        told = {"time": 2e9, "kind": "decision", "what": "s3cretvalue9 it is"}
        journal.write(json.dumps(told) + "\n")

    assert enos("--env", str(experiment), "report").code == 0

    html = (experiment / "results" / "report.html").read_text()
    assert "[redacted] it is" in html
    assert "keystone_admin_password: [redacted]" in html
    assert "s3cretvalue9" not in html
    assert "opensesame1" not in html


def test_a_run_is_named_by_folder_or_workload(enos: Enos, experiment: Path) -> None:
    env = ("--env", str(experiment))
    by_name = enos(*env, "report", "demo", "-o", "a.html")
    by_folder = enos(*env, "report", "bench-2026-11-21T16-42-18-demo", "-o", "b.html")

    assert (by_name.code, by_folder.code) == (0, 0)
    pages = [Path(name).read_text() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]
    assert enos(*env, "report", "-o", "c.html").code == 0
    assert Path("c.html").read_text() != pages[0]


def test_of_runs_of_a_workload_the_latest_with_results_is_meant(
    enos: Enos, experiment: Path
) -> None:
    cut_short = experiment / "results" / "bench-2026-11-21T18-00-00-demo"
    cut_short.mkdir()
    (cut_short / "events.json").write_text('[{"what": "heal", "at": 2000.0}]')

    assert enos("--env", str(experiment), "report", "demo", "-o", "a.html").code == 0

    shown = re.search(r'"shown": \[([^]]*)\]', Path("a.html").read_text())
    spans = re.search(r'"span": \[([^]]*)\]', Path("a.html").read_text())
    assert shown is not None
    assert spans is not None
    assert shown[1] != spans[1]


def test_an_unknown_run_is_refused_with_those_there_are(
    enos: Enos, experiment: Path
) -> None:
    told = enos("--env", str(experiment), "report", "stress")

    assert told.code == 8
    assert told.err == (
        "error: `enos-demo` holds no run `stress`\n"
        "hint: its runs are `bench-2026-11-21T16-42-18-demo`\n"
    )


def test_an_archive_holds_its_report_and_gives_the_same(
    enos: Enos, experiment: Path
) -> None:
    saved = enos("--env", str(experiment), "backup")
    archive = next(experiment.glob("*.tar.zst"))

    told = enos("report", str(archive), "--json")

    assert (saved.code, told.code) == (0, 0)
    page = Path(json.loads(told.out.replace("<dir>", str(Path.cwd().parent)))["where"])
    assert page == Path.cwd() / archive.name.replace(".tar.zst", ".html")
    assert "2 processors, 4.0 GiB" in page.read_text()
    assert "NovaServers.boot" in page.read_text()
    assert "NovaServers.boot" in (experiment / "results/report.html").read_text()


def test_a_plan_names_what_is_read_and_writes_nothing(
    enos: Enos, experiment: Path
) -> None:
    told = enos("--env", str(experiment), "report", "--dry-run")

    assert told.code == 0
    assert "results/machines.json\n" in told.out
    assert not (experiment / "results" / "report.html").exists()


def test_a_plan_asks_no_database_for_what_it_would_keep(
    enos: Enos, monitored: Path, shell: RecordingShell
) -> None:
    before = len(shell.calls)

    assert enos("--env", str(monitored), "report", "--dry-run").code == 0

    assert len(shell.calls) == before
    assert not list((monitored / "results").glob("*measures*"))


def test_a_place_that_cannot_be_written_is_named(enos: Enos, experiment: Path) -> None:
    Path("file").write_text("")

    told = enos("--env", str(experiment), "report", "-o", "file/report.html")

    assert told.code == 8
    assert told.err.startswith("error: `file/report.html` cannot be written: ")
