from pathlib import Path
from typing import Any

import pytest

from enos.bench.authority import with_authority
from enos.bench.host import Bench
from enos.errors import ConfigError
from enos.testbed import Host
from enos.testing import RecordingProgress, RecordingShell

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def spec(**more: str | bool) -> dict[str, Any]:
    return {"existing@openstack": {"auth_url": "https://192.0.2.9:5000/v3", **more}}


def bench(shell: RecordingShell) -> Bench:
    return Bench(
        host=Host(name="control-1", address="192.0.2.1", roles=("control",)),
        cache=Path("/nowhere"),
        shell=shell,
        progress=RecordingProgress(),
    )


def test_the_authority_is_brought_to_the_bench_host_and_named_there(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(PEM)
    shell = RecordingShell()
    asked = spec(https_cacert=str(file))

    told = with_authority(asked, bench(shell))

    place = told["existing@openstack"]["https_cacert"]
    assert place.startswith("/var/lib/enos/authority-")
    (call,) = shell.calls
    assert call.stdin == PEM
    assert call.argv[-1] == f"install -D -m 644 /dev/stdin {place}"
    assert told["existing@openstack"]["auth_url"] == "https://192.0.2.9:5000/v3"
    assert asked == spec(https_cacert=str(file))


@pytest.mark.parametrize("given", [{}, {"https_insecure": True}])
def test_without_an_authority_nothing_is_brought(given: dict[str, Any]) -> None:
    shell = RecordingShell(strict=True)

    assert with_authority(spec(**given), bench(shell)) == spec(**given)


def test_an_authority_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing, binary = tmp_path / "missing.pem", tmp_path / "ca.der"
    binary.write_bytes(b"\x30\x82\xff")

    for file, why in ((missing, "No such file"), (binary, "not PEM")):
        with pytest.raises(ConfigError, match=why) as refused:
            with_authority(
                spec(https_cacert=str(file)), bench(RecordingShell(strict=True))
            )
        assert str(file) in refused.value.message
