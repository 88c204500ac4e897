"""The agent's parts against control groups, processes and services made of files."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.metrics.agent import services
from enos.metrics.agent.cgroups import Groups
from enos.metrics.agent.machine import Containers, Machine
from enos.metrics.agent.processes import PAGE, Processes
from enos.metrics.agent.samples import Rates, Sample
from enos.metrics.agent.services import Services

ONE = "ab" * 32


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    put(folder / "7/statm", "100 30 10 0 0 0 0\n")
    put(folder / "7/io", "rchar: 1\nread_bytes: 4096\nwrite_bytes: 512\n")
    put(folder / "stat", "cpu  100 20 30 999 5 3 2 50\ncpu0 1 1 1 1\n")
    put(folder / "meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n")
    return folder


def two(tmp_path: Path, proc: Path, *, controllers: bool) -> Groups:
    root = tmp_path / "two"
    group = root / "system.slice" / f"docker-{ONE}.scope"
    put(root / "cgroup.controllers", "memory io\n" if controllers else "\n")
    cpu = "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n"
    for place in (root, group):
        put(place / "cpu.stat", cpu)
        put(place / "cgroup.procs", "7\n" if place == group else "")
    if controllers:
        put(group / "memory.current", "5000\n")
        put(group / "memory.stat", "anon 4000\ninactive_file 1000\n")
        io = "8:0 rbytes=100 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2 rios=1\n"
        put(group / "io.stat", io)
    return Groups(root=root, processes=Processes(proc=proc))


def one(tmp_path: Path, proc: Path) -> Groups:
    root = tmp_path / "one"
    put(root / "cpuacct/docker" / ONE / "cpuacct.usage", "2500000000\n")
    put(root / "cpuacct/docker" / ONE / "cpuacct.stat", "user 200\nsystem 50\n")
    put(root / "cpuacct/docker" / ONE / "cgroup.procs", "7\n")
    put(root / "memory/docker" / ONE / "memory.usage_in_bytes", "5000\n")
    put(root / "memory/docker" / ONE / "memory.stat", "total_inactive_file 1000\n")
    put(
        root / f"blkio/docker/{ONE}/blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 101\n8:0 Write 22\n8:0 Total 123\nTotal 123\n",
    )
    return Groups(root=root, processes=Processes(proc=proc))


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_use_is_the_same_under_both_versions(
    version: int, tmp_path: Path, proc: Path
) -> None:
    groups = (
        one(tmp_path, proc) if version == 1 else two(tmp_path, proc, controllers=True)
    )

    (path,) = groups.containers().values()
    used = groups.usage(path)

    assert (used.cpu, used.user, used.system) == (2.5, 2.0, 0.5)
    assert (used.memory, used.tasks) == (4000, 1)
    assert (used.read, used.written) == (101, 22)


def test_without_controllers_processes_are_added_up(tmp_path: Path, proc: Path) -> None:
    groups = two(tmp_path, proc, controllers=False)

    used = groups.usage(groups.containers()[ONE])

    assert (used.cpu, used.memory) == (2.5, 20 * PAGE)
    assert (used.read, used.written) == (4096, 512)


def test_what_ended_processes_moved_stays_counted(proc: Path) -> None:
    processes = Processes(proc=proc)
    before = processes.moved("group", [7])
    (proc / "7/io").unlink()
    put(proc / "8/io", "read_bytes: 10\nwrite_bytes: 5\n")

    assert processes.moved("group", [7, 8]) == (before[0] + 10, before[1] + 5)


def test_a_container_is_called_as_its_engine_calls_it(
    tmp_path: Path, proc: Path
) -> None:
    put(tmp_path / "docker" / ONE / "config.v2.json", json.dumps({"Name": "/nova_api"}))
    groups = two(tmp_path, proc, controllers=True)
    containers = Containers(groups=groups, docker=tmp_path / "docker")

    found = {one.measure: one for one in containers.samples()}

    assert containers.names == {"nova_api"}
    assert found["container_cpu"] == Sample(
        "container_cpu", 2.5, "cores", "nova_api", counter=True
    )


def test_podmans_names_are_known_too_and_others_are_shortened(tmp_path: Path) -> None:
    listed = tmp_path / "containers.json"
    listed.write_text(json.dumps([{"id": ONE, "names": ["mariadb"]}]))
    containers = Containers(groups=Groups(), docker=tmp_path, podman=listed)

    assert containers.name(ONE) == "mariadb"
    assert containers.name("cd" * 32) == "cdcdcdcdcdcd"


def test_a_machine_that_is_a_container_is_measured_by_its_own_group(
    tmp_path: Path, proc: Path
) -> None:
    groups = two(tmp_path, proc, controllers=False)
    machine = Machine(groups=groups, contained=True, proc=proc)

    found = {one.measure: one.value for one in machine.samples()}

    assert (found["cpu"], found["memory"]) == (2.5, 20 * PAGE)
    assert found["disk_read"] == 4096


def test_a_machine_of_metal_is_measured_by_proc(tmp_path: Path, proc: Path) -> None:
    groups = two(tmp_path, proc, controllers=False)
    machine = Machine(groups=groups, contained=False, proc=proc)

    found = {one.measure: one.value for one in machine.samples()}

    assert found["cpu"] == pytest.approx((100 + 20 + 30 + 3 + 2) / 100)
    assert found["cpu_steal"] == pytest.approx(0.5)
    assert found["memory"] == 400 * 1024


def test_a_counter_becomes_a_rate_and_starts_anew_when_it_goes_back() -> None:
    rates = Rates()
    values = [
        rates.value(when, Sample("rx", total, "B/s", "eth0", counter=True))
        for when, total in ((0, 100), (5, 150), (10, 20), (15, 70))
    ]

    assert values == [None, 10.0, None, 10.0]


def test_counters_of_containers_long_gone_are_forgotten() -> None:
    rates = Rates(forget=60)
    rates.value(0, Sample("rx", 1, "B/s", counter=True))
    rates.sweep(61)

    assert rates.value(62, Sample("rx", 500, "B/s", counter=True)) is None


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1e12)), min_size=2, max_size=9)
)
def test_rates_add_up_to_what_a_growing_counter_grew(
    steps: list[tuple[float, float]],
) -> None:
    rates, when, total, grown = Rates(), 0.0, 0.0, 0.0
    rates.value(when, Sample("x", total, "1/s", counter=True))
    for seconds, more in steps:
        when, total = when + seconds, total + more
        rate = rates.value(when, Sample("x", total, "1/s", counter=True))
        assert rate is not None
        assert rate >= 0
        grown += rate * seconds

    assert grown == pytest.approx(total, rel=1e-6, abs=1e-3)


def test_rabbitmqs_overview_gives_numbers_and_rates() -> None:
    found = {
        one.measure: one.value
        for one in services.overview(
            {
                "object_totals": {"queues": 70, "connections": 40},
                "message_stats": {"publish": 1234, "deliver_get": 1200},
            }
        )
    }

    assert found["rabbitmq_connections"] == 40
    assert found["rabbitmq_delivered"] == 1200


def test_messages_that_streams_keep_do_not_wait() -> None:
    queues = [
        {"name": "conductor", "type": "quorum", "messages": 3, "messages_ready": 2},
        {"name": "x_fanout", "type": "stream", "messages": 100},
        {"name": "new", "type": "quorum", "messages": None},
    ]

    found = {one.measure: one.value for one in services.totals(queues)}

    assert found == {"rabbitmq_messages": 3, "rabbitmq_messages_ready": 2}
    assert services.queue_depths(queues) == {"conductor": 3, "new": 0}


def test_queues_with_random_names_are_summed() -> None:
    names = {
        "reply_1": 1,
        "reply_2": 2,
        "scheduler_fanout_ab12": 3,
        "scheduler_fanout_cd34": 4,
        "conductor": 5,
    }
    queues = [{"name": name, "messages": depth} for name, depth in names.items()]

    assert services.queue_depths(queues) == {
        "replies": 3,
        "scheduler_fanout": 7,
        "conductor": 5,
    }


def test_memcached_and_mariadb_tell_their_status() -> None:
    text = "STAT pid 1\r\nSTAT get_hits 10\r\nSTAT bytes 99\r\nEND\r\n"
    cached = {one.measure: one for one in services.memcached(text)}
    stored = {
        one.measure: one
        for one in services.mariadb({"Queries": "12", "Threads_connected": "3"})
    }

    assert (cached["memcached_hits"].value, cached["memcached_memory"].unit) == (
        10,
        "B",
    )
    assert stored["mariadb_queries"].counter
    assert stored["mariadb_connections"].value == 3


def test_haproxys_statistics_are_told_by_proxy() -> None:
    text = (
        "# pxname,svname,qcur,scur,stot,econ,eresp,req_tot,\n"
        "nova_api,FRONTEND,,4,90,,,100,\n"
        "nova_api,control-1,0,1,9,0,0,,\n"
        "nova_api,BACKEND,2,1,9,3,4,,\n"
    )

    found = {one.measure: (one.instance, one.value) for one in services.haproxy(text)}

    assert found == {
        "haproxy_sessions": ("nova_api", 4),
        "haproxy_requests": ("nova_api", 100),
        "haproxy_queue": ("nova_api", 2),
        "haproxy_errors": ("nova_api", 7),
    }


def test_a_connection_that_broke_is_closed_and_made_anew() -> None:
    class Broken:
        closed = 0

        def cursor(self) -> None:
            raise ConnectionError("gone")

        def close(self) -> None:
            self.closed += 1
            raise ConnectionError("already closed")

    told, broken = Services(accounts={"mariadb": {"port": 9}}), Broken()
    told._mariadb = broken

    found = list(told.samples(running={"mariadb"}))

    assert found == [Sample("service_up", 0.0, "", "mariadb")]
    assert broken.closed == 1
    assert told._mariadb is None


def test_a_service_that_cannot_be_asked_is_down_and_one_not_here_is_not_asked() -> None:
    nobody = {"address": "192.0.2.1", "port": 9}  # the account is missing
    why: list[str] = []
    accounts = {"rabbitmq": nobody, "haproxy": nobody}
    told = Services(accounts=accounts, warn=why.append)

    found = list(told.samples(running={"rabbitmq", "nova_api"}))

    assert found == [Sample("service_up", 0.0, "", "rabbitmq")]
    assert why == ["enos: rabbitmq does not answer: KeyError: 'user'"]
    list(told.samples(running={"rabbitmq"}))
    assert len(why) == 1
