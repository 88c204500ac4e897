"""All measures of an experiment as files: fetched from its database, brought up again.

A saved folder holds ``influxdb/``, a portable backup, and ``measures.lp.gz``, the same
points in line protocol, so that they outlive InfluxDB's formats.
"""

import gzip
import json
import os
import re
import shutil
import signal
import socket
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePath
from typing import IO

from enos.errors import MonitoringError, ProcessError
from enos.metrics.database import Influx, at, program
from enos.metrics.plan import BACKUP_PORT, NAME, PLACE, influxdb_conf
from enos.metrics.series import measurements
from enos.process import Shell
from enos.remote import ssh_argv
from enos.testbed import Host

PORTABLE, LINES, PID = "influxdb", "measures.lp.gz", "influxd.pid"
BATCH = 5000
PATIENCE = 900.0
READY = 60.0
_NAME = re.compile(r"(?:\\.|[^\\, ])+")
_START = 'exec setsid --fork "$0" -config "$1" -pidfile "$2" >>"$3" 2>&1 </dev/null'
"""For sh(1): a daemon that keeps no pipe of ours open."""


def save(
    host: Host,
    folder: Path,
    shell: Shell,
    *,
    place: PurePath = PLACE,
    port: int = BACKUP_PORT,
    sockets: Path | None = None,
) -> None:
    """Have all measures in a folder, in place of what was saved there before.

    Args:
        host: the machine of the database.
        folder: gets ``influxdb/`` and ``measures.lp.gz``.
        shell: reaches the machine.
        place: where monitoring lives there.
        port: where InfluxDB gives backups there.
        sockets: folder of shared SSH connections, None for none.

    Raises:
        MonitoringError: the database cannot give them; what was there stays.

    """
    command = ("python3", "-c", program("save"), str(place), str(port))
    argv = ssh_argv(host, command, sockets=sockets)
    recover(folder)
    draft = folder.with_name(f".{folder.name}.part")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(parents=True)

    why = _received(shell, argv, draft)
    if why:
        shutil.rmtree(draft)
        raise MonitoringError(
            f"the measures on {host.name} cannot be saved: {why}",
            hint="`enos metrics status` tells whether the database answers",
        )
    _replace(draft, folder)


def recover(folder: Path) -> None:
    """Put back the measures that a save had moved aside when it was killed."""
    aside = _aside(folder)
    if not aside.exists():
        return
    if folder.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(folder)


def _replace(draft: Path, folder: Path) -> None:
    """Have a draft in place of a folder; whole measures are there at any moment."""
    aside = _aside(folder)
    if folder.exists():
        folder.rename(aside)
    draft.rename(folder)
    if aside.exists():
        shutil.rmtree(aside)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _received(shell: Shell, argv: tuple[str, ...], draft: Path) -> str:
    """Unpack what a program sends; return why not all came, empty when it did."""

    def unpack(stream: IO[bytes]) -> None:
        # An empty stream: the program failed and says why.
        with (
            suppress(tarfile.ReadError),
            tarfile.open(fileobj=stream, mode="r|") as tar,
        ):
            tar.extractall(draft, filter="data")

    try:
        done = shell.pipe(argv, unpack, check=False, timeout=PATIENCE)
    except ProcessError as late:
        return late.message
    said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return "" if done.ok and (draft / LINES).exists() else said[-1]


def feed(folder: Path, database: Influx) -> int:
    """Write saved points into any InfluxDB 1.x; return how many."""
    database.command(f'CREATE DATABASE "{database.name}"')
    count = 0
    with gzip.open(folder / LINES, "rt", encoding="utf-8") as text:
        stripped = (line.rstrip("\n") for line in text)
        while batch := list(islice(stripped, BATCH)):
            count += database.write(batch, precision="ns")
    return count


def revive(folder: Path, data: Path, influxd: Path, shell: Shell) -> str:
    """Bring a saved database up on this machine, for itself only; return its URL.

    Args:
        folder: of `save`.
        data: where the new database lives; one that was revived there already is
            started again, or left alone if it runs.
        influxd: the program of InfluxDB 1.x.
        shell: starts it; it goes on when enos ends.

    Raises:
        MonitoringError: it does not come up, or refuses the backup.

    """
    mark = data / "revived"
    url = _running(data) or _start(data, influxd, shell)
    database = at(url)
    if not mark.exists():
        database.command(f'DROP DATABASE "{NAME}"')  # of a revival that was killed
        place = json.loads((data / "running.json").read_text(encoding="utf-8"))
        argv = (influxd, "restore", "-portable", "-host", place["backup"])
        done = shell.run((*argv, "-db", NAME, folder / PORTABLE), check=False)
        if not done.ok:
            raise MonitoringError(
                "InfluxDB refuses the saved measures",
                hint="`--to URL` takes them as line protocol",
                details=(done.stderr + done.stdout).strip(),
            )
        # What was restored is loaded at leisure; a start loads all before it answers.
        _stop(data)
        url = _start(data, influxd, shell)
        database = at(url)
        # A portable backup without points was seen, once, of a machine under load.
        if _measurements(folder) - set(measurements(database)):
            feed(folder, database)
        mark.touch()
    return url


def _measurements(folder: Path) -> set[str]:
    """Return the names of what a folder holds in line protocol."""
    with gzip.open(folder / LINES, "rt", encoding="utf-8") as text:
        escaped = {found[0] for line in text if (found := _NAME.match(line))}
    return {re.sub(r"\\(.)", r"\1", name) for name in escaped}


def _start(data: Path, influxd: Path, shell: Shell) -> str:
    port, backup = _free_ports()
    data.mkdir(parents=True, exist_ok=True)
    config, place = _config(data), data.resolve()
    bind = f"127.0.0.1:{port}"
    text = influxdb_conf(bind, place, backup=backup, accounts=False)
    config.write_text(text, "utf-8")
    url = f"http://127.0.0.1:{port}"
    running = {"url": url, "backup": f"127.0.0.1:{backup}"}
    (data / "running.json").write_text(json.dumps(running) + "\n", "utf-8")
    log = data / "influxd.log"
    # Without enos's mark: nobody is to end it as a leftover.
    unmarked = ("env", "-u", "ENOS_SESSION")
    shell.run((*unmarked, "sh", "-c", _START, influxd, config, data / PID, log))
    if not _within(READY, lambda: bool(_process(data)) and _answers(url)):
        message = f"InfluxDB does not come up; its log is `{log}`"
        raise MonitoringError(message, hint="name another folder with `--data`")
    return url


def _stop(data: Path) -> None:
    process = _process(data)
    if process:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    if not _within(READY, lambda: not process or _process(data) != process):
        message = f"InfluxDB, process {process}, does not end"
        raise MonitoringError(message, hint="end it, and run the command again")


def _within(seconds: float, so: Callable[[], bool]) -> bool:
    """Wait until something is so; tell whether it became so in that time."""
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _running(data: Path) -> str:
    """Return the URL of the database that runs on a folder, empty for none."""
    try:
        place = json.loads((data / "running.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    # Its port may be another database's by now.
    return str(place["url"]) if _process(data) and _answers(place["url"]) else ""


def _config(data: Path) -> Path:
    return data.resolve() / "influxdb.conf"


def _process(data: Path) -> int:
    """Return the process that runs on a folder, by proc(5); 0 for none."""
    try:
        number = int((data / PID).read_text(encoding="ascii"))
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return number if os.fsencode(_config(data)) in words else 0


def _answers(url: str) -> bool:
    try:
        at(url).ask("SHOW DATABASES")
    except MonitoringError:
        return False
    return True


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]
