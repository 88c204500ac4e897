import hashlib
from pathlib import Path

import pytest

from enos.cloud.debian import mirror
from enos.cloud.download import downloaded_image
from enos.cloud.guest import guest_image
from enos.errors import CapabilityError, ImageError
from enos.process import Completed
from enos.testing import RecordingProgress, RecordingShell

DATA = b"QFI\xfb and the rest of a qcow2"
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "cirros-0.6.2-x86_64-disk.img"
    path.write_bytes(DATA)
    return path.as_uri()


def test_an_image_is_downloaded_once_and_its_format_recognised(
    tmp_path: Path, source: str
) -> None:
    progress = RecordingProgress()

    first = downloaded_image(source, SHA256, tmp_path, progress)
    second = downloaded_image(source, SHA256, tmp_path, progress)

    assert first == second
    assert first.disk.read_bytes() == DATA
    assert first.disk_format == "qcow2"
    assert first.name == "cirros-0.6.2-x86_64-disk"
    assert len(progress.steps) == 1


def test_an_image_with_another_checksum_is_refused_and_not_kept(
    tmp_path: Path, source: str
) -> None:
    with pytest.raises(ImageError, match="has the sha256 checksum") as caught:
        downloaded_image(source, f"sha256:{'0' * 64}", tmp_path, RecordingProgress())

    assert "guest_image: checksum:" in caught.value.hint
    assert list((tmp_path / "guest").iterdir()) == []


def test_sha512_is_understood_too(tmp_path: Path, source: str) -> None:
    checksum = f"sha512:{hashlib.sha512(DATA).hexdigest()}"

    assert downloaded_image(
        source, checksum, tmp_path, RecordingProgress()
    ).disk.exists()


def test_an_image_that_is_not_there_is_told_with_its_url(tmp_path: Path) -> None:
    url = (tmp_path / "nothing.img").as_uri()

    with pytest.raises(ImageError, match=r"nothing\.img` cannot be downloaded"):
        downloaded_image(url, SHA256, tmp_path, RecordingProgress())


def test_a_mirror_that_is_away_is_told_and_leaves_no_half_image(tmp_path: Path) -> None:
    shell = RecordingShell()
    shell.on("apt-get * update", stderr="Could not resolve", returncode=100)

    with pytest.raises(ImageError, match="cannot be had") as caught:
        guest_image(tmp_path, shell, RecordingProgress())

    assert "Could not resolve" in caught.value.details
    assert not list((tmp_path / "guest").glob("*/digest"))


class NoApt(RecordingShell):
    def run(self, *_: object, **__: object) -> Completed:  # type: ignore[override]
        raise CapabilityError("`apt-get` cannot be started: No such file")


def test_a_machine_without_apt_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CapabilityError) as caught:
        guest_image(tmp_path, NoApt(), RecordingProgress())

    assert "guest_image: url:" in caught.value.hint


def test_the_mirror_of_the_machine_is_preferred() -> None:
    targets = (
        "http://deb.nodesource.com/node nodistro \n"
        "http://mirror.example.org/pub/debian/ bookworm \n"
    )

    assert mirror(targets) == "http://mirror.example.org/pub/debian"


def test_an_archived_security_mirror_is_not_taken_for_the_main_one() -> None:
    targets = "http://deb.debian.org/debian-security bookworm-security \n"

    assert mirror(targets) == "http://deb.debian.org/debian"
