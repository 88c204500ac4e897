"""What monitoring costs: benchmarks/monitoring_cost.py EXPERIMENT [ROUNDS].

EXPERIMENT is the directory of a monitored experiment whose OpenStack is ready. First
the units' own CPU, as systemd accounts it, over a minute in which nothing is asked of
the cloud. Then ROUNDS pairs of the same Rally runs, the agents and their database
stopped in one and running in the other, which comes first by turns: the difference of
the means against what runs of the same kind differ by. Prints Markdown; the raw
figures go to `results/monitoring-cost.json`, and a later call adds its runs to them.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import enos
from enos.bench import rally
from enos.bench.workload import load_workload
from enos.cli.console import QUIET, Console
from enos.cli.options import cache_folder
from enos.metrics.plan import AGENT, DATABASE
from enos.phases import metrics
from enos.phases.bench import bench_of
from enos.phases.session import Session, Workshop, resuming
from enos.remote import on_each, run_on
from enos.testbed import Host

QUIET_SECONDS = 60
Runs = dict[bool, list[dict[str, list[float]]]]
RUN = """\
rally:
  scenarios:
    - name: authenticate
      file: {rally}/keystone-authenticate.yml
      args: {{times: 20, concurrency: 2}}
    - name: networks
      file: {rally}/neutron-create-and-list-networks.yml
      args: {{times: 6, concurrency: 1}}
"""


def on_all(session: Session, *command: str) -> dict[str, str]:
    """Return what a command prints on each machine."""
    sockets = session.directory.sockets

    def ask(host: Host) -> str:
        argv = ("sh", "-c", " ".join(command))
        done = run_on(session.shell, host, argv, check=False, sockets=sockets)
        return done.stdout

    return on_each(session.testbed.hosts, ask)


def cpu(session: Session) -> dict[str, dict[str, float]]:
    """Return host → unit → seconds of CPU so far, systemd's accounting."""
    told = on_all(
        session,
        f"for unit in {AGENT} {DATABASE}; do",
        'echo "$unit $(cat /sys/fs/cgroup/system.slice/$unit/cpu.stat',
        "/sys/fs/cgroup/unified/system.slice/$unit/cpu.stat 2>/dev/null",
        "| sed -n 's/^usage_usec //p')\"; done",
    )
    return {
        host: {
            unit: float(used) / 1e6
            for unit, _, used in (line.partition(" ") for line in text.splitlines())
            if used.strip()
        }
        for host, text in told.items()
    }


def at_rest(session: Session) -> dict[str, dict[str, float]]:
    """Return host → unit → share of a core while nothing is asked of the cloud."""
    before, began = cpu(session), time.monotonic()
    time.sleep(QUIET_SECONDS)
    after, took = cpu(session), time.monotonic() - began
    return {
        host: {unit: (used - before[host][unit]) / took for unit, used in units.items()}
        for host, units in after.items()
    }


def bench(session: Session, folder: Path) -> dict[str, list[float]]:
    """Return scenario → durations of one run."""
    task = Path(enos.__file__).parents[1] / "workloads" / "rally"
    file = folder / "run.yml"
    file.write_text(RUN.format(rally=task), encoding="utf-8")
    text = (session.directory.kolla / "clouds.yaml").read_text(encoding="utf-8")
    results = rally.run_workload(
        load_workload(file),
        bench_of(session),
        spec=rally.env_spec(text),
        results=folder / "results",
    )
    rally.judge(results)
    return {one.name: [each.seconds for each in one.iterations] for one in results}


def once(session: Session, *, measured: bool) -> dict[str, list[float]]:
    """Return scenario → durations, with the agents running or stopped."""
    switch(session, "start" if measured else "stop")
    time.sleep(5)
    with tempfile.TemporaryDirectory() as name:
        return bench(session, Path(name))


def switch(session: Session, word: str) -> None:
    """Start or stop the units on the machines that have them."""
    there = f"/etc/systemd/system/{DATABASE}"
    script = f"systemctl {word} {AGENT}; test ! -f {there} ||"
    on_all(session, script, f"systemctl {word} {DATABASE}")


def spread(several: Iterable[float]) -> str:
    """Return mean and standard deviation of the means of runs."""
    values = list(several)
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def table(runs: Runs) -> Iterable[str]:
    """Yield the lines of the comparison."""
    yield "| scenario | without, s | with, s | difference | runs differ by |"
    yield "| --- | --- | --- | --- | --- |"
    for name in runs[True][0]:
        means = {
            kind: [statistics.mean(run[name]) for run in several]
            for kind, several in runs.items()
        }
        off, on = (statistics.mean(means[kind]) for kind in (False, True))
        between = statistics.mean([statistics.stdev(one) for one in means.values()])
        yield (
            f"| {name} | {spread(means[False])} | {spread(means[True])} "
            f"| {(on - off) / off:+.1%} | {between / off:.1%} |"
        )


def earlier(file: Path) -> Runs:
    """Return the runs of earlier calls."""
    if not file.exists():
        return {True: [], False: []}
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {True: kept["with"], False: kept["without"]}


def main(directory: Path, rounds: int) -> None:
    console = Console(level=QUIET)
    workshop = Workshop(progress=console, where=directory.parent, cache=cache_folder())
    with resuming(directory, workshop, reread=False, lock=False) as session:
        interval = metrics.planned(session).interval
        file = session.directory.results / "monitoring-cost.json"
        runs = earlier(file)
        rest = at_rest(session)
        try:
            for number in range(rounds):
                order = (True, False) if number % 2 else (False, True)
                for measured in order:
                    runs[measured].append(once(session, measured=measured))
        finally:
            switch(session, "start")
        keep = {"interval": interval, "rest": rest, "with": runs[True]}
        text = json.dumps({**keep, "without": runs[False]}, indent=2) + "\n"
        file.write_text(text, encoding="utf-8")
    print(f"A sample every {interval:g} s; share of a core at rest:\n")
    print("| machine | unit | share of a core |\n| --- | --- | --- |")
    for host, units in rest.items():
        for unit, share in units.items():
            print(f"| {host} | {unit} | {share:.2%} |")
    print(f"\n{len(runs[True])} runs of each kind, means and standard deviations:\n")
    print("\n".join(table(runs)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 4)
