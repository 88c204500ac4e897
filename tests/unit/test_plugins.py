from importlib.metadata import EntryPoint

import pytest

from enos import plugins
from enos.errors import ConfigError, ProviderError
from enos.plugins import GROUP, Providers
from enos.provider import Provider


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def test_what_enos_ships_is_found() -> None:
    found = plugins.providers()
    assert {"local", "static"} <= set(found)
    assert all(issubclass(kind, Provider) for kind in found.values())
    assert list(found) == sorted(found)
    assert len(found) == len(list(found))


def test_a_provider_has_the_name_of_its_entry_point() -> None:
    assert [plugins.provider(name).name for name in plugins.providers()] == list(
        plugins.providers()
    )


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="there is no provider `locl`") as failed:
        plugins.provider("locl")
    assert failed.value.hint.startswith("did you mean `local`? Known: `local`, ")


def test_a_name_taken_twice_is_an_error() -> None:
    points = [point("acme", "one:Acme"), point("acme", "two:Acme")]
    with pytest.raises(ProviderError, match="`acme`: `one:Acme` and `two:Acme`"):
        Providers(points)


def test_the_same_plug_in_found_twice_is_one() -> None:
    assert list(Providers([point("a", "one:A"), point("a", "one:A")])) == ["a"]


def test_a_broken_plug_in_stands_in_nobodys_way() -> None:
    found = Providers([point("gone", "no_such_module:X"), point("b", "one:B")])
    assert "gone" in found
    assert list(found) == ["b", "gone"]


def test_a_broken_plug_in_is_named_when_it_is_asked_for() -> None:
    found = Providers([point("gone", "no_such_module:X")])
    with pytest.raises(
        ProviderError, match=r"`gone` of .* cannot be imported"
    ) as failed:
        _ = found["gone"]
    assert failed.value.details == (
        "ModuleNotFoundError: No module named 'no_such_module'"
    )


def test_the_distribution_of_a_broken_plug_in_is_named() -> None:
    mine = next(iter(plugins.providers()._points.values()))
    broken = EntryPoint(name="x", value="no_such_module:X", group=GROUP)._for(mine.dist)
    with pytest.raises(ProviderError, match=r"`x` of `enos \d"):
        _ = Providers([broken])["x"]


def test_a_plug_in_that_is_no_provider_is_refused() -> None:
    found = Providers([point("path", "pathlib:Path")])
    with pytest.raises(ProviderError, match="is not a subclass of `Provider`"):
        _ = found["path"]
