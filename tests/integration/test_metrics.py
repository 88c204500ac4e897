"""Real collectd and InfluxDB: measured, cut off, saved, wiped, brought up again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO

import pytest

from enos import archive
from enos.errors import ConfigError, MonitoringError
from enos.metrics import gaps, grafana, saved
from enos.metrics.agent.samples import Sample
from enos.metrics.agent.writer import Writer
from enos.metrics.annotations import lines
from enos.metrics.database import Influx, OverHttp, program
from enos.metrics.plan import File, agent_program, collectd_conf, influxdb_conf
from enos.metrics.series import query, require_known
from enos.phases import restore
from enos.phases.metrics import SAVED
from enos.process import Completed, LocalShell
from enos.testbed import Host
from enos.testing.recording import RecordingProgress

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
PERIOD = 0.5
PASSWORD = "p'\"w"
PACKAGES = ["collectd-core", "python3-pymysql", "influxdb"]


class Here(LocalShell):
    """Runs what SSH would run on a machine on this one."""

    def pipe(
        self,
        argv: tuple[str, ...],  # type: ignore[override]
        consume: Callable[[IO[bytes]], None],
        *,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        local = ("sh", "-c", argv[-1])
        return super().pipe(local, consume, check=check, timeout=timeout)


@dataclass
class Station:
    """A machine's monitoring without its systemd.

    Attributes:
        place: what PLACE is on a machine.

    """

    place: Path
    port: int
    backup: int
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def database(self) -> Influx:
        url = f"http://127.0.0.1:{self.port}"
        return Influx(url=url, link=OverHttp(), user="enos", password=PASSWORD)

    def start(self, name: str) -> None:
        root = self.place / "root"
        argv: dict[str, tuple[str | Path, ...]] = {
            "influxd": (root / "usr/bin/influxd", "-config", "influxdb.conf"),
            "collectd": (root / "usr/sbin/collectd", "-f", "-C", "collectd.conf"),
        }
        with (self.place / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                argv[name],
                cwd=self.place,
                env={**os.environ, "LD_LIBRARY_PATH": str(root / "usr/lib/enos")},
                stdout=log,
                stderr=log,
            )

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(30)

    def until(self, there: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if there():
                    return
            except MonitoringError:
                pass
            assert time.monotonic() < deadline, self.logs()
            for name, process in self.running.items():
                assert process.poll() is None, f"{name} has ended: {self.logs()}"
            time.sleep(0.1)

    def logs(self) -> str:
        return "\n".join(one.read_text() for one in self.place.glob("*.log"))

    def beats(self) -> int:
        found = query(self.database, measures=["cpu"])
        return sum(len(one.points) for one in found)

    def missing(self, begin: float, period: float) -> tuple[gaps.Gap, ...]:
        found = query(self.database, measures=["cpu"], begin=begin)
        span = gaps.Coverage(
            begin=begin, end=time.time(), interval=period, hosts=("here",)
        )
        return gaps.find(found, span)


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def install(place: Path, files: dict[str, File], packages: list[str]) -> None:
    told = {path: asdict(file) for path, file in files.items()}
    plan = {"place": str(place), "packages": packages, "bundle": None, "units": []}
    subprocess.run(
        (sys.executable, "-c", program("install")),
        input=json.dumps({**plan, "files": told}),
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    place = tmp_path_factory.mktemp("metrics")
    port, backup = free_ports()
    bind = f"127.0.0.1:{port}"
    writer = {
        "host": "here",
        "url": f"http://{bind}",
        "database": "enos",
        "user": "enos",
        "password": PASSWORD,
    }
    settings = json.dumps({"interval": PERIOD, "writer": writer})
    files = {
        **agent_program(place),  # type: ignore[arg-type]
        str(place / "agent.json"): File(text=settings, mode=0o600),
        str(place / "collectd.conf"): File(text=collectd_conf(PERIOD, place)),
        str(place / "influxdb.conf"): File(
            text=influxdb_conf(bind, place, backup=backup)
        ),
    }
    install(place, files, PACKAGES)
    station = Station(place=place, port=port, backup=backup)
    station.start("influxd")
    station.until(lambda: station.database.ensure() or True)
    station.start("collectd")
    station.until(lambda: station.beats() > 2)
    yield station
    for name in tuple(station.running):
        station.stop(name, signal.SIGKILL)


def test_a_machine_is_measured_and_its_agent_tells_its_cost(station: Station) -> None:
    found = {one.measure: one for one in query(station.database, hosts=["here"])}

    assert {"memory", "load", "net_rx", "agent_cpu", "agent_waiting"} <= found.keys()
    assert found.keys() >= {gaps.CONTAINERS, *gaps.LOSSES}
    # Ticks are counted in 10 ms, the time between two samples more finely.
    most = 1.2 * (os.cpu_count() or 1)
    assert 0 < found["cpu"].points[-1][1] <= most
    assert found["memory"].points[-1][1] > 1 << 20
    assert found["agent_dropped"].points[-1][1] == 0


def test_the_account_is_needed(station: Station) -> None:
    stranger = Influx(url=station.database.url, link=OverHttp())

    with pytest.raises(MonitoringError, match="refuses"):
        query(stranger, measures=["cpu"])


def test_installing_again_changes_nothing(station: Station) -> None:
    root = station.place / "root"
    before = root.stat().st_ino

    install(station.place, {}, PACKAGES)

    assert root.stat().st_ino == before


def test_a_database_that_was_killed_leaves_no_gap(station: Station) -> None:
    began = time.time()
    station.until(lambda: not station.missing(began, PERIOD))
    station.stop("influxd", signal.SIGKILL)
    time.sleep(4 * PERIOD)
    back = time.time()
    station.start("influxd")

    station.until(
        lambda: (
            query(station.database, measures=["cpu"], begin=back)
            and not station.missing(began, PERIOD)
        )
    )


def test_a_collector_that_ended_leaves_a_gap_that_is_named(station: Station) -> None:
    began = time.time()
    station.stop("collectd")
    time.sleep(4 * PERIOD)

    (gap,) = station.missing(began, PERIOD)

    assert gap.host == "here"
    assert gap.end - gap.begin > 3 * PERIOD
    before = station.beats()
    station.start("collectd")
    station.until(lambda: station.beats() > before + 1)


def test_measures_from_an_archive_give_the_same_answers_elsewhere(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened = [{"time": time.time(), "kind": "phase", "what": 'a "b", c'}]
    station.database.write(lines(happened))
    station.stop("collectd")
    ask = ("SELECT * FROM /.*/ GROUP BY *", "SELECT mean(value) FROM cpu")
    before = [station.database.ask(statement) for statement in ask]
    file = archived(station, tmp_path / "enos-demo")
    station.database.command('DROP DATABASE "enos"')
    monkeypatch.setenv("PATH", f"{station.place}/root/usr/bin", prepend=os.pathsep)
    data, progress = tmp_path / "data", RecordingProgress()
    here = restore.Place(data=data, cache=tmp_path)
    to = f"http://enos@127.0.0.1:{station.port}"
    there = restore.Place(to=to, password=PASSWORD, cache=tmp_path)

    try:
        url = restore.run(file, here, progress)
        revived = Influx(url=url, link=OverHttp())
        assert [revived.ask(statement) for statement in ask] == before
        assert restore.run(file, here, progress) == url
        restore.run(file, there, progress)
        assert [station.database.ask(statement) for statement in ask] == before
    finally:
        os.kill(int((data / saved.PID).read_text()), signal.SIGKILL)
        station.start("collectd")


def test_what_a_portable_backup_lacks_comes_from_the_line_protocol(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{station.place}/root/usr/bin", prepend=os.pathsep)
    station.stop("collectd")
    ask = "SELECT mean(value) FROM cpu"
    before, full, empty = station.database.ask(ask), tmp_path / "a", tmp_path / "b"
    kept(station, full)
    station.database.command('DROP DATABASE "enos"')
    station.database.command('CREATE DATABASE "enos"')
    station.database.write(["alone,host=here value=1 1700000000"])
    kept(station, empty)
    shutil.rmtree(full / saved.PORTABLE)
    (empty / saved.PORTABLE).rename(full / saved.PORTABLE)
    there = tmp_path / "data"

    try:
        program = station.place / "root/usr/bin/influxd"
        url = saved.revive(full, there, program, LocalShell())
        assert Influx(url=url, link=OverHttp()).ask(ask) == before
    finally:
        os.kill(int((there / saved.PID).read_text()), signal.SIGKILL)
        saved.feed(full, station.database)
        station.start("collectd")


def kept(station: Station, folder: Path) -> None:
    """Save the station's measures in a folder."""
    host = Host(name="here", address="127.0.0.1")
    saved.save(host, folder, Here(), place=station.place, port=station.backup)


