from collections.abc import Callable
from typing import Any

import pytest

from enos.cloud import standard
from enos.cloud.standard import KEYRING

Enos = Callable[..., Any]


@pytest.mark.parametrize(
    ("lacking", "row"),
    [
        ((), "ok    guest image            built here from Debian's packages"),
        (
            (KEYRING,),
            (
                f"-     guest image            no {KEYRING}: CirrOS is downloaded"
                f"  → sudo apt-get install {KEYRING}"
            ),
        ),
        (
            ("apt-get", "dpkg-deb"),
            "-     guest image            no apt-get, dpkg-deb: CirrOS is downloaded",
        ),
    ],
)
@pytest.mark.usefixtures("here")
def test_doctor_tells_which_image_guests_will_boot(
    enos: Enos, monkeypatch: pytest.MonkeyPatch, lacking: tuple[str, ...], row: str
) -> None:
    monkeypatch.setattr(standard, "missing", lambda: lacking)
    assert row in enos("doctor", "-p", "static").out.splitlines()
