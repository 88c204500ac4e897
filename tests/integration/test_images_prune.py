"""Images of earlier recipes removed from this machine's Docker; only the test's own."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from enos.images.daemon import Daemon
from enos.images.prune import PrunePlan, plan_prune, prune, stored
from enos.images.ready import Workplace
from enos.process import LocalShell
from enos.testing import RecordingProgress
from enos.toolenvs import ToolEnvironments

pytestmark = [pytest.mark.integration]

NAME = f"kolla/enos-test-{uuid4().hex[:6]}"
OLD, USED, NEW = (f"1999.1-{letter * 12}" for letter in "abc")


def docker(*words: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ("docker", *words), input=stdin, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def layer(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(text))
    return packed.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    """Three images of an OpenStack of the last century; a container stands on one."""
    for tag in (OLD, USED, NEW):
        docker("import", "--change", "CMD /x", "-", f"{NAME}:{tag}", stdin=layer(tag))
    box = docker("create", f"{NAME}:{USED}")
    shell, progress = LocalShell(session="enos-test"), RecordingProgress()
    try:
        yield Workplace(
            daemon=Daemon(shell=shell),
            tools=ToolEnvironments(cache=tmp_path, shell=shell, progress=progress),
            cache=tmp_path,
            progress=progress,
        )
    finally:
        docker("rm", "-f", box)
        for tag in docker("images", "--format", "{{.Tag}}", NAME).split():
            docker("rmi", f"{NAME}:{tag}")


def test_what_no_container_stands_on_goes(place: Workplace) -> None:
    found = [one for one in stored(place.daemon) if one.name == NAME]
    # Made within a second, which is all that Docker tells: their tags tell the order.
    mine = [replace(one, created=one.tag) for one in found]
    everything: PrunePlan = plan_prune(mine, current=[NEW])
    plan = replace(everything, images=tuple(sorted(everything.images)))
    assert {one.tag for one in mine} == {OLD, USED, NEW}
    assert plan.images == (f"{NAME}:{OLD}", f"{NAME}:{USED}")

    in_use = prune(place, plan)

    left = {one.tag for one in stored(place.daemon) if one.name == NAME}
    assert in_use == (f"{NAME}:{USED}",)
    assert left == {USED, NEW}
