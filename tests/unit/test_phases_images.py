"""Where the images of an experiment go, and what Kolla is told about it."""

import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from enos.errors import ConfigError, ImageError
from enos.images import held, internal, locks, ready, registry
from enos.phases import images
from enos.phases.session import Session
from enos.state.record import PhaseRecord
from enos.testing import FakeProvider, RecordingProgress, RecordingShell

NAMES = ("cron", "nova-api")
LOCK = locks.load("2026.1")
BUILT = ready.built_set(LOCK, NAMES, platform.machine())


EXTERNAL = "registry: {type: external, ip: 10.0.0.9, port: 5001}\n"


class Sharing(FakeProvider):
    """A testbed whose machines come with images."""

    opened: ClassVar[list[str]] = []

    @contextmanager
    def image_daemon(self) -> Iterator[str]:
        self.opened.append("daemon")
        yield "unix:///builder.sock"


@pytest.fixture(autouse=True)
def _two_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "wanted", lambda _: NAMES)
    monkeypatch.setattr(ready, "answers", lambda _: False)


Opened = Callable[..., AbstractContextManager[Session]]


@contextmanager
def built(
    opened: Opened, provider: type[FakeProvider], more: str = ""
) -> Iterator[tuple[Session, RecordingShell]]:
    shell = RecordingShell()
    listed = "".join(f"{BUILT.reference(name)} sha256:{name}\n" for name in NAMES)
    shell.on("docker images*", stdout=listed)
    text = "provider: {type: fake}\nresources: {any: {control: 1, compute: 1}}\n"
    with opened(text + more, shell, provider) as session:
        yield session, shell


def test_shared_images_need_no_registry(opened: Opened) -> None:
    with built(opened, Sharing) as (session, shell):
        images.share(session)
        assert images.variables(session) == {
            "kolla_base_distro": "debian",
            "docker_registry": "",
            "docker_namespace": "kolla",
            "openstack_tag": BUILT.tag,
        }
        assert images.chosen(session) == BUILT
    assert shell.calls[-1].env == {"DOCKER_HOST": "unix:///builder.sock"}


def test_machines_that_pull_themselves_get_kollas_own_images(opened: Opened) -> None:
    with built(opened, FakeProvider) as (session, shell):
        images.share(session)
        images.provide(session)
        values = images.variables(session)
    assert values["docker_registry"] == "quay.io"
    assert values["openstack_tag"] == "2026.1-debian-trixie"
    assert shell.calls == []


def test_an_external_registry_is_named_with_its_port(opened: Opened) -> None:
    Sharing.opened.clear()
    with built(opened, Sharing, EXTERNAL) as (session, _):
        images.share(session)
        values = images.variables(session)
    assert values["docker_registry"] == "10.0.0.9:5001"
    assert values["docker_namespace"] == "kolla"
    assert values["openstack_tag"] == BUILT.tag
    assert Sharing.opened == [], "no daemon is started for images nobody shares"


def holding(monkeypatch: pytest.MonkeyPatch, *tags: str) -> None:
    """Let the external registry speak plain HTTP and hold all images under tags."""
    monkeypatch.setattr(held, "answers", lambda there: there.insecure)
    monkeypatch.setattr(
        held,
        "tags",
        lambda _, name: tuple(
            tag
            for tag in tags
            if name.startswith("openstack.kolla/") == ("debian" in tag)
        ),
    )


PULLED = ready.kolla_set(LOCK, NAMES)


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ((PULLED.tag,), PULLED),
        ((BUILT.tag,), BUILT),
        ((PULLED.tag, BUILT.tag, "other"), BUILT),
    ],
)
def test_an_external_registry_is_asked_which_images_it_holds(
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    there: tuple[str, ...],
    found: ready.ImageSet,
) -> None:
    holding(monkeypatch, *there)
    with built(opened, FakeProvider, EXTERNAL) as (session, _):
        images.provide(session)
        values = images.variables(session)
    assert values["docker_registry"] == "10.0.0.9:5001"
    assert values["docker_namespace"] == found.namespace
    assert values["openstack_tag"] == found.tag


