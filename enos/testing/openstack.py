"""An OpenStack that runs in this process: what `enos.cloud` and its callers ask of one.

with FakeOpenStack() as cloud:
    connect(cloud.clouds_yaml(tmp_path)).list(Kind.FLAVOR)
    cloud.fail("POST", "/network/v2.0/networks", status=503, times=2)

It speaks HTTP, so that the real openstacksdk authenticates with it, finds its
endpoints and parses its answers. Collections are generic; what Nova, Neutron and
Glance add of their own (wrapped key pairs, quotas, image data, router interfaces,
servers that become ACTIVE) is spelled out.
"""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from enos.testing.web import Reply, handler

PROJECT = "6f70656e737461636b"
_ROOTS = {
    "identity": ("/identity/v3", "v3.14"),
    "compute": ("/compute/v2.1", "v2.1"),
    "network": ("/network/v2.0", "v2.0"),
    "image": ("/image/v2", "v2.9"),
}


@dataclass(slots=True)
class _Failure:
    method: str
    pattern: str
    status: int
    times: int


class FakeOpenStack:
    """Keystone, Nova, Neutron and Glance with one project, on a port of localhost.

    Attributes:
        records: ``networks`` and the like → records by id.
        requests: every request, as ``POST /network/v2.0/networks``.
        boot_gets: how often a server is shown as BUILD before it is ACTIVE.
        broken_servers: True when servers end in ERROR.

    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.uploads: dict[str, bytes] = {}
        self.quotas: dict[str, dict[str, int]] = {}
        self.boot_gets = 1
        self.broken_servers = False
        self.console = "enos-guest: ready\n"
        self._failures: list[_Failure] = []
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self.answer))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.add("security_groups", {"name": "default", "project_id": PROJECT})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Return the address of the whole cloud."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def clouds_yaml(self, folder: Path) -> Path:
        """Write a `clouds.yaml` whose entry `enos` is this cloud; return its path."""
        entry = {
            "auth": {
                "auth_url": f"{self.url}/identity/v3",
                "username": "admin",
                "password": "secret",
                "project_name": "admin",
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": "RegionOne",
        }
        path = folder / "clouds.yaml"
        path.write_text(json.dumps({"clouds": {"enos": entry}}), encoding="utf-8")
        return path

    def add(self, collection: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Put a record into a collection and return it, with its id."""
        identity = f"{collection[:-1]}-{next(self._numbers)}"
        record = {"id": identity, **fields}
        self.records.setdefault(collection, {})[record["id"]] = record
        return record

    def fail(self, method: str, pattern: str, *, status: int, times: int) -> None:
        """Answer the next requests whose path matches a regular expression so."""
        self._failures.append(_Failure(method, pattern, status, times))

    def named(self, collection: str) -> dict[str, dict[str, Any]]:
        """Return the records of a collection by name."""
        records = self.records.get(collection, {}).values()
        return {record["name"]: record for record in records}

    def answer(self, method: str, target: str, body: bytes) -> Reply:
        """Return the answer to a request."""
        url = urlsplit(target)
        path, query = url.path.rstrip("/"), parse_qs(url.query)
        with self._lock:
            self.requests.append(f"{method} {path}")
            if (status := self._failing(method, path)) is not None:
                return Reply({"error": {"message": "as asked"}}, status)
            service = path.split("/")[1] if path.count("/") else ""
            if service not in _ROOTS:
                return _error(404, "no such service")
            root = _ROOTS[service][0]
            if path in {root, root.rpartition("/")[0]}:
                return self._versions(service)
            rest = path.removeprefix(root)
            data = dict(json.loads(body)) if body[:1] == b"{" else {}
            special: Reply | None = getattr(self, f"_{service}")(
                method, rest, data, body
            )
            return special or self._generic(method, rest, query, data)

    def _failing(self, method: str, path: str) -> int | None:
        for failure in self._failures:
            matches = failure.method == method and re.search(failure.pattern, path)
            if failure.times and matches:
                failure.times -= 1
                return failure.status
        return None

    def _versions(self, service: str) -> Reply:
        root, name = _ROOTS[service]
        version = {
            "id": name,
            "status": "CURRENT",
            "version": "2.96" if service == "compute" else "",
            "min_version": "2.1" if service == "compute" else "",
            "links": [{"rel": "self", "href": f"{self.url}{root}/"}],
        }
        return Reply({"version": version, "versions": [version]})

    def _identity(self, *_: object) -> Reply:
        catalog = [
            {
                "type": service,
                "name": service,
                "id": service,
                "endpoints": [
                    {
                        "id": service,
                        "interface": "public",
                        "region": "RegionOne",
                        "region_id": "RegionOne",
                        "url": f"{self.url}{_catalogued(service)}",
                    }
                ],
            }
            for service in _ROOTS
        ]
        token = {
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "methods": ["password"],
            "user": {"id": "u", "name": "admin", "domain": {"id": "d", "name": "D"}},
            "project": {"id": PROJECT, "name": "admin", "domain": {"id": "d"}},
            "roles": [{"id": "r", "name": "admin"}],
            "catalog": catalog,
        }
        return Reply({"token": token}, 201, {"X-Subject-Token": "t"})

    def _compute(
        self, method: str, path: str, data: dict[str, Any], body: bytes
    ) -> Reply | None:
        del body
        if path == "/flavors/detail":
            return Reply({"flavors": list(self.records.get("flavors", {}).values())})
        if path == "/os-keypairs":
            return self._keypairs(method, data)
        if path.startswith("/os-quota-sets/"):
            return self._quota("compute", "quota_set", method, data)
        return self._servers(method, path, data)

    def _servers(self, method: str, path: str, data: dict[str, Any]) -> Reply | None:
        if path == "/servers" and method == "POST":
            return self._boot(data["server"])
        if path.endswith("/action"):
            return Reply({"output": self.console})
        if path.startswith("/servers/") and method == "GET":
            return self._show_server(path.rpartition("/")[2])
        return None

    def _network(
        self, method: str, path: str, data: dict[str, Any], body: bytes
    ) -> Reply | None:
        del body
        if path.startswith("/quotas/"):
            return self._quota("network", "quota", method, data)
        if path.endswith("/add_router_interface"):
            router = path.split("/")[2]
            ip = {"subnet_id": data["subnet_id"], "ip_address": "10.0.0.1"}
            self.add("ports", {"name": "", "device_id": router, "fixed_ips": [ip]})
            return Reply({"id": router})
        if path == "/floatingips" and method == "POST":
            fields = {**data["floatingip"], "floating_ip_address": "172.31.0.101"}
            return Reply({"floatingip": self.add("floatingips", fields)}, 201)
        return None

    def _image(
        self, method: str, path: str, data: dict[str, Any], body: bytes
    ) -> Reply | None:
        images = self.records.setdefault("images", {})
        if path == "/images" and method == "POST":
            return Reply(self.add("images", {"status": "queued", **data}), 201)
        if path.endswith("/file"):
            identity = path.split("/")[2]
            self.uploads[identity] = body
            images[identity]["status"] = "active"
            return Reply(status=204)
        return None

    def _keypairs(self, method: str, data: dict[str, Any]) -> Reply:
        pairs = self.records.setdefault("keypairs", {})
        if method == "POST":
            pair = data["keypair"]
            pairs[pair["name"]] = pair
            return Reply({"keypair": pair})
        return Reply({"keypairs": [{"keypair": pair} for pair in pairs.values()]})

    def _quota(
        self, service: str, key: str, method: str, data: dict[str, Any]
    ) -> Reply:
        quotas = self.quotas.setdefault(service, {})
        if method == "PUT":
            quotas.update(data[key])
        return Reply({key: quotas})

    def _boot(self, wanted: dict[str, Any]) -> Reply:
        server = self.add("servers", {**wanted, "status": "BUILD", "gets": 0})
        port = {
            "name": "",
            "device_id": server["id"],
            "fixed_ips": [{"subnet_id": "s", "ip_address": "10.0.0.7"}],
        }
        self.add("ports", port)
        return Reply({"server": {"id": server["id"]}}, 202)

    def _show_server(self, identity: str) -> Reply:
        server = self.records.get("servers", {}).get(identity)
        if server is None:
            return _error(404, "no such server")
        server["gets"] += 1
        if server["gets"] > self.boot_gets:
            server["status"] = "ERROR" if self.broken_servers else "ACTIVE"
            server["fault"] = {"message": "No valid host was found"}
            server["OS-EXT-SRV-ATTR:host"] = "compute-1"
        return Reply({"server": server})

    def _generic(
        self, method: str, path: str, query: Mapping[str, Any], data: dict[str, Any]
    ) -> Reply:
        _, name, *identity = path.split("/")
        collection = name.removeprefix("os-").replace("-", "_")
        records = self.records.setdefault(collection, {})
        if identity:
            return self._one(method, records, identity[0], data)
        if method == "GET":
            found = [
                record
                for record in records.values()
                if all(str(record.get(key)) in wanted for key, wanted in query.items())
            ]
            return Reply({collection: found})
        (key, fields), *_ = data.items()
        return Reply({key: self.add(collection, fields)}, 201)

    def _one(
        self,
        method: str,
        records: dict[str, dict[str, Any]],
        identity: str,
        data: dict[str, Any],
    ) -> Reply:
        if identity not in records:
            return _error(404, f"no {identity}")
        if method == "DELETE":
            del records[identity]
            return Reply(status=204)
        for key, fields in data.items():
            records[identity].update(fields)
            return Reply({key: records[identity]})
        return Reply(records[identity])


def _catalogued(service: str) -> str:
    """Return the path in the catalogue: Kolla's names no version for these two."""
    root = _ROOTS[service][0]
    return root.rpartition("/")[0] if service in {"network", "image"} else root


def _error(status: int, message: str) -> Reply:
    return Reply({"error": {"message": message}}, status)
