"""The database of measures, reached on its own machine by SSH or directly by HTTP.

https://docs.influxdata.com/influxdb/v1/tools/api/
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from enos.errors import ConfigError, MonitoringError, ProcessError
from enos.metrics.hosts import ask
from enos.metrics.plan import NAME, USER, MonitoringPlan
from enos.metrics.series import identifier, results, text
from enos.process import Shell
from enos.remote import run_on
from enos.testbed import Host

PATIENCE = 90.0
BATCH = 5000
PASSWORD = "ENOS_INFLUX_PASSWORD"  # noqa: S105 - the variable it is in
SILENT = "the database of measures does not answer"
HINT = "`enos metrics status` tells which machines are measured"


class Link(Protocol):
    """How requests reach the database."""

    def send(self, spec: Mapping[str, Any]) -> str:
        """Return the body of the answer; raises MonitoringError for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverSsh:
    """Requests are made on the machine of the database: it need not be in reach."""

    host: Host
    shell: Shell
    sockets: Path | None = None

    def send(self, spec: Mapping[str, Any]) -> str:
        """See `Link.send`."""
        try:
            done = run_on(
                self.shell,
                self.host,
                ("python3", "-c", program("ask")),
                stdin=json.dumps(dict(spec)),
                check=False,
                timeout=PATIENCE,
                sockets=self.sockets,
            )
        except ProcessError as late:
            raise MonitoringError(
                f"{SILENT} on {self.host.name}: {late.message}", hint=HINT
            ) from None
        if not done.ok:
            said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            where = f"{SILENT} on {self.host.name}"
            raise MonitoringError(f"{where}: {said[-1]}", hint=HINT)
        return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class OverHttp:
    """Requests are made from here."""

    def send(self, spec: Mapping[str, Any]) -> str:
        """See `Link.send`."""
        try:
            return ask.fetch(spec)
        except OSError as silent:
            where = f"{SILENT} at {spec['url']}"
            hint = "check the address, and that InfluxDB 1.x runs there"
            raise MonitoringError(f"{where}: {ask.why(silent)}", hint=hint) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Influx:
    """A database of InfluxDB 1.x."""

    url: str
    link: Link
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = NAME

    def ask(self, statement: str) -> dict[str, Any]:
        """See `enos.metrics.series.Database.ask`."""
        return self._answer({"q": statement, "db": self.name, "epoch": "ms"})

    def command(self, statement: str) -> dict[str, Any]:
        """Return the answer to a statement that changes something."""
        answer = self._answer({"q": statement}, body="")
        for _ in results(answer):
            pass
        return answer

    def write(self, lines: Iterable[str], *, precision: str = "ms") -> int:
        """Write points in line protocol, times in `precision`; return how many.

        A point that is there already is replaced, so that writing twice is harmless.
        """
        every = list(lines)
        for begin in range(0, len(every), BATCH):
            body = "\n".join(every[begin : begin + BATCH])
            params = {"db": self.name, "precision": precision}
            told = self.link.send(self._spec("/write", params, body))
            if told.strip():
                error = _json(told).get("error", told)
                raise MonitoringError(
                    f"the database of measures at {self.url} refuses points: {error}",
                    hint="it may be full, or not InfluxDB 1.x, or want an account:"
                    f" `http://user@host:8086`, its password in `{PASSWORD}`",
                )
        return len(every)

    def ensure(self) -> None:
        """Make the account and the database where they are missing."""
        told = self.link.send(self._spec("/query", {"q": "SHOW DATABASES"}))
        if "error" in _json(told) and self.user:
            # Without any account InfluxDB lets everybody make the first one.
            account = f"CREATE USER {identifier(self.user)} WITH PASSWORD"
            self.command(f"{account} {text(self.password)} WITH ALL PRIVILEGES")
        self.command(f"CREATE DATABASE {identifier(self.name)}")

    def _answer(
        self, params: Mapping[str, str], body: str | None = None
    ) -> dict[str, Any]:
        return _json(self.link.send(self._spec("/query", params, body)))

    def _spec(
        self, path: str, params: Mapping[str, str], body: str | None = None
    ) -> dict[str, Any]:
        return {
            "url": self.url,
            "path": path,
            "params": dict(params),
            "body": body,
            "user": self.user,
            "password": self.password,
        }


def of_plan(plan: MonitoringPlan, shell: Shell, sockets: Path | None = None) -> Influx:
    """Return the database a testbed's measures are kept in."""
    return Influx(
        url=plan.url,
        link=OverSsh(host=plan.database, shell=shell, sockets=sockets),
        user=USER,
        password=plan.password,
    )


def at(url: str, password: str = "") -> Influx:
    """Return the database at ``http://[user@]host:port``.

    Raises ConfigError for no such address, and for one with a password in it: it
    would be in the list of processes and in the shell's history.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"`{url}` is not the address of a database"
        raise ConfigError(message, hint="write `http://host:8086`")
    if parts.password is not None:
        raise ConfigError(
            f"the address of the database at `{parts.hostname}` holds a password",
            hint=f"write `http://user@host:8086`, the password in `{PASSWORD}`",
        )
    place = parts.netloc.rpartition("@")[2]
    return Influx(
        url=urlunsplit((parts.scheme, place, "", "", "")),
        link=OverHttp(),
        user=parts.username or "",
        password=password,
    )


def program(name: str) -> str:
    """Return the text of a program of `enos.metrics.hosts`."""
    return (files("enos.metrics.hosts") / f"{name}.py").read_text(encoding="utf-8")


def _json(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text or "{}")
    except ValueError:
        raise MonitoringError(
            f"the database of measures answers in no known way: {text[:200]}",
            hint="is it InfluxDB 1.x?",
        ) from None
    return answer if isinstance(answer, dict) else {}