def test_an_external_registry_without_the_images_is_told_before_the_deployment(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding(monkeypatch)
    with (
        built(opened, FakeProvider, EXTERNAL) as (session, _),
        pytest.raises(ImageError, match="does not hold the images") as failed,
    ):
        images.provide(session)
    assert failed.value.hint == "fill it: `enos images push 10.0.0.9:5001 --insecure`"
    assert "lacks 2 of 2: cron, nova-api" in failed.value.details


def test_an_external_registry_that_only_machines_reach_is_believed_in(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "answers", lambda _: False)
    with built(opened, FakeProvider, EXTERNAL) as (session, _):
        images.provide(session)
        values = images.variables(session)
        assert isinstance(session.progress, RecordingProgress)
        (told,) = session.progress.decisions
    assert values["openstack_tag"] == BUILT.tag
    assert told.startswith("the registry 10.0.0.9:5001 does not answer from here")


def test_an_internal_registry_gets_what_it_lacks(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[str] = []
    monkeypatch.setattr(internal, "answers", lambda _: True)
    monkeypatch.setattr(
        registry, "tags", lambda _, name: (BUILT.tag,) if "cron" in name else ()
    )
    monkeypatch.setattr(
        images.push, "push", lambda _, __, names, **___: pushed.extend(names.values())
    )
    with built(opened, Sharing, "registry: internal\n") as (session, _):
        testbed = session.provider.acquire(session.experiment.demand)
        session.save(testbed=testbed)
        state = session.directory.load()
        from enos.state.record import PhaseRecord

        session.directory.save(
            state.with_phase("up", PhaseRecord(status="done", started=0.0))
        )
        images.share(session)
        images.provide(session)
        values = images.variables(session)
    assert pushed == [f"kolla/nova-api:{BUILT.tag}"]
    assert values["docker_registry"] == "192.0.2.2:5000"
    assert values["docker_registry_insecure"] == "yes"


def test_the_list_tells_what_is_there(opened: Opened) -> None:
    with built(opened, Sharing) as (session, shell):
        shell.on("docker images*", stdout=f"{BUILT.reference('cron')} sha256:1\n")
        rows = images.listing(session)
    assert [(row.name, row.state) for row in rows] == [
        ("cron", "there"),
        ("nova-api", "missing"),
    ]


def test_images_that_may_only_be_pulled_are_not_built(opened: Opened) -> None:
    more = "images: {source: pull}\n"
    with built(opened, Sharing, more) as (session, shell):
        shell.on("docker images*", stdout="")
        with pytest.raises(ImageError, match=r"quay\.io") as error:
            images.make(session)
    assert "build" in error.value.hint


def test_a_registry_needs_a_machine() -> None:
    from types import SimpleNamespace

    session = SimpleNamespace(testbed=SimpleNamespace(hosts=()))
    with pytest.raises(ConfigError, match="registry"):
        images._registry_host(session)  # type: ignore[arg-type]


def test_experiments_with_machines_keep_their_images(
    opened: Opened, tmp_path: Path
) -> None:
    old, older = (f"2026.1-{letter * 12}" for letter in "ab")
    listed = "".join(f"kolla/cron {tag} 2026\n" for tag in (BUILT.tag, old, older))
    with built(opened, Sharing) as (session, shell):
        shell.on("docker images *CreatedAt*", stdout=listed)
        images._keep(session, replace(BUILT, tag=old), {})
        place = images.workplace(session)

        alive = images.prunable(place, [tmp_path])
        session.save(phases={"destroy": PhaseRecord(status="done", started=1.0)})
        given_back = images.prunable(place, [tmp_path])

    assert alive.images == (f"kolla/cron:{older}",)
    assert given_back.images == (f"kolla/cron:{old}", f"kolla/cron:{older}")
    assert given_back.kept == {BUILT.tag: "what this enos builds"}