def archived(station: Station, directory: Path) -> Path:
    """Return an archive of an experiment directory with the station's measures."""
    kept(station, directory / "results" / SAVED)
    file = directory.with_suffix(".tar.zst")
    plan = archive.plan_backup(None, directory, secrets=(PASSWORD,))
    archive.write(plan, file, shell=LocalShell(), progress=RecordingProgress())
    assert archive.verify(file).ok
    return file


def test_a_database_that_is_gone_cannot_be_saved_and_says_so(
    station: Station, tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "earlier").touch()
    nobody = free_ports()[0]

    with pytest.raises(MonitoringError, match="cannot be saved"):
        saved.save(
            Host(name="here", address="127.0.0.1"),
            folder,
            Here(),
            place=station.place,
            port=nobody,
        )
    assert (folder / "earlier").exists()


SMALL = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$0" -config "$2"'
"""For sh(1), in a mount namespace of its own: InfluxDB on a disk of 2 MB."""


def test_a_full_database_gets_every_point_when_it_has_room_again(
    station: Station, tmp_path: Path
) -> None:
    port, backup = free_ports()
    bind, config = f"127.0.0.1:{port}", tmp_path / "influxdb.conf"
    config.write_text(influxdb_conf(bind, tmp_path, backup=backup, accounts=False))
    (tmp_path / "data").mkdir()
    influxd = station.place / "root/usr/bin/influxd"
    inside = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("-r",)))
    argv = (*inside, "sh", "-c", SMALL, influxd, tmp_path / "data", config)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    database = Influx(url=f"http://{bind}", link=OverHttp())
    writer = Writer(host="a b", url=database.url, database="enos", user="", password="")
    filler = Path(f"/proc/{process.pid}/root{tmp_path}/data/filler")
    try:
        station.until(lambda: database.ensure() or True)
        fill(filler)
        writer.take(1, [Sample(f"m{n}", n, "B") for n in range(2000)])
        writer.send()
        assert (writer.waiting, writer.problem[:3]) == (2000, "500")
        filler.unlink()
        writer.take(2, [Sample("m7", 0.75, "B")])
        writer.send()
        (found,) = query(database, measures=["m7"], hosts=["a b"])
    finally:
        process.kill()
        process.wait()

    assert (writer.waiting, writer.problem) == (0, "")
    assert found.points == ((1.0, 7.0), (2.0, 0.75))


