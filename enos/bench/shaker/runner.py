"""Plays one Shaker scenario on the bench host, by the Python of its environment there.

    python runner.py FOLDER

Never imported by enos: it is copied to the bench host. FOLDER holds ``job.json`` and
``scenario/``, the scenario file with its templates, and ``bin/``, programs for tests
that run here; it gets ``outcome/``:
``shaker.json``, Shaker's own output with its verdicts on SLAs, and ``outcome.json``,
written last, which marks the scenario as done.

Standard output carries one JSON object a line: ``{"event": "awaiting", "what": …}``,
``testing`` (a test begins), ``ended`` and, now and then, ``alive``; Shaker's log goes
to standard error. When nobody reads any more, enos was killed: the scenario is
interrupted, which removes its Heat stack.
"""

import copy
import fcntl
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_WAIT = 150  # seconds for an earlier runner of the same folder to clean up and end
_BEAT = 3
_CLEANING = 120  # seconds an interrupted scenario has to remove its stack
_PRINTING = threading.Lock()
LOCAL = "127.0.0.1"


def tell(event: str, **more: str) -> bool:
    """Write an event; tell whether anybody reads."""
    try:
        with _PRINTING:
            sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
            sys.stdout.flush()
    except OSError:
        return False
    return True


def main(folder: Path) -> None:
    """Play the folder's scenario unless it was played before."""
    if os.getpgrp() != os.getpid():  # sshd has made it the leader already
        os.setpgrp()
    # Whoever started enos may ignore it, as nohup and shells in the background do.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lock = (folder / "lock").open("w")
    _take(lock.fileno())
    threading.Thread(target=_heartbeat, daemon=True).start()
    outcome = folder / "outcome"
    if not (outcome / "outcome.json").exists():
        job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        tell("awaiting", what="Shaker to start")
        os.environ.update(job["environment"])  # its options read them when imported
        os.environ["PATH"] += f":{folder / 'bin'}"
        (folder / "work").mkdir(exist_ok=True)
        os.chdir(folder / "work")  # where tests that run here leave files
        _play(folder, job)
    tell("ended")


def _take(descriptor: int) -> None:
    for _ in range(_WAIT):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(1)
        else:
            return
    sys.exit("another runner works in this folder and does not end")


def _heartbeat() -> None:
    while tell("alive"):
        time.sleep(_BEAT)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_CLEANING)
    os.killpg(0, signal.SIGKILL)


def _play(folder: Path, job: "dict[str, Any]") -> None:
    """Play the scenario and write what came of it, an error of Shaker's own too."""
    began, error, found = time.time(), "", {}
    try:
        found = _played(folder, job)
    except Exception as failure:
        logging.getLogger("shaker").exception("the scenario was not played")
        error = f"{type(failure).__name__}: {failure}"
    records = found.get("records", {}).values()
    if any(record.get("status") == "interrupted" for record in records):
        sys.exit("the scenario was interrupted")
    place = folder / "outcome"
    place.mkdir(exist_ok=True)
    (place / "shaker.json").write_text(json.dumps(found, indent=1, default=str))
    took = round(time.time() - began, 3)
    part = place / "outcome.part"
    part.write_text(json.dumps({"error": error, "seconds": took, "began": began}))
    part.replace(place / "outcome.json")


def _played(folder: Path, job: "dict[str, Any]") -> "dict[str, Any]":
    from oslo_config import cfg
    from shaker.engine import messaging, quorum, server

    _configure(job)
    if (folder / "running").exists():
        tell("awaiting", what="the stack of an interrupted run to be removed")
        _remove_stack(cfg.CONF)
    (folder / "running").touch()
    scenario = server.read_scenario(str(_file(folder, job)))
    if job["agents"]:
        scenario["deployment"] = {"agents": job["agents"]}
    for test in scenario["execution"]["tests"]:
        test.update(job["args"])
        test.setdefault("title", test["class"])
    _announce(server)
    # it would wait for all agents to be asleep; they are ended anyway
    del quorum.Quorum.__del__
    # agents may know the server by another address than this host does
    port = cfg.CONF.server_endpoint.rpartition(":")[2]
    remote = bool(scenario.get("deployment"))
    queue = messaging.MessageQueue(f"{LOCAL}:{port}") if remote else None
    found: dict[str, Any] = server.play_scenario(queue, scenario)
    (folder / "running").unlink()
    return {**found, "sla": _judged(found)}


def _configure(job: "dict[str, Any]") -> None:
    from shaker.engine import config, utils

    sys.argv = ["shaker", *job["options"]]
    utils.init_config_and_logging(
        config.COMMON_OPTS
        + config.OPENSTACK_OPTS
        + config.SERVER_OPTS
        + config.REPORT_OPTS
    )
    _hide([job["environment"].get("OS_PASSWORD", "")])


def _judged(found: "dict[str, Any]") -> "list[dict[str, str]]":
    """Return Shaker's verdicts on the SLAs, each with its test."""
    from shaker.engine import report

    copied = copy.deepcopy(found)  # the statistics take the place of what was said
    records = copied["records"]
    report.calculate_stats(records, copied["tests"])
    listed = report.output_sla(report.verify_sla(records, copied["tests"]))
    return [{**one, "test": records[one["record"]].get("test", "")} for one in listed]


def _file(folder: Path, job: "dict[str, Any]") -> "str | Path":
    return job["alias"] or folder / "scenario" / "scenario.yaml"


def _announce(server: Any) -> None:  # noqa: ANN401 - Shaker has no types
    """Tell of each test when it begins."""
    real = server.run_test

    def told(records: Any, quorum: Any, test: Any, *rest: Any) -> Any:  # noqa: ANN401 - Shaker's
        tell("testing", what=test["title"])
        return real(records, quorum, test, *rest)

    server.run_test = told


def _remove_stack(conf: Any) -> None:  # noqa: ANN401 - Shaker's
    """Delete the stack a killed run of this scenario left."""
    from shaker.engine import utils
    from shaker.openstack.clients import heat, openstack

    if not conf.os_auth_url:
        return
    client = openstack.OpenStackClient(utils.pack_openstack_params(conf))
    for stack in client.heat.stacks.list():
        if stack.stack_name == conf.stack_name:
            heat.wait_stack_deletion(client.heat, stack.id)


def _hide(secrets: "list[str]") -> None:
    """Keep secrets out of the log: Shaker tells its parameters when a login fails."""

    def masked(text: str) -> str:
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
        return text

    class Mask(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.msg, record.args = masked(record.getMessage()), ()
            if record.exc_info and not record.exc_text:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            if record.exc_text:  # a formatter takes it as it is
                record.exc_text = masked(record.exc_text)
            return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(Mask())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
