"""Which packages two sets of images have at different versions.

Debian and RPM packages and Python distributions, as found inside the images; those
that only one side has are not differences of version and left out.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from enos.errors import ImageError, ProcessError
from enos.images.daemon import Daemon
from enos.progress import Progress

AT_ONCE = 2

INVENTORY = r"""
{ dpkg-query -W -f 'os ${Package} ${Version}\n' \
  || rpm -qa --qf 'os %{NAME} %{VERSION}-%{RELEASE}\n'; } 2>/dev/null
for metadata in $(find / -xdev -path '*-packages/*.*-info/*' \
    \( -name METADATA -o -name PKG-INFO \) 2>/dev/null); do
  sed -n 's/^Name: //p; s/^Version: //p; /^$/q' "$metadata" | paste -d' ' - - \
  | sed 's/^/python /'
done
"""
"""POSIX shell run inside an image: a line ``kind name version`` per package."""

Package = tuple[str, str]
"""Kind (``os``, ``python``) and name."""

Inventory = Mapping[str, Mapping[Package, str]]
"""Image → package → version."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Difference:
    """One package that both sides have, at different versions.

    Attributes:
        images: those the difference shows in.

    """

    kind: str
    package: str
    left: str
    right: str
    images: tuple[str, ...]


def parse(output: str) -> dict[Package, str]:
    r"""Return the packages that the inventory of an image names.

    >>> parse("os bash 5.2.15-2\npython Nova 33.0.2\n")
    {('os', 'bash'): '5.2.15-2', ('python', 'nova'): '33.0.2'}
    """
    found: dict[Package, str] = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 3:  # noqa: PLR2004 - kind, name, version
            kind, name, version = words
            plain = name.lower().replace("_", "-").replace(".", "-")
            found[kind, plain if kind == "python" else name] = version
    return found


def differences(left: Inventory, right: Inventory) -> tuple[Difference, ...]:
    """Return what differs in the images that both sides have, sorted."""
    seen: dict[tuple[str, str, str, str], list[str]] = {}
    for image in sorted(left.keys() & right.keys()):
        a, b = left[image], right[image]
        for kind, name in a.keys() & b.keys():
            pair = a[kind, name], b[kind, name]
            if pair[0] != pair[1]:
                seen.setdefault((kind, name, *pair), []).append(image)
    return tuple(
        sorted(
            Difference(kind=kind, package=name, left=a, right=b, images=tuple(images))
            for (kind, name, a, b), images in seen.items()
        )
    )


def image_set(daemon: Daemon, pattern: str) -> dict[str, str]:
    """Return the images of a set: bare name → reference.

    `pattern` is ``[registry/]namespace:tag``; raises ImageError when none is there.
    """
    prefix, _, tag = pattern.rpartition(":")
    start = f"{prefix}/"
    found = {
        reference.removeprefix(start).removesuffix(f":{tag}"): reference
        for reference in daemon.images()
        if reference.startswith(start) and reference.endswith(f":{tag}")
    }
    if not prefix or not found:
        raise ImageError(
            f"there are no images `{pattern}`",
            hint="name a set as `namespace:tag`; `enos images list` shows those there",
        )
    return found


def inventory(
    daemon: Daemon, images: Mapping[str, str], progress: Progress
) -> dict[str, dict[Package, str]]:
    """Look into images (bare name → reference); raises ImageError."""
    with progress.step(f"packages in {len(images)} images") as step:

        def look(name: str) -> dict[Package, str]:
            step.awaiting(name)
            return packages(daemon, images[name])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(images, pool.map(look, images), strict=True))


def packages(daemon: Daemon, reference: str) -> dict[Package, str]:
    """Return the packages inside one image."""
    argv = ("run", "--rm", "--network", "none", "--user", "root")
    try:
        told = daemon.run(*argv, "--entrypoint", "sh", reference, "-c", INVENTORY)
    except ProcessError as failed:
        raise ImageError(
            f"cannot look into the image `{reference}`",
            hint="check that it starts: `docker run --rm --entrypoint sh …`",
            details=failed.details,
        ) from failed
    return parse(told.stdout)


def render(found: Iterable[Difference]) -> str:
    """Return the differences as a table, a package per line."""
    rows = [("package", "left", "right", "images")] + [
        (f"{d.package} ({d.kind})", d.left, d.right, ", ".join(d.images)) for d in found
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join(
            [
                *(cell.ljust(width) for cell, width in zip(row, widths, strict=False)),
                row[3],
            ]
        ).rstrip()
        for row in rows
    )
