"""Container registries, spoken to by their HTTP API V2.

The API is the OCI distribution specification's (`/v2/`, catalog, tags, manifests,
blobs); logging in follows Docker's token scheme. Copying from one registry to another
moves blobs without a Docker daemon and sends only those the other one lacks.
"""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPException, HTTPResponse
from typing import Any, BinaryIO

from enos.errors import ImageError
from enos.progress import Progress

PROBE_SECONDS = 4.0
SECONDS = 60.0
PAGE = 500
PIECE = 1 << 20
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
# What speaks another protocol, TLS on a port asked without it, ends a request with an
# HTTPException, which is no OSError.
FAILURES = (OSError, HTTPException)
NOT_FOUND = 404
UNAUTHORIZED = 401
UNSUPPORTED = 405


@dataclass(slots=True, kw_only=True)
class Registry:
    """A registry.

    Attributes:
        host: name, with a port unless it is the scheme's own.
        insecure: True for plain HTTP.
        direct: True to go round the proxies of the environment, for a machine of the
            experiment, which no proxy need know.

    """

    host: str
    insecure: bool = False
    direct: bool = False
    seconds: float = SECONDS
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the address of the API, without a final slash."""
        return f"{'http' if self.insecure else 'https'}://{self.host}/v2"

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> HTTPResponse:
        """Send a request; log in when the registry wants it. Raises HTTPError."""
        url = path if "://" in path else f"{self.url}{path}"
        scope = _repository(path)
        for again in (True, False):
            request = urllib.request.Request(  # noqa: S310 - http(s) by construction
                url, data=body, method=method, headers=dict(headers or {})
            )
            if scope in self.tokens:
                request.add_header("Authorization", f"Bearer {self.tokens[scope]}")
            try:
                return self._opener.open(request, timeout=self.seconds)  # type: ignore[no-any-return]
            except urllib.error.HTTPError as refusal:
                refusal.close()
                challenge = refusal.headers.get("WWW-Authenticate", "")
                if refusal.code != UNAUTHORIZED or not again or not challenge:
                    raise
                self.tokens[scope] = self._log_in(challenge)
        raise AssertionError  # the second round returns or raises

    @property
    def _opener(self) -> urllib.request.OpenerDirector:
        none = (urllib.request.ProxyHandler({}),)
        return urllib.request.build_opener(*(none if self.direct else ()))

    def _log_in(self, challenge: str) -> str:
        told = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = told.pop("realm", "")
        if not realm.startswith(("http://", "https://")):
            message = f"the registry `{self.host}` asks for a login enos cannot do"
            raise ImageError(message, hint=challenge)
        url = f"{realm}?{urllib.parse.urlencode(told)}"
        with self._opener.open(url, timeout=self.seconds) as answer:
            told = json.load(answer)
        return str(told.get("token") or told.get("access_token") or "")


def answers(registry: Registry) -> bool:
    """Tell whether a registry is there, quickly."""
    try:
        replace(registry, seconds=PROBE_SECONDS, tokens={}).ask("GET", "/").close()
    except urllib.error.HTTPError as refusal:
        # 401 is how the protocol says "here I am, log in".
        return "Docker-Distribution-Api-Version" in refusal.headers
    except (*FAILURES, ImageError):
        return False
    return True


def repositories(registry: Registry, prefix: str = "") -> tuple[str, ...]:
    """Return the names of the repositories below a prefix; raises ImageError."""
    found = _pages(registry, f"/_catalog?n={PAGE}", "repositories")
    return tuple(name for name in found if name.startswith(prefix))


def tags(registry: Registry, repository: str) -> tuple[str, ...]:
    """Return the tags of a repository, none when it is not there."""
    try:
        return tuple(_pages(registry, f"/{repository}/tags/list?n={PAGE}", "tags"))
    except ImageError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError) and (
            error.__cause__.code == NOT_FOUND
        ):
            return ()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPlan:
    """What makes one registry hold what another one holds.

    Attributes:
        copies: ``(repository, tag)`` pairs the other one lacks or has differently.
        removals: pairs that only the other one has.

    """

    copies: tuple[tuple[str, str], ...]
    removals: tuple[tuple[str, str], ...]


Holdings = Mapping[tuple[str, str], str]
"""``(repository, tag)`` → digest of the manifest."""


def plan_sync(source: Holdings, target: Holdings) -> SyncPlan:
    """Return what is to be copied and removed.

    >>> plan_sync({("a", "1"): "x"}, {("a", "0"): "y"})
    SyncPlan(copies=(('a', '1'),), removals=(('a', '0'),))
    """
    return SyncPlan(
        copies=tuple(sorted(k for k, v in source.items() if target.get(k) != v)),
        removals=tuple(sorted(k for k in target if k not in source)),
    )


def holdings(registry: Registry, prefix: str = "") -> dict[tuple[str, str], str]:
    """Return what a registry holds below a prefix."""
    return {
        (repository, tag): _digest(registry, repository, tag)
        for repository in repositories(registry, prefix)
        for tag in tags(registry, repository)
    }


def sync(
    source: Registry, target: Registry, plan: SyncPlan, progress: Progress
) -> None:
    """Do what the plan says; raises ImageError naming registry and repository."""
    for repository, tag in plan.copies:
        with progress.step(f"copy {repository}:{tag} to {target.host}"):
            copy(source, target, repository, tag)
    for repository, tag in plan.removals:
        with progress.step(f"remove {repository}:{tag} from {target.host}"):
            remove(target, repository, tag)


def copy(source: Registry, target: Registry, repository: str, tag: str) -> None:
    """Copy one image, blobs first, so that the target never holds half of one."""
    try:
        kind, manifest = _manifest(source, repository, tag)
        for part in _parts(json.loads(manifest)):
            _copy_manifest(source, target, repository, part)
        _copy_blobs(source, target, repository, json.loads(manifest))
        put_manifest(target, repository, tag, kind, manifest)
    except FAILURES as error:
        raise refused(target, f"copying {repository}:{tag}", error) from error


def remove(registry: Registry, repository: str, tag: str) -> None:
    """Remove an image from a registry that allows it."""
    try:
        digest = _digest(registry, repository, tag)
        registry.ask("DELETE", f"/{repository}/manifests/{digest}").close()
    except urllib.error.HTTPError as error:
        if error.code == NOT_FOUND:
            return  # another tag of the same image was removed just before
        hint = ""
        if error.code == UNSUPPORTED:
            hint = "start the registry with REGISTRY_STORAGE_DELETE_ENABLED=true"
        raise refused(
            registry, f"removing {repository}:{tag}", error, hint=hint
        ) from error
    except FAILURES as error:
        raise refused(registry, f"removing {repository}:{tag}", error) from error


def _parts(manifest: Mapping[str, Any]) -> Iterable[str]:
    return [part["digest"] for part in manifest.get("manifests", ())]


def _copy_manifest(
    source: Registry, target: Registry, repository: str, digest: str
) -> None:
    kind, manifest = _manifest(source, repository, digest)
    _copy_blobs(source, target, repository, json.loads(manifest))
    put_manifest(target, repository, digest, kind, manifest)


def _copy_blobs(
    source: Registry, target: Registry, repository: str, manifest: Mapping[str, Any]
) -> None:
    config = [manifest["config"]] if "config" in manifest else []
    for blob in (*config, *manifest.get("layers", ())):
        digest, size = blob["digest"], int(blob["size"])
        if blob.get("urls") or has_blob(target, repository, digest):
            continue
        with source.ask("GET", f"/{repository}/blobs/{digest}") as content:
            put_blob(target, repository, digest, size, content)


def has_blob(registry: Registry, repository: str, digest: str) -> bool:
    """Tell whether a repository has a blob; raises HTTPError."""
    try:
        registry.ask("HEAD", f"/{repository}/blobs/{digest}").close()
    except urllib.error.HTTPError as error:
        if error.code == NOT_FOUND:
            return False
        raise
    return True


def put_blob(
    registry: Registry, repository: str, digest: str, size: int, content: BinaryIO
) -> None:
    """Send a blob in one request; raises HTTPError."""
    with registry.ask("POST", f"/{repository}/blobs/uploads/", body=b"") as begun:
        place = urllib.parse.urljoin(f"{registry.url}/", begun.headers["Location"])
    mark = "&" if "?" in place else "?"
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(size),
    }
    url = f"{place}{mark}digest={urllib.parse.quote(digest)}"
    # http.client would read a file in pieces of 8 KiB.
    pieces = iter(lambda: content.read(PIECE), b"")
    registry.ask("PUT", url, headers=headers, body=pieces).close()


def put_manifest(
    registry: Registry, repository: str, name: str, kind: str, manifest: bytes
) -> None:
    """Send a manifest under a tag or digest; raises HTTPError."""
    headers = {"Content-Type": kind}
    path = f"/{repository}/manifests/{name}"
    registry.ask("PUT", path, headers=headers, body=manifest).close()


def _manifest(registry: Registry, repository: str, name: str) -> tuple[str, bytes]:
    path = f"/{repository}/manifests/{name}"
    with registry.ask("GET", path, headers={"Accept": MANIFESTS}) as answer:
        return answer.headers["Content-Type"], answer.read()


def _digest(registry: Registry, repository: str, tag: str) -> str:
    path = f"/{repository}/manifests/{tag}"
    with registry.ask("HEAD", path, headers={"Accept": MANIFESTS}) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def _pages(registry: Registry, path: str, key: str) -> Iterator[str]:
    while path:
        try:
            with registry.ask("GET", path) as answer:
                yield from json.load(answer).get(key) or ()
                link = answer.headers.get("Link", "")
        except (*FAILURES, json.JSONDecodeError) as error:
            raise refused(registry, f"asking for {path}", error) from error
        following = re.match(r"<([^>]+)>", link)
        path = ""
        if following:
            path = urllib.parse.urljoin(f"{registry.url}/", following[1])


def _repository(path: str) -> str:
    """Return what a token is good for, from a path or a whole address."""
    plain = urllib.parse.urlsplit(path).path.removeprefix("/v2")
    return re.split(r"/(?:blobs|manifests|tags)/", plain, maxsplit=1)[0]


def refused(
    registry: Registry, doing: str, error: Exception, *, hint: str = ""
) -> ImageError:
    """Return the error for a request that failed."""
    return ImageError(
        f"the registry `{registry.host}` refused {doing}: {error}",
        hint=hint or "check its address, and that it may be written to from here",
    )