def fill(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as sink:
        while sink.write(bytes(4096)):
            pass


def test_only_what_the_database_refuses_counts_as_refused(station: Station) -> None:
    bare = {"user": "enos", "password": PASSWORD, "database": "enos"}
    writer = Writer(host="odd", url=station.database.url, **bare)
    writer.take(time.time(), [Sample("even", 2.0, "B")])
    writer._waiting.append("no line of the protocol")

    writer.send()

    assert (writer.waiting, writer.refused) == (0, 1)
    (found,) = query(station.database, measures=["even"], hosts=["odd"])
    assert found.points[0][1] == 2.0


def test_a_write_that_conflicts_refuses_what_conflicts_and_no_more(
    station: Station,
) -> None:
    # Beside text no answer tells of all measures: not in the database of the others.
    database = replace(station.database, name="mixed")
    database.ensure()
    bare = {"user": "enos", "password": PASSWORD, "database": database.name}
    writer = Writer(host="x", url=database.url, **bare)
    now = time.time()
    database.write([f'mixed,host=x value="text" {round(now * 1000)}'])

    writer.take(now, [Sample("mixed", n, "B", f"i{n}") for n in range(3)])
    writer.take(now, [Sample("sound", n, "B", f"i{n}") for n in range(4)])
    writer.send()

    assert (writer.waiting, writer.refused) == (0, 3)
    assert len(query(database, measures=["sound"])) == 4


def test_grafana_gets_a_row_for_each_thing_that_happened(station: Station) -> None:
    happened = [
        {"time": time.time(), "kind": "phase", "what": "grafana", "status": "started"},
        {"time": time.time() + 1, "kind": "event", "what": "grafana", "host": "a"},
    ]
    station.database.write(lines(happened))
    (annotation,) = grafana.dashboard()["annotations"]["list"]
    asked = annotation["query"].replace("$timeFilter", "what = 'grafana'")

    (result,) = station.database.ask(asked)["results"]

    (series,) = result["series"]
    named = [annotation["textColumn"], *annotation["tagsColumn"].split(",")]
    places = [series["columns"].index(name) for name in named]
    assert [[row[at] for at in places] for row in series["values"]] == [
        ["grafana", "phase", "started"],
        ["grafana", "event", "happened"],
    ]


def test_a_measure_that_never_was_is_told_with_those_that_were(
    station: Station,
) -> None:
    require_known(station.database, ["cpu", "memory"])

    with pytest.raises(ConfigError, match="no measure is called `cpuu`") as failed:
        require_known(station.database, ["cpuu"])
    assert "did you mean `cpu`?" in failed.value.hint


def test_waiting_points_survive_the_end_of_the_agent(tmp_path: Path) -> None:
    def writer() -> Writer:
        return Writer(host="a", url="-", database="-", user="-", password="-")

    first, second, file = writer(), writer(), tmp_path / "waiting.lp"
    first.take(1, [Sample("cpu", 0.5, "cores")])
    first.save(file)
    second.load(file)

    assert second.waiting == 1
    assert not file.exists()
    shutil.rmtree(tmp_path)
