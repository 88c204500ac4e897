"""`enos backup --verify` says what it found, and what nothing vouches for."""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enos.archive.manifest import (
    NAME,
    NO_SUM,
    SEAL,
    HostReport,
    Manifest,
    seal,
    to_text,
)

WHOLE = Manifest(created="2026-11-21T16:42:18+00:00", experiment="demo", members=())
GONE = HostReport(name="compute-1", status="unreachable")


def saved(manifest: Manifest, path: Path) -> str:
    """Write an archive that holds nothing but its manifest; return its name."""
    text = to_text(manifest).encode()
    members = {NAME: text, SEAL: seal(text)} if manifest.sealed else {NAME: text}
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"demo/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path.name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "0 members as they were written, complete"),
        ({"hosts": (GONE,)}, "0 members as they were written, partial"),
        ({"version": 1}, f"0 members as they were written, complete; {NO_SUM}"),
    ],
)
def test_what_an_archive_is_worth_is_said_in_a_line(
    enos: Callable[..., Any], here: Path, changes: dict[str, Any], said: str
) -> None:
    manifest = replace(WHOLE, **changes)
    name = saved(manifest, here / "a.tar")

    told = enos("backup", "--verify", name)
    plain = json.loads(enos("backup", "--verify", name, "--json").out)

    assert (told.code, told.out) == (0, f"{name}: {said}\n")
    assert plain["sealed"] == (manifest.version > 1)
