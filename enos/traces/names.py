"""How spans are called: category, service and operation. Pure."""

import re

REST, RPC, DATABASE, FUNCTION = "REST", "RPC", "database", "function"
CATEGORIES = (REST, RPC, DATABASE, FUNCTION)

_REST = frozenset({"wsgi", "requests", "http"})
_ID = re.compile(
    r"(?<=/)(?:[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|[0-9a-f]{64}|\d+)(?=[/.?]|$)"
)
_NAMED = re.compile(r"(?<=/)[cs]_rally_\w+(?=[/.?]|$)")


def category(kind: str) -> str:
    """Return what kind of work a point's name stands for.

    >>> [category(kind) for kind in ("wsgi", "neutron.db", "rpc", "vif_driver")]
    ['REST', 'database', 'RPC', 'function']
    """
    if kind in _REST:
        return REST
    if kind == "rpc":
        return RPC
    return DATABASE if kind.rpartition(".")[2] == "db" else FUNCTION


def service(project: str, name: str) -> str:
    """Return the name of a service, with its project unless it says so itself.

    >>> service("nova", "nova-conductor"), service("keystone", "public")
    ('nova-conductor', 'keystone public')
    """
    if not project or project in name:
        return name or project or "unknown"
    return f"{project} {name}".strip()


def operation(kind: str, what: str) -> str:
    """Return what a span does, the same for all that do it to different things.

    >>> operation("wsgi", "GET /v2.1/servers/0b1c7d3e-1111-4222-8333-0123456789ab")
    'GET /v2.1/servers/{id}'
    >>> operation("rpc", "nova.conductor.manager.ComputeTaskManager.build_instances")
    'ComputeTaskManager.build_instances'
    """
    if not what:
        return kind
    if category(kind) == REST:
        return _NAMED.sub("{name}", _ID.sub("{id}", what))
    if category(kind) == DATABASE and " " in what:
        return what
    return ".".join(what.split(".")[-2:])
