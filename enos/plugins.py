"""The providers that are installed: entry points of the group `enos.providers`.

A plug-in is imported when it is asked for, so that one whose own dependencies are
missing stands in nobody else's way.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points

from enos.errors import ConfigError, ProviderError, one_of
from enos.provider import Provider

GROUP = "enos.providers"


class Providers(Mapping[str, type[Provider]]):
    """Name → class of every provider, in alphabetical order, imported on access.

    Access raises ProviderError for a plug-in that cannot be used. Making one raises
    ProviderError when two distributions claim the same name.
    """

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self._points: dict[str, EntryPoint] = {}
        for point in sorted(points, key=lambda point: point.name):
            other = self._points.setdefault(point.name, point)
            if other.value != point.value:
                raise ProviderError(
                    f"two plug-ins call themselves `{point.name}`:"
                    f" {_origin(other)} and {_origin(point)}",
                    hint="uninstall one of them",
                )

    def __getitem__(self, name: str) -> type[Provider]:
        """Import a plug-in and return its class; KeyError for an unknown name."""
        return _load(self._points[name])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._points)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._points)

    def __contains__(self, name: object) -> bool:
        """Tell whether a name is known, without importing the plug-in."""
        return name in self._points


def providers() -> Providers:
    """Return the installed providers; raises ProviderError for a name taken twice."""
    return Providers(entry_points(group=GROUP))


def provider(name: str) -> type[Provider]:
    """Return the provider of that name.

    Raises:
        ConfigError: no plug-in has that name.
        ProviderError: the plug-in cannot be imported or is no provider.

    """
    known = providers()
    if name not in known:
        hint = one_of(name, known)
        raise ConfigError(f"there is no provider `{name}`", hint=hint)
    return known[name]


def _load(point: EntryPoint) -> type[Provider]:
    try:
        found = point.load()
    except Exception as broken:
        raise ProviderError(
            f"the provider `{point.name}` of {_origin(point)} cannot be imported",
            hint="install what it needs, or uninstall it",
            details=f"{type(broken).__name__}: {broken}",
        ) from broken
    if isinstance(found, type) and issubclass(found, Provider):
        return found
    raise ProviderError(
        f"`{point.value}` of {_origin(point)} is not a subclass of `Provider`",
        hint=f"correct the entry point `{point.name}` of the group `{GROUP}`",
    )


def _origin(point: EntryPoint) -> str:
    if point.dist is None:
        return f"`{point.value}`"
    return f"`{point.dist.name} {point.dist.version}`"
