"""What RabbitMQ, MariaDB, memcached and HAProxy say of themselves.

Each is asked where a container of its name runs, at the address Kolla binds it to, so
that the same program serves every machine and follows what is deployed later.
"""

import base64
import csv
import json
import socket
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from enos.metrics.agent.samples import Sample

PATIENCE = 3.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Account = Mapping[str, Any]


@dataclass
class Services:
    """The services of this machine.

    Attributes:
        accounts: service → its `address`, `port`, and `user` and `password` if any.
        warn: told why a service does not answer, once for each reason.

    """

    accounts: Mapping[str, Account]
    warn: Callable[[str], None] = lambda _: None
    _busy: set[str] = field(default_factory=set)
    _mariadb: Any = None
    _reasons: dict[str, str] = field(default_factory=dict)

    def samples(self, running: Iterable[str]) -> Iterator[Sample]:
        """Yield the measures of those services that run, and whether each answers."""
        for name in sorted(self.accounts.keys() & set(running)):
            asks: dict[str, Callable[[Account], Iterable[Sample]]] = {
                "rabbitmq": self._rabbitmq,
                "mariadb": self._mariadb_status,
                "memcached": _memcached,
                "haproxy": _haproxy,
            }
            try:
                several = tuple(asks[name](self.accounts[name]))
            except Exception as error:  # noqa: BLE001 - one that starts fails in many ways
                if name == "mariadb":
                    self._hang_up()
                several = ()
                self._tell(name, f"{type(error).__name__}: {error}")
            else:
                self._reasons.pop(name, None)
            yield Sample("service_up", float(bool(several)), "", name)
            yield from several

    def _tell(self, name: str, why: str) -> None:
        if self._reasons.get(name) != why:
            self._reasons[name] = why
            self.warn(f"enos: {name} does not answer: {why}")

    def _rabbitmq(self, account: Account) -> Iterator[Sample]:
        yield from overview(json.loads(_get(account, "/api/overview")))
        light = "/api/queues?disable_stats=true&enable_queue_totals=true"
        queues = json.loads(_get(account, light))
        yield from totals(queues)
        depths = queue_depths(queues)
        shown = {name for name, depth in depths.items() if depth}
        for name in sorted(shown | self._busy):
            yield Sample("rabbitmq_queue", depths.get(name, 0), "messages", name)
        self._busy = shown

    def _hang_up(self) -> None:
        """Close the connection to MariaDB, which may be broken already."""
        connection, self._mariadb = self._mariadb, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _mariadb_status(self, account: Account) -> Iterator[Sample]:
        if self._mariadb is None:
            import pymysql

            self._mariadb = pymysql.connect(
                host=account["address"],
                port=account["port"],
                user=account["user"],
                password=account["password"],
                connect_timeout=PATIENCE,
                read_timeout=PATIENCE,
            )
        with self._mariadb.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS")
            yield from mariadb(dict(cursor.fetchall()))


def overview(plain: Mapping[str, Any]) -> Iterator[Sample]:
    """Yield what RabbitMQ's management says of the whole broker."""
    objects = plain.get("object_totals", {})
    for kind in ("queues", "connections", "channels", "consumers"):
        yield Sample(f"rabbitmq_{kind}", objects.get(kind, 0), kind)
    moved = plain.get("message_stats", {})
    for measure, key in (("published", "publish"), ("delivered", "deliver_get")):
        if key in moved:
            yield Sample(f"rabbitmq_{measure}", moved[key], "messages/s", counter=True)


def totals(queues: Iterable[Mapping[str, Any]]) -> Iterator[Sample]:
    """Yield how many messages wait; streams keep theirs, so those do not count."""
    waiting = [queue for queue in queues if queue.get("type") != "stream"]
    for key in ("messages", "messages_ready"):
        depth = sum(int(queue.get(key) or 0) for queue in waiting)
        yield Sample(f"rabbitmq_{key}", depth, "messages")


