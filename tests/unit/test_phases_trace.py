"""What a bench run needs for traces, and how they are found afterwards."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest

from enos import netem, plugins
from enos.bench.workload import Workload, load_workload
from enos.config.constraints import ConstraintSpec, NetworkConstraints
from enos.config.events import LinkChange, Timeline
from enos.errors import CapabilityError, ConfigError, TraceError
from enos.phases import tc, trace
from enos.phases import traced as traces
from enos.phases.session import Session, Workshop, phase, starting
from enos.testbed import Host, Network, Nic, Testbed
from enos.testing import FakeProvider, RecordingProgress, RecordingShell
from enos.traces.crossings import Lab
from enos.units import Duration, Percent

POINTS = [
    {"id": "a", "parent": "t", "kind": "wsgi", "edge": edge, "us": us, "host": "c",
     "what": "GET /v3"}
    for edge, us in (("start", 0), ("stop", 5000))
]  # fmt: skip


PASSWORDS = "osprofiler_secret: hmac\nvalkey_master_password: pw\n"
TRACED = "enable_osprofiler: 'yes'\nosprofiler_backend: valkey\n"


@contextmanager
def opened(
    tmp_path: Path, variables: str = "", passwords: str = PASSWORDS
) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "providers", lambda: {"fake": FakeProvider})
        patch.setattr(plugins, "provider", lambda _: FakeProvider)
        file = tmp_path / "demo.yml"
        file.write_text(
            "provider: {type: fake}\nresources: {any: {control: 1, compute: 1}}\n"
        )
        workshop = Workshop(
            progress=RecordingProgress(),
            where=tmp_path,
            cache=tmp_path / "cache",
            shell=lambda _: RecordingShell(),
        )
        with starting(file, None, workshop) as session:
            session.save(testbed=session.provider.acquire(session.experiment.demand))
            kolla = session.directory.kolla
            kolla.mkdir(exist_ok=True)
            (kolla / "globals.yml").write_text(variables)
            (kolla / "passwords.yml").write_text(passwords)
            yield session


def workload(folder: Path, *, traced: bool) -> Workload:
    (folder / "task.yml").write_text("Dummy.dummy: {}\n")
    (folder / "run.yml").write_text(
        f"rally:\n  osprofiler: {str(traced).lower()}\n"
        "  scenarios:\n    - {file: task.yml}\n    - {file: task.yml, name: b}\n"
    )
    return load_workload(folder / "run.yml")


def test_a_workload_without_traces_asks_nothing_of_the_services(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        assert trace.profiler(session, workload(tmp_path, traced=False)) is None


def test_traces_that_no_service_records_are_refused_before_anything_runs(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as session, pytest.raises(ConfigError) as caught:
        trace.profiler(session, workload(tmp_path, traced=True))
    assert "`task` and 1 more" in caught.value.message
    assert caught.value.hint == (
        "write `osprofiler: true` into `demo.yml`, then `enos os --reconfigure`"
    )


def test_a_store_that_enos_does_not_read_is_named(tmp_path: Path) -> None:
    told = "enable_osprofiler: 'yes'\nosprofiler_backend: elasticsearch\n"
    with (
        opened(tmp_path, told) as session,
        pytest.raises(CapabilityError, match="`elasticsearch`"),
    ):
        trace.profiler(session, workload(tmp_path, traced=True))


def test_key_and_store_come_from_the_experiment_s_passwords(tmp_path: Path) -> None:
    with opened(tmp_path, TRACED) as session:
        found = trace.profiler(session, workload(tmp_path, traced=True))
        (control,) = session.testbed.with_role("control")
    assert found is not None
    assert found.key == "hmac"
    address = control.nics[0].addresses[0].partition("/")[0]
    assert found.store == f"redis://default:pw@{address}:6379/0"


def test_odd_passwords_and_ipv6_make_an_address_a_client_reads(tmp_path: Path) -> None:
    odd = "osprofiler_secret: hmac\nvalkey_master_password: 'a@b/c:d%'\n"
    with opened(tmp_path, TRACED, odd) as session:
        nic = Nic(device="eth0", network="api", addresses=("2001:db8::7/64",))
        host = Host(name="c", address="c", roles=("control",), nics=(nic,))
        network = Network(name="api", cidr="2001:db8::/64", roles=("api",))
        bed = Testbed(provider="fake", hosts=(host,), networks=(network,))
        session.save(testbed=bed)
        found = trace.profiler(session, workload(tmp_path, traced=True))

    assert found is not None
    parts = urlsplit(found.store)
    assert (parts.hostname, parts.port) == ("2001:db8::7", 6379)
    assert unquote(parts.password or "") == "a@b/c:d%"


def test_what_the_address_of_the_store_lacks_is_named(tmp_path: Path) -> None:
    with (
        opened(tmp_path, TRACED, "osprofiler_secret: hmac\n") as session,
        pytest.raises(ConfigError, match="has no `valkey_master_password`"),
    ):
        trace.profiler(session, workload(tmp_path, traced=True))
    host = Host(name="n", address="n", roles=("compute",))
    bed = Testbed(provider="fake", hosts=(host,), networks=())
    with pytest.raises(ConfigError, match="no machine keeps") as told:
        trace.address(bed, "valkey")
    assert told.value.hint == "give one of them the role `valkey`, `control`"


def test_the_round_trips_of_the_emulation_are_kept_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(host: str, target: str, network: str, ms: float) -> SimpleNamespace:
        shaping = SimpleNamespace(delay=SimpleNamespace(ms=ms))
        return SimpleNamespace(
            host=host, target=target, network=network, shaping=shaping
        )

    with opened(tmp_path) as session:
        api = session.testbed.network("api")
        assert api is not None
        one, other = (host.name for host in session.testbed.hosts)
        rules = [
            rule(one, other, api.name, 10.0),
            rule(one, other, api.name, 10.0),  # its second address, a VIP for instance
            rule(other, one, api.name, 15.0),
            rule(other, one, "elsewhere", 99.0),
        ]
        plan = SimpleNamespace(rules=lambda: iter(rules))
        monkeypatch.setattr(tc, "planned", lambda _: plan)
        assert trace.lab(session).rtt == {}  # nothing is shaped yet
        with phase(session, "tc"):
            pass
        folder = session.directory.results / "bench-1-x"
        trace.keep_lab(session, folder, Timeline())
        (found,) = kept(folder, "01-boot", "aaaa")
    assert found.lab.between(one, other) == pytest.approx(0.025)
    assert found.lab.database == session.testbed.with_role("control")[0].name


def test_the_host_that_holds_the_vip_is_no_farther_away_than_the_others() -> None:
    def host(name: str, group: str, address: str) -> Host:
        nic = Nic(device="eth0", network="api", addresses=(address,))
        return Host(name=name, address=name, groups=(group,), nics=(nic,))

    far = ConstraintSpec(src="a", dst="b", delay=Duration(ms=25), symmetric=True)
    bed = Testbed(
        provider="fake",
        hosts=(host("one", "a", "10.0.0.1/24"), host("two", "b", "10.0.0.2/24")),
        networks=(Network(name="api", cidr="10.0.0.0/24", roles=("api",)),),
    )
    vip = netem.Vip(address="10.0.0.100", host="one")
    asked = NetworkConstraints(constraints=(far,))

    plan = netem.plan_emulation(asked, bed, vips=(vip,))

    assert len(tuple(plan.rules())) == 3
    assert trace.round_trips(plan.rules()) == {("one", "two"): 0.05}


def test_events_that_change_delays_in_a_traced_run_are_warned_of(
    tmp_path: Path,
) -> None:
    lossy = ConstraintSpec(src="control", dst="compute", loss=Percent(1))
    slower = ConstraintSpec(src="control", dst="compute", delay=Duration(ms=50))
    with opened(tmp_path) as session:
        for spec in (lossy, slower):
            change = LinkChange(at=1.0, text="delay 50ms", specs=(spec,))
            folder = session.directory.results / "bench-1-x"
            trace.keep_lab(session, folder, Timeline(events=(change,)))
        progress = session.progress
    assert isinstance(progress, RecordingProgress)
    (warning,) = progress.warnings
    assert "`delay 50ms`" in warning


def kept(run: Path, scenario: str, *names: str) -> tuple[traces.Traced, ...]:
    place = run / scenario / "traces"
    place.mkdir(parents=True)
    for number, name in enumerate(names, 1):
        whole = {
            "format": "enos-trace", "version": 1, "id": name, "iteration": number,
            "points": POINTS,
        }  # fmt: skip
        packed = gzip.compress(json.dumps(whole).encode())
        (place / f"{number:04d}-{name}.json.gz").write_bytes(packed)
    return tuple(traces.of_run(run))


@pytest.fixture
def traced(tmp_path: Path) -> tuple[traces.Traced, ...]:
    kept(tmp_path / "bench-1-x", "01-boot", "aaaa", "abbb")
    kept(tmp_path / "bench-2-x", "01-boot", "cccc")
    kept(tmp_path / "bench-2-x", "02-list", "dddd")
    runs = ("bench-1-x", "bench-2-x")
    return tuple(one for run in runs for one in traces.of_run(tmp_path / run))


@pytest.mark.parametrize(
    ("what", "labels", "files"),
    [
        ("", ["bench-2-x/01-boot", "bench-2-x/02-list"], 2),
        ("bench-1-x", ["bench-1-x/01-boot"], 2),
        ("bench-1-x/01-boot", ["bench-1-x/01-boot"], 2),
        ("boot", ["bench-2-x/01-boot"], 1),
        ("02-list", ["bench-2-x/02-list"], 1),
        ("ab", ["bench-1-x/01-boot"], 1),
    ],
)
def test_runs_scenarios_and_traces_are_found_by_name(
    traced: tuple[traces.Traced, ...], what: str, labels: list[str], files: int
) -> None:
    found = traces.find(traced, what)
    assert [one.label for one in found] == labels
    assert sum(len(one.files) for one in found) == files


def test_what_is_not_there_or_not_clear_is_an_error(
    traced: tuple[traces.Traced, ...],
) -> None:
    with pytest.raises(TraceError, match="`nothing`"):
        traces.find(traced, "nothing")
    with pytest.raises(TraceError, match="2 traces begin with `a`"):
        traces.find(traced, "a")
    with pytest.raises(TraceError, match="no traces"):
        traces.find((), "")


def test_two_runs_are_compared_scenario_by_scenario(
    traced: tuple[traces.Traced, ...],
) -> None:
    first, second = traces.find(traced, "bench-1-x"), traces.find(traced, "bench-2-x")
    pairs = traces.paired(first, second)
    assert [(a.label, b.label) for a, b in pairs] == [
        ("bench-1-x/01-boot", "bench-2-x/01-boot")
    ]
    listed = traces.find(traced, "list")
    assert len(traces.paired(first, listed)) == 1  # one each: they are meant
    with pytest.raises(TraceError, match="no traced scenario in common"):
        traces.paired((*listed, *listed), first)


def test_pages_and_figures_are_written_beside_the_traces(
    traced: tuple[traces.Traced, ...], tmp_path: Path
) -> None:
    (page,) = traces.write_pages(traces.find(traced, "cccc"))
    assert page.name == "boot-0001-cccc.html"
    assert page.parent == traced[1].files[0].parent
    (other,) = traces.write_pages(traces.find(traced, "cccc"), tmp_path / "pages")
    assert other.parent == tmp_path / "pages"
    trace.keep_figures(tmp_path / "bench-2-x")
    rows = (tmp_path / "bench-2-x" / "traces.csv").read_text().splitlines()
    assert "boot,1,REST calls,1.0,,1" in rows
    assert "list,1,REST time,0.005,s,1" in rows


def test_a_traced_run_ends_with_its_figures_and_a_page_beside_each_trace(
    traced: tuple[traces.Traced, ...], tmp_path: Path
) -> None:
    run = traced[0].run
    with opened(tmp_path) as session:
        trace.keep_analyses(session, run)

    place = run / "01-boot" / "traces"
    pages = sorted(path.name for path in place.glob("*.html"))
    assert pages == ["boot-0001-aaaa.html", "boot-0002-abbb.html"]
    assert (run / "traces.csv").exists()


def test_without_a_lab_the_hosts_are_their_own_places(
    traced: tuple[traces.Traced, ...],
) -> None:
    assert traced[0].lab == Lab()
    assert traced[0].lab.place("c") == "c"
