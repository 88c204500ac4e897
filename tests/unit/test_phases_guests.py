"""The image of the guests is had before a deployment, not an hour later."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace

import pytest

from enos.cloud import standard
from enos.errors import ImageError
from enos.phases import guests, install, metrics
from enos.phases.session import Session
from enos.testing import RecordingShell

Opener = Callable[[str, RecordingShell], AbstractContextManager[Session]]
FILE = "provider: {type: fake}\nresources: {any: {control: 1, compute: 1}}\n"


@pytest.fixture(name="session")
def _session(machines_up: Opener) -> Iterator[Session]:
    with machines_up(FILE, RecordingShell()) as session:
        yield session


def test_a_deployment_does_not_begin_without_an_image_for_guests(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ImageError("there is no image for guests")

    deployed: list[object] = []
    plan = SimpleNamespace(inventory=None, variables={})
    monkeypatch.setattr(standard, "standard_image", refuse)
    monkeypatch.setattr(standard, "prepare", lambda *_: None)
    monkeypatch.setattr(install, "planned", lambda *_, **__: plan)
    monkeypatch.setattr(install, "fingerprint", lambda _: "new")
    monkeypatch.setattr(install.kolla, "deploy", lambda *a, **_: deployed.append(a))
    monkeypatch.setattr(metrics, "follow_services", lambda *_: None)
    with pytest.raises(ImageError, match="no image for guests"):
        install.run(session)
    assert deployed == []


def test_what_an_image_takes_is_installed_first_unless_the_user_has_one(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(standard, "prepare", lambda *_: done.append("keyring"))
    monkeypatch.setattr(standard, "standard_image", lambda *_: done.append("image"))
    monkeypatch.setattr(guests, "downloaded_image", lambda *_, **__: done.append("url"))
    guests.prepare(session)
    own = "guest_image: {url: 'file:///x', checksum: 'sha256:%s'}\n" % ("a" * 64)
    session.directory.experiment.write_text(FILE + own)
    guests.prepare(session)
    assert done == ["keyring", "image", "url"]
