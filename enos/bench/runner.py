"""Runs Rally tasks on the bench host, by the Python of Rally's environment there.

    python runner.py FOLDER

Never imported by enos: it is copied to the bench host. One process does all, since
each start of the `rally` command costs seconds of imports. FOLDER holds ``job.json``
(environment specification, runs, plugins, store of trace points) and gets the database
and, for each run, ``runs/<key>/{report.json,report.html,traces/,outcome.json}``; the
outcome is written last and marks a run as done, so that a second start goes on where
the first was killed.

Standard output carries one JSON object a line: ``{"event": "started", "key": …}``,
``finished``, ``kept`` (done earlier), ``awaiting``, ``ended`` and, now and then,
``alive``; Rally's log goes to standard error. When nobody reads any more the process
ends itself: enos was killed.
"""

import fcntl
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import yaml

ENV = "enos"
_WAIT = 30  # seconds for an earlier runner of the same folder to end
_BEAT = 3
_PRINTING = threading.Lock()
_OF_RALLY = re.compile(r"^[sc]_rally_")
_REPORTS = {"report.json": "json", "report.html": "html-static"}


def tell(event: str, **more: str) -> None:
    """Write an event; end the whole process group when nobody reads."""
    try:
        with _PRINTING:
            sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
            sys.stdout.flush()
    except OSError:
        os.killpg(0, signal.SIGKILL)


def main(folder: Path) -> None:
    """Run what is not done yet of the folder's job."""
    if os.getpgrp() != os.getpid():  # sshd has made it the leader already
        os.setpgrp()
    lock = (folder / "lock").open("w")
    _lock(lock.fileno())
    threading.Thread(target=_heartbeat, daemon=True).start()
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    ahead = []
    for run in job["runs"]:
        if (folder / "runs" / run["key"] / "outcome.json").exists():
            tell("kept", key=run["key"])
        else:
            ahead.append(run)
    if ahead:
        tell("awaiting", what="Rally to load its plugins")
        api = _rally(folder, job)
        for run in ahead:
            tell("started", key=run["key"])
            _one(api, folder, run, job["store"])
            tell("finished", key=run["key"])
    tell("ended")


def _lock(descriptor: int) -> None:
    for _ in range(_WAIT):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(1)
        else:
            return
    sys.exit("another runner works in this folder and does not end")


def _heartbeat() -> None:
    while True:
        time.sleep(_BEAT)
        tell("alive")


def _rally(folder: Path, job: dict[str, Any]) -> Any:  # noqa: ANN401 - Rally has no types
    """Return Rally's API, with a database and the environment `enos`."""
    from rally import api, plugins
    from rally.common import db
    from rally.env.env_mgr import EnvManager

    config = folder / "rally.conf"
    database = folder / "rally.db"
    config.write_text(f"[database]\nconnection = sqlite:///{database}\n", "utf-8")
    loaded = api.API(config_file=str(config), skip_db_check=True)
    plugins.load()
    if job["store"]:
        _trace_each_iteration()
    plugins_folder = folder / "plugins"
    for name, text in job["plugins"].items():
        plugins_folder.mkdir(exist_ok=True)
        (plugins_folder / name).write_text(text, "utf-8")
    _load(plugins_folder)
    if (folder / "running").exists():
        tell("awaiting", what="leftovers of an interrupted scenario to be removed")
        for spec in job["env"].values():
            _remove_leftovers(spec)
        (folder / "running").unlink()
    if not (folder / "ready").exists():  # killed while it was made: anew
        database.unlink(missing_ok=True)
        db.schema.schema_create()
        EnvManager.create(ENV, spec=job["env"])
        (folder / "ready").touch()
    return loaded


def _load(folder: Path) -> None:
    from rally.common.plugin import discover

    if folder.is_dir():
        discover.load_plugins(str(folder))


