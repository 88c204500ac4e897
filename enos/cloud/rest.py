"""The deployed cloud's APIs, over openstacksdk's authenticated sessions.

`connect(clouds_yaml, cloud) -> Cloud`. Bodies are those of the API references
(docs.openstack.org/api-ref), so that what a plan holds is what goes over the wire.
Every failure is a CloudError that names the request and the service's own words.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from keystoneauth1.adapter import Adapter
from keystoneauth1.exceptions import ClientException, EndpointNotFound
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.exceptions import SDKException

from enos.cloud.plan import Kind
from enos.errors import CloudError

T = TypeVar("T")
Service = Literal["compute", "network", "image"]
Record = Mapping[str, Any]
"""A resource as the API shows it."""

MICROVERSION = "2.79"
"""Of Nova: old enough for Train, new enough for all that is asked here."""

TRANSIENT = frozenset({500, 502, 503, 504})
"""A service that has just been deployed answers so while it warms up."""

TRIES, PAUSE = 6, 2.0
PATIENCE = 120
"""Seconds a service may take to answer one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a kind of resource lives in the APIs.

    Attributes:
        items: path of the collection; also the key of its list, after the slash.
        listing: path that lists it, when that is another one.

    """

    service: Service
    items: str
    listing: str = ""

    @property
    def key(self) -> str:
        """Return the key under which a listing holds the records."""
        return self.items.removeprefix("/os-").removeprefix("/").replace("-", "_")


PLACES: Mapping[Kind, Place] = {
    Kind.FLAVOR: Place(
        service="compute", items="/flavors", listing="/flavors/detail?is_public=None"
    ),
    Kind.KEYPAIR: Place(service="compute", items="/os-keypairs"),
    Kind.NETWORK: Place(service="network", items="/networks"),
    Kind.SUBNET: Place(service="network", items="/subnets"),
    Kind.ROUTER: Place(service="network", items="/routers"),
    Kind.RULE: Place(service="network", items="/security-group-rules"),
}


class RefusedError(CloudError):
    """A service answered with an error status.

    Attributes:
        status: of HTTP.

    """

    def __init__(self, message: str, *, status: int, details: str = "") -> None:
        hint = "`enos logs <service>` shows what the service made of it"
        super().__init__(message, hint=hint, details=details)
        self.status = status


class Cloud:
    """A project of a cloud, as its administrator."""

    def __init__(self, region: CloudRegion) -> None:
        self._region = region

    @property
    def project(self) -> str:
        """Return the id of the project; the first use authenticates."""
        with _told("authentication"):
            found = self._region.get_session().get_project_id()
        if not found:
            raise CloudError("the credentials of `clouds.yaml` name no project")
        return str(found)

    def offers(self, service: str) -> bool:
        """Tell whether the catalogue has an endpoint of a type: `orchestration`."""
        with _told("the catalogue of services"), suppress(EndpointNotFound):
            found = self._region.get_session().get_endpoint(
                service_type=service,
                interface=self._region.get_interface(service),
                region_name=self._region.get_region_name(service),
            )
            return bool(found)
        return False

    def list(self, kind: Kind) -> tuple[Record, ...]:
        """Return all resources of a kind that the administrator sees."""
        place = PLACES[kind]
        listed = self.get(place.service, place.listing or place.items)[place.key]
        return tuple(record.get(kind, record) for record in listed)

    def create(self, kind: Kind, fields: Mapping[str, Any]) -> Record:
        """Create a resource; it is asked for once, never twice."""
        place = PLACES[kind]
        made = self.send("POST", place.service, place.items, {kind: fields})
        return _record(made[kind])

    def update(self, kind: Kind, identity: str, fields: Mapping[str, Any]) -> None:
        """Change some fields of a resource."""
        place = PLACES[kind]
        self.send("PUT", place.service, f"{place.items}/{identity}", {kind: fields})

    def get(self, service: Service, path: str) -> Record:
        """Return the answer to a GET; tried again while the service warms up."""
        return again(lambda: self.send("GET", service, path))

    def send(
        self,
        method: str,
        service: Service,
        path: str,
        body: Mapping[str, Any] | IO[bytes] | None = None,
    ) -> Record:
        """Return the answer to one request, an empty record when it has no body.

        Args:
            method: of HTTP.
            service: which endpoint of the catalogue.
            path: below the endpoint's versioned root.
            body: JSON, or a file's bytes.

        Raises:
            RefusedError: the service answered with an error status.
            CloudError: it did not answer.

        """
        what = f"{method} {service}{path}"
        content: dict[str, Any] = {"json": body}
        if body is None or not isinstance(body, Mapping):
            content = {"data": body}
        headers = (
            {"Content-Type": "application/octet-stream"} if content.get("data") else {}
        )
        if service == "compute":
            headers["OpenStack-API-Version"] = f"compute {MICROVERSION}"
        with _told(what):
            answer = self._adapter(service).request(
                path,
                method,
                raise_exc=False,
                headers=headers,
                timeout=PATIENCE,
                **content,
            )
        if not answer.ok:
            message = f"the cloud refused {what}: {_words(answer)}"
            raise RefusedError(message, status=answer.status_code, details=answer.text)
        return _record(answer.json()) if _is_json(answer) else {}

    def _adapter(self, service: Service) -> Adapter:
        # not a Connection's proxy: that one retries, and would create twice
        return Adapter(
            self._region.get_session(),
            service_type=service,
            interface=self._region.get_interface(service),
            region_name=self._region.get_region_name(service),
            min_version="2",
            max_version="2.latest",
        )


def connect(clouds_yaml: Path, cloud: str = "") -> Cloud:
    """Return the cloud a `clouds.yaml` describes; nothing is sent yet.

    Args:
        clouds_yaml: as openstacksdk documents it.
        cloud: name of an entry, by default the first.

    Raises:
        CloudError: there is no such file or entry.

    """
    config = OpenStackConfig(
        config_files=[str(clouds_yaml)], load_envvars=False, load_yaml_config=True
    )
    known = sorted(config.get_cloud_names())
    if not clouds_yaml.exists() or (cloud and cloud not in known):
        raise CloudError(
            f"`{clouds_yaml}` describes no cloud `{cloud}`",
            hint="`enos os` writes it once OpenStack is deployed",
        )
    for library in ("keystoneauth", "openstack"):
        # their warnings would reach the terminal; what fails is told as CloudError
        logging.getLogger(library).addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        # of openstacksdk about arguments that its own loader passes
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return Cloud(config.get_one(cloud or known[0]))


def again(work: Callable[[], T]) -> T:
    """Return what requests that may be repeated come to, in a bounded number of tries.

    Raises CloudError at once when another try would fail as well.
    """
    for attempt in range(1, TRIES):
        try:
            return work()
        except CloudError as error:
            if not transient(error):
                raise
            time.sleep(PAUSE * attempt)
    return work()


def transient(error: CloudError) -> bool:
    """Tell whether the same request may succeed a moment later."""
    return not isinstance(error, RefusedError) or error.status in TRANSIENT


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (ClientException, SDKException) as error:
        raise CloudError(
            f"the cloud did not answer {what}",
            hint="`enos status` shows which services are up",
            details=str(error),
        ) from error


def _words(answer: Any) -> str:  # noqa: ANN401 - a requests.Response
    try:
        body = answer.json()
        inner = next(iter(body.values())) if isinstance(body, dict) else body
        message = inner.get("message") if isinstance(inner, dict) else inner
    except (ValueError, StopIteration):
        message = ""
    return f"{message or answer.reason} (HTTP {answer.status_code})"


def _is_json(answer: Any) -> bool:  # noqa: ANN401 - a requests.Response
    kind = answer.headers.get("Content-Type", "")
    return bool(answer.content) and kind.startswith("application/json")


def _record(value: Any) -> Record:  # noqa: ANN401 - parsed JSON
    if not isinstance(value, dict):
        raise CloudError(f"the cloud answered {value!r} where a record was due")
    return value