def queue_depths(queues: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return messages in each queue but streams, those named at random as one.

    >>> queue_depths([{"name": "reply_1f", "messages": 2}, {"name": "conductor"}])
    {'replies': 2, 'conductor': 0}
    """
    depths: dict[str, int] = {}
    for queue in queues:
        name = str(queue["name"])
        if queue.get("type") == "stream":
            continue
        if name.startswith("reply_"):
            name = "replies"
        elif "_fanout_" in name:
            name = name.partition("_fanout_")[0] + "_fanout"
        depths[name] = depths.get(name, 0) + int(queue.get("messages") or 0)
    return depths


_MARIADB = {
    "Threads_connected": ("mariadb_connections", "connections", False),
    "Threads_running": ("mariadb_running", "threads", False),
    "Queries": ("mariadb_queries", "queries/s", True),
    "Slow_queries": ("mariadb_slow", "queries/s", True),
    "Innodb_row_lock_waits": ("mariadb_lock_waits", "waits/s", True),
    "Bytes_received": ("mariadb_rx", "B/s", True),
    "Bytes_sent": ("mariadb_tx", "B/s", True),
    "wsrep_local_recv_queue": ("mariadb_galera_queue", "writes", False),
}
_MEMCACHED = {
    "get_hits": ("memcached_hits", "gets/s", True),
    "get_misses": ("memcached_misses", "gets/s", True),
    "evictions": ("memcached_evictions", "items/s", True),
    "curr_items": ("memcached_items", "items", False),
    "curr_connections": ("memcached_connections", "connections", False),
    "bytes": ("memcached_memory", "B", False),
}


def mariadb(status: Mapping[str, str]) -> Iterator[Sample]:
    """Yield measures from ``SHOW GLOBAL STATUS``."""
    return _named(status, _MARIADB)


def memcached(text: str) -> Iterator[Sample]:
    """Yield measures from what memcached answers to ``stats``."""
    words = (line.split(maxsplit=2) for line in text.splitlines())
    status = {line[1]: line[2] for line in words if line[:1] == ["STAT"] and line[2:]}
    return _named(status, _MEMCACHED)


def haproxy(text: str) -> Iterator[Sample]:
    """Yield measures of each proxy from HAProxy's statistics as CSV."""
    for row in csv.DictReader(text.removeprefix("# ").splitlines()):
        proxy = row["pxname"]
        if row["svname"] == "FRONTEND":
            yield Sample("haproxy_sessions", _int(row, "scur"), "sessions", proxy)
            total = _int(row, "req_tot") or _int(row, "stot")
            yield Sample("haproxy_requests", total, "requests/s", proxy, counter=True)
        elif row["svname"] == "BACKEND":
            yield Sample("haproxy_queue", _int(row, "qcur"), "requests", proxy)
            failed = _int(row, "econ") + _int(row, "eresp")
            yield Sample("haproxy_errors", failed, "errors/s", proxy, counter=True)


def _memcached(account: Account) -> Iterator[Sample]:
    where = (account["address"], account["port"])
    with socket.create_connection(where, timeout=PATIENCE) as stream:
        stream.sendall(b"stats\r\n")
        held = b""
        while not held.endswith(b"END\r\n") and (block := stream.recv(1 << 16)):
            held += block
    return memcached(held.decode("ascii", "replace"))


def _haproxy(account: Account) -> Iterator[Sample]:
    return haproxy(_get(account, "/;csv"))


def _get(account: Account, path: str) -> str:
    pair = f"{account['user']}:{account['password']}".encode()
    url = f"http://{account['address']}:{account['port']}{path}"
    request = urllib.request.Request(
        url, headers={"Authorization": "Basic " + base64.b64encode(pair).decode()}
    )
    with _DIRECT.open(request, timeout=PATIENCE) as answer:
        text: str = answer.read().decode("utf-8", "replace")
        return text


def _named(
    status: Mapping[str, str], names: Mapping[str, tuple[str, str, bool]]
) -> Iterator[Sample]:
    for key, (measure, unit, counter) in names.items():
        if key in status:
            yield Sample(measure, float(status[key]), unit, counter=counter)


def _int(row: Mapping[str, str], key: str) -> int:
    return int(row.get(key) or 0)
