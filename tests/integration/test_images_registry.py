"""Registries by their HTTP API, against one in this process."""

import hashlib
import json
import re
import tarfile
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from enos.errors import ImageError
from enos.images import push
from enos.images.daemon import Daemon
from enos.images.held import reached
from enos.images.registry import (
    Registry,
    answers,
    holdings,
    plan_sync,
    repositories,
    sync,
    tags,
)
from enos.testing.recording import Answer, Call, RecordingProgress, RecordingShell

pytestmark = pytest.mark.integration
PAGE = 2


class Shelf(ThreadingHTTPServer):
    """A registry in memory: the parts of the distribution API that enos uses."""

    def __init__(self, *, token: str = "", deletable: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.token = token
        self.deletable = deletable
        self.uploads = 0

    @property
    def registry(self) -> Registry:
        return Registry(host=f"127.0.0.1:{self.server_port}", insecure=True)

    def stock(self, repository: str, tag: str, layers: list[bytes]) -> None:
        parts = [self._blob(content) for content in (b"{}", *layers)]
        content = {"config": parts[0], "layers": parts[1:]}
        self.file(repository, tag, push.MANIFEST, json.dumps(content).encode())

    def file(self, repository: str, name: str, kind: str, manifest: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        for key in {name, digest}:
            self.manifests[repository, key] = kind, manifest
        return digest

    def _blob(self, content: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return {"digest": digest, "size": len(content), "mediaType": "x"}


class Desk(BaseHTTPRequestHandler):
    server: Shelf
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None: ...

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self) -> None:
        path = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(path.query))
        if path.path == "/token":
            return self.answer(200, json.dumps({"token": self.server.token}).encode())
        if self.server.token and (
            self.headers.get("Authorization") != f"Bearer {self.server.token}"
        ):
            realm = f'Bearer realm="http://{self.headers["Host"]}/token",scope="all"'
            return self.answer(
                401, WWW_Authenticate=realm, Docker_Distribution_Api_Version="2"
            )
        if path.path == "/v2/":
            return self.answer(200, b"{}")
        if path.path == "/v2/_catalog":
            return self.catalog(query)
        found = re.fullmatch(r"/v2/(.+)/(tags|manifests|blobs)/(.*)", path.path)
        assert found, self.path
        return getattr(self, found[2])(found[1], found[3], query)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

    def catalog(self, query: dict[str, str]) -> None:
        names = sorted({repository for repository, _ in self.server.manifests})
        rest = [name for name in names if name > query.get("last", "")]
        body = json.dumps({"repositories": rest[:PAGE]}).encode()
        link = (
            f'</v2/_catalog?last={rest[:PAGE][-1]}>; rel="next"' if rest[PAGE:] else ""
        )
        self.answer(200, body, **({"Link": link} if link else {}))

    def tags(self, repository: str, _: str, __: dict[str, str]) -> None:
        mine = [name for owner, name in self.server.manifests if owner == repository]
        if not mine:
            return self.answer(404)
        named = [name for name in mine if not name.startswith("sha256:")]
        return self.answer(200, json.dumps({"tags": named or None}).encode())

    def manifests(self, repository: str, name: str, _: dict[str, str]) -> None:
        shelf = self.server
        if self.command == "PUT":
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = json.loads(body)
            for part in (told["config"], *told["layers"]) if "config" in told else ():
                assert part["digest"] in shelf.blobs, "manifest before its blobs"
            shelf.file(repository, name, self.headers["Content-Type"], body)
            return self.answer(201)
        if (repository, name) not in shelf.manifests:
            return self.answer(404)
        kind, body = shelf.manifests[repository, name]
        if self.command == "DELETE":
            if not shelf.deletable:
                return self.answer(405)
            for key in [k for k, v in shelf.manifests.items() if v[1] == body]:
                if key[0] == repository:
                    del shelf.manifests[key]
            return self.answer(202)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        return self.answer(200, body, Content_Type=kind, Docker_Content_Digest=digest)

    def blobs(self, repository: str, name: str, query: dict[str, str]) -> None:
        shelf = self.server
        if self.command == "POST":
            self.rfile.read(int(self.headers["Content-Length"]))
            return self.answer(
                202, Location=f"/v2/{repository}/blobs/uploads/1?state=a"
            )
        if self.command == "PUT":
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert query["digest"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
            shelf.blobs[query["digest"]] = body
            shelf.uploads += 1
            return self.answer(201)
        if name not in shelf.blobs:
            return self.answer(404)
        return self.answer(200, shelf.blobs[name])


@pytest.fixture
def shelves() -> Iterator[list[Shelf]]:
    several: list[Shelf] = []
    yield several
    for shelf in several:
        shelf.shutdown()
        shelf.server_close()


def opened(shelves: list[Shelf], **how: object) -> Shelf:
    shelf = Shelf(**how)  # type: ignore[arg-type]
    threading.Thread(target=shelf.serve_forever, daemon=True).start()
    shelves.append(shelf)
    return shelf


def test_a_registry_answers_and_a_closed_port_does_not(shelves: list[Shelf]) -> None:
    assert answers(opened(shelves).registry)
    assert answers(opened(shelves, token="secret").registry)
    assert not answers(Registry(host="127.0.0.1:1", insecure=True))


def test_all_pages_of_the_catalogue_are_read(shelves: list[Shelf]) -> None:
    shelf = opened(shelves)
    for name in "abcde":
        shelf.stock(f"kolla/{name}", "1", [name.encode()])
    shelf.stock("other/x", "1", [b"x"])
    found = holdings(shelf.registry, "kolla/")
    assert sorted(found) == [(f"kolla/{name}", "1") for name in "abcde"]
    assert tags(shelf.registry, "kolla/z") == ()


def test_one_registry_becomes_like_the_other(shelves: list[Shelf]) -> None:
    source, target = opened(shelves, token="t"), opened(shelves)
    source.stock("kolla/a", "1", [b"shared", b"a"])
    source.stock("kolla/b", "1", [b"shared", b"b"])
    target.stock("kolla/a", "0", [b"old"])
    target.stock("kolla/b", "1", [b"shared", b"b"])
    here, there = source.registry, target.registry
    plan = plan_sync(holdings(here), holdings(there))
    assert plan.copies == (("kolla/a", "1"),)
    assert plan.removals == (("kolla/a", "0"),)
    sync(here, there, plan, RecordingProgress())
    assert holdings(there) == holdings(here)
    assert target.uploads == 1, "only the layer that was missing travels"


def test_an_index_is_copied_with_its_parts(shelves: list[Shelf]) -> None:
    source, target = opened(shelves), opened(shelves)
    source.stock("kolla/a", "amd64", [b"layer"])
    digest = holdings(source.registry)["kolla/a", "amd64"]
    index = json.dumps({"manifests": [{"digest": digest}]}).encode()
    kind = "application/vnd.oci.image.index.v1+json"
    source.file("kolla/a", "1", kind, index)
    plan = plan_sync(holdings(source.registry), holdings(target.registry))
    sync(source.registry, target.registry, plan, RecordingProgress())
    assert holdings(target.registry) == holdings(source.registry)


def test_a_registry_that_forbids_removal_says_how_to_allow_it(
    shelves: list[Shelf],
) -> None:
    target = opened(shelves, deletable=False)
    target.stock("kolla/a", "0", [b"old"])
    plan = plan_sync({}, holdings(target.registry))
    with pytest.raises(ImageError, match="removing kolla/a:0") as error:
        sync(target.registry, target.registry, plan, RecordingProgress())
    assert "DELETE_ENABLED" in error.value.hint


def test_images_go_from_a_daemon_into_a_registry_once(
    shelves: list[Shelf], tmp_path: Path
) -> None:
    shelf, shell = opened(shelves, token="secret"), RecordingShell()
    save_of(shell, {"kolla/a:1": [b"base", b"a"], "kolla/b:1": [b"base", b"b"]})
    names = {name: name for name in ("kolla/a:1", "kolla/b:1")}
    for _ in range(2):
        push.push(
            Daemon(shell=shell),
            shelf.registry,
            names,
            scratch=tmp_path,
            progress=RecordingProgress(),
        )
    assert sorted(holdings(shelf.registry)) == [("kolla/a", "1"), ("kolla/b", "1")]
    assert shelf.uploads == 5, "two configurations, three layers"
    assert list(tmp_path.iterdir()) == []


def save_of(shell: RecordingShell, images: dict[str, list[bytes]]) -> None:
    """Let `docker save` and `tar -x` do what they do, with toy images."""

    def save(call: Call) -> Answer:
        tree = Path(call.argv[3]).parent / "saved"
        tree.mkdir()
        manifest = []
        for number, (name, layers) in enumerate(images.items()):
            (tree / f"{number}.json").write_text(json.dumps({"of": name}))
            for layer in layers:
                (tree / f"{layer.decode()}.tar").write_bytes(layer)
            paths = [f"{layer.decode()}.tar" for layer in layers]
            entry = {"Config": f"{number}.json", "RepoTags": [name], "Layers": paths}
            manifest.append(entry)
        (tree / "manifest.json").write_text(json.dumps(manifest))
        with tarfile.open(call.argv[3], "w") as archive:
            archive.add(tree, arcname=".")
        return Answer()

    def extract(call: Call) -> Answer:
        with tarfile.open(call.argv[4]) as archive:
            archive.extractall(call.argv[2], filter="data")
        return Answer()

    shell.script("docker save*", save)
    shell.script("tar *", extract)


def test_no_proxy_is_asked_for_a_machine_of_the_experiment(
    shelves: list[Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    through = opened(shelves).registry
    direct = replace(through, direct=True)
    assert (answers(through), answers(direct)) == (False, True)


TLS_ALERT = bytes((0x15, 3, 3, 0, 2, 2, 0x28))  # RFC 8446, 6: handshake_failure


class Alarmed(BaseRequestHandler):
    """A TLS port that wants something of its callers which enos has not."""

    def handle(self) -> None:
        self.request.recv(1 << 16)
        self.request.sendall(TLS_ALERT)


@pytest.fixture
def alarmed() -> Iterator[str]:
    with ThreadingTCPServer(("127.0.0.1", 0), Alarmed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_port_that_answers_with_a_tls_alert_is_no_registry(alarmed: str) -> None:
    assert reached(alarmed) is None


@pytest.mark.parametrize("insecure", [True, False])
def test_what_is_no_registry_is_told_in_a_sentence(
    alarmed: str, *, insecure: bool
) -> None:
    there = Registry(host=alarmed, insecure=insecure, direct=True)
    with pytest.raises(ImageError, match=rf"`{alarmed}` refused asking for /_catalog"):
        repositories(there)


def test_a_web_page_is_no_catalog() -> None:
    class Page(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        there = Registry(host=f"127.0.0.1:{server.server_port}", insecure=True)
        with pytest.raises(ImageError, match="refused asking for /_catalog"):
            repositories(there)
        server.shutdown()
