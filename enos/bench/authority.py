"""The certificate authority of a cloud, brought to the host its benchmarks run on."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from enos.bench.environment import PLACE
from enos.bench.host import Bench
from enos.errors import ConfigError


def with_authority(spec: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """Return Rally's environment specification with paths of the bench host.

    The file of the authority (`https_cacert`) is on the machine that runs enos; it is
    copied to the bench host, named by its content, readable by all: a certificate is
    no secret.

    Raises:
        ConfigError: there is no such file here.
        ProcessError: the bench host does not take it.

    """
    cloud = dict(spec["existing@openstack"])
    if not cloud.get("https_cacert"):
        return dict(spec)
    text = _read(Path(cloud["https_cacert"]))
    place = PLACE / f"authority-{sha256(text.encode()).hexdigest()[:12]}.pem"
    bench.put(place, text, mode="644")
    bench.progress.decision(
        f"{bench.host.name} trusts the authority of `{cloud['https_cacert']}`"
    )
    return {**spec, "existing@openstack": {**cloud, "https_cacert": str(place)}}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError) as bad:
        why = bad.strerror if isinstance(bad, OSError) else "it is not PEM"
        raise ConfigError(
            f"the certificate authority `{file}` of clouds.yaml cannot be read: {why}",
            hint="name a PEM file on this machine as `cacert`, or set `verify: false`",
        ) from None
