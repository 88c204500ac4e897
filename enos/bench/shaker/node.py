"""Keeps Shaker's agents and an iperf3 server on a node, for one scenario.

    python node.py FOLDER

Never imported by enos: it is copied to the nodes and run by their Python. FOLDER holds
``job.json`` ({"agents": ids, "endpoint": host:port, "token": text, "iperf3": bool}),
``token``, the folder ``bin`` that comes first in the agents' path, and ``work``, where
agents keep their files. All ends when ``token`` is gone or says something else, or when
nobody reads the output any more: enos was killed.

Standard output carries one JSON object a line: ``{"event": "ready"}``, ``alive``,
``lost`` (an agent or iperf3 ended by itself), ``foreign`` (somebody else's server has
the port of iperf3 and is used) and ``ended``.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator  # noqa: TC003 - run elsewhere, as it is
from pathlib import Path
from typing import Any

PORT = 5201  # where clients that are told no port look for iperf3
_WAIT = 30  # seconds for an earlier one in the same folder to end
_BEAT = 3
_SOON, _EARLY = 2, 5  # seconds after its start, and how often, iperf3 may end
_PATIENCE = 20_000  # milliseconds; without figures the agent does not start at all
_RETRIES = 100_000  # the server is started after the agents
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class UnheardError(Exception):
    """Nobody reads what is told."""


def tell(event: str, **more: Any) -> None:  # noqa: ANN401 - JSON
    """Write an event; raises UnheardError when nobody reads."""
    try:
        sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
        sys.stdout.flush()
    except OSError:
        raise UnheardError from None


def main(folder: Path) -> None:
    """Start the agents and stay until they are no longer wanted."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    with (folder / "lock").open("w") as lock:
        _take(lock.fileno())
        (folder / "work").mkdir(exist_ok=True)
        with contextlib.suppress(UnheardError), _group() as started:
            if job["iperf3"] and _answers(PORT):
                tell("foreign", port=PORT)
            elif job["iperf3"]:
                started["iperf3"] = _iperf3(folder)
            for name in job["agents"]:
                started[name] = _agent(name, job, folder)
            tell("ready")
            _stay(folder, job["token"], started)
            tell("ended")


def _stay(
    folder: Path, token: str, started: "dict[str, subprocess.Popen[bytes]]"
) -> None:
    beat = since = time.monotonic()
    early = 0
    while _wanted(folder, token):
        time.sleep(0.2)
        for name, process in list(started.items()):
            if process.poll() is None:
                continue
            # it may give up after a client that went away, but not time and again
            if name == "iperf3" and early < _EARLY:
                early = early + 1 if time.monotonic() - since < _SOON else 0
                since = time.monotonic()
                started[name] = _iperf3(folder)
            else:
                del started[name]
                tell("lost", agent=name, status=process.returncode)
        if time.monotonic() - beat > _BEAT:
            beat = time.monotonic()
            tell("alive")


@contextlib.contextmanager
def _group() -> "Iterator[dict[str, subprocess.Popen[bytes]]]":
    """Give a place for processes that are ended, with all they started."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        yield started
    finally:
        for process in started.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _take(descriptor: int) -> None:
    for _ in range(_WAIT * 5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.2)
        else:
            return
    sys.exit("agents of another run work in this folder and do not end")


def _wanted(folder: Path, token: str) -> bool:
    try:
        return (folder / "token").read_text("utf-8").strip() == token
    except OSError:
        return False


def _agent(name: str, job: "dict[str, Any]", folder: Path) -> "subprocess.Popen[bytes]":
    work = folder / "work"
    path = f"{folder / 'bin'}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    command = (
        *(sys.executable, "-m", "shaker.agent.agent"),
        *("--server-endpoint", job["endpoint"], "--agent-id", name),
        *("--polling-interval", "1", "--agent-dir", str(work)),
        *("--agent-socket-recv-timeout", str(_PATIENCE)),
        *("--agent-socket-send-timeout", str(_PATIENCE)),
        *("--agent-socket-conn-retries", str(_RETRIES)),
    )
    return _start(command, work, {**os.environ, "PATH": path})


def _iperf3(folder: Path) -> "subprocess.Popen[bytes]":
    command = ("iperf3", "-s", "-p", str(PORT))
    return _start(command, folder / "work", dict(os.environ))


def _start(
    command: "tuple[str, ...]", work: Path, env: "dict[str, str]"
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=work,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        preexec_fn=_with_parent,  # noqa: PLW1509 - there is one thread
    )


def _with_parent() -> None:
    """Let the child die with this program, even when that is killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