def _trace_each_iteration() -> None:
    """Give iterations that share a thread (`serial` runner) traces of their own."""
    from osprofiler import profiler
    from rally_openstack.task.scenario import OpenStackScenario

    begin = OpenStackScenario._init_profiler  # noqa: SLF001 - there is no other way

    def anew(self: Any, context: Any) -> None:  # noqa: ANN401 - Rally's
        profiler.clean()
        begin(self, context)

    OpenStackScenario._init_profiler = anew  # noqa: SLF001 - see above


def _tracing(run: dict[str, Any], store: str) -> tuple[Any, dict[str, Any] | None]:
    """Turn tracing on or off for a run; return the store's client, or the gap.

    With a store that is gone, services would refuse traced requests.
    """
    import harvest  # type: ignore[import-not-found]  # beside this file
    from rally.common import cfg

    client, outcome = None, None
    if run["traced"]:
        client = harvest.connected(store)
        why = harvest.silence(client)
        if why:
            client, outcome = None, {"wanted": 0, "kept": 0, "gap": why}
    if store:
        on = client is not None
        cfg.CONF.set_override("enable_profiler", on, group="openstack")
    return client, outcome


def _traces(client: Any, place: Path) -> dict[str, Any]:  # noqa: ANN401 - of redis
    import harvest

    tell("awaiting", what="trace points")
    report = json.loads((place / "report.json").read_text("utf-8"))
    return dict(harvest.harvest(client, report, place / "traces"))


def _forget(client: Any, place: Path) -> None:  # noqa: ANN401 - of redis
    import harvest

    why = harvest.forget(client, json.loads((place / "report.json").read_text("utf-8")))
    if why:
        sys.stderr.write(why + "\n")


def _one(api: Any, folder: Path, run: dict[str, Any], store: str) -> None:  # noqa: ANN401 - Rally's
    """Run a task and write its reports; whatever fails is written as the outcome."""
    place = folder / "runs" / run["key"]
    place.mkdir(parents=True, exist_ok=True)
    (folder / "running").touch()
    client, traces = _tracing(run, store)
    began, error, details = time.time(), "", ""
    try:
        task = api.task.create(deployment=ENV, tags=[run["key"]])["uuid"]
        try:
            api.task.start(
                deployment=ENV, config=yaml.safe_load(run["task"]), task=task
            )
        finally:
            took = time.time() - began
            for name, kind in _REPORTS.items():
                made = api.task.export(tasks=[task], output_type=kind)
                (place / name).write_text(made["print"], "utf-8")
            if client is not None:
                traces = _traces(client, place)
    except Exception as failure:  # noqa: BLE001 - the other scenarios must run
        error = f"{type(failure).__name__}: {failure}"
        details, took = traceback.format_exc(), time.time() - began
    outcome = {"error": error, "details": details, "seconds": round(took, 3)}
    if traces:
        outcome["traces"] = traces
    tell("alive")  # what Rally failed at because nobody reads any more is no outcome
    part = place / "outcome.part"
    part.write_text(json.dumps({**outcome, "began": began}), "utf-8")
    part.replace(place / "outcome.json")
    if client is not None and traces:  # not before: killed, they are fetched again
        _forget(client, place)
    (folder / "running").unlink(missing_ok=True)


def _remove_leftovers(spec: dict[str, Any]) -> None:
    """Remove servers, users and projects that a killed task did not.

    Its networks stay: they cost nothing and hinder no later run.
    """
    from keystoneauth1 import identity, session
    from openstack.connection import Connection

    admin = spec["admin"]
    auth = identity.Password(auth_url=spec["auth_url"], **admin)
    verify = not spec.get("https_insecure") and (spec.get("https_cacert") or True)
    cloud: Any = Connection(
        session=session.Session(auth=auth, verify=verify),
        region_name=spec.get("region_name"),
        compute_api_version="2",
    )
    for server in cloud.compute.servers(all_projects=True):
        if _OF_RALLY.match(server.name):
            cloud.compute.delete_server(server, force=False)
    for user in cloud.identity.users():
        if _OF_RALLY.match(user.name):
            cloud.identity.delete_user(user)
    for project in cloud.identity.projects():
        if _OF_RALLY.match(project.name):
            cloud.identity.delete_project(project)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
