from pathlib import Path

import pytest
from enos_local import aptsources, hostconfig
from enos_local.aptsources import Mirror, Source
from hypothesis import given
from hypothesis import strategies as st

BOOKWORM = 'ID=debian\nVERSION_CODENAME=bookworm\nNAME="Debian"\n'
DEB822 = """\
# made by the installer
Types: deb deb-src
URIs: https://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example
Suites: bookworm
"""


def test_both_notations_of_apt_mean_the_same() -> None:
    line = (
        "deb [arch=amd64 signed-by=/k] https://mirror.example/debian/ bookworm main\n"
        "# deb http://off.example bookworm main\n"
        "deb-src http://source.example bookworm main\n"
    )
    assert aptsources.parse_one_line(line) == (
        Source(
            uri="https://mirror.example/debian/", suite="bookworm", components=("main",)
        ),
    )
    sources = aptsources.parse_deb822(DEB822)
    assert [(s.uri, s.suite) for s in sources] == [
        ("https://mirror.example/debian/", "bookworm"),
        ("https://mirror.example/debian/", "bookworm-updates"),
        ("http://mirror.example/security", "bookworm-security"),
    ]


def test_a_debian_hosts_own_mirrors_serve_the_nodes() -> None:
    found = aptsources.debian_mirror(aptsources.parse_deb822(DEB822), BOOKWORM)
    assert found == Mirror(
        archive="https://mirror.example/debian",
        security="http://mirror.example/security",
    )


@pytest.mark.parametrize(
    ("release", "uri"),
    [
        ("ID=ubuntu\nVERSION_CODENAME=bookworm\n", "http://archive.example/ubuntu"),
        (BOOKWORM, "cdrom:[Debian]/"),
        (BOOKWORM, "file:/srv/mirror"),
    ],
)
def test_a_mirror_that_is_not_debians_or_not_on_the_net_is_passed_over(
    release: str, uri: str
) -> None:
    source = Source(uri=uri, suite="bookworm")
    assert aptsources.debian_mirror([source], release) == Mirror()


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    for source in (*aptsources.parse_one_line(text), *aptsources.parse_deb822(text)):
        assert source.uri
        assert source.suite


words = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


@given(words, words, st.lists(words, min_size=1, max_size=3))
def test_what_is_rendered_is_parsed_again(
    host: str, suite: str, components: list[str]
) -> None:
    assert components
    mirror = Mirror(archive=f"http://{host}/debian", security=f"http://{host}/sec")
    release = f"ID=debian\nVERSION_CODENAME={suite}\n"
    again = aptsources.parse_deb822(aptsources.render(mirror, suite))
    assert aptsources.debian_mirror(again, release) == mirror


def test_the_mirror_is_found_under_etc_apt(tmp_path: Path) -> None:
    folder = tmp_path / "etc/apt/sources.list.d"
    folder.mkdir(parents=True)
    (folder / "debian.sources").write_text(DEB822)
    (folder / "other.list").write_text("deb http://other.example stable main\n")
    (tmp_path / "etc/os-release").write_text(BOOKWORM)
    assert hostconfig.mirror(tmp_path).archive == "https://mirror.example/debian"


def test_pip_takes_indexes_a_node_can_reach() -> None:
    text = (
        "[global]\nindex-url = https://pypi.example/simple\n"
        "extra-index-url = file:///srv/simple https://more.example/simple\n"
        "find-links = /srv/wheels\n"
    )
    conf = hostconfig.pip_conf([text, "not an ini file"], {"PIP_TIMEOUT": "60"})
    assert conf == (
        "[global]\n"
        "cert = /etc/ssl/certs/ca-certificates.crt\n"
        "index-url = https://pypi.example/simple\n"
        "extra-index-url = https://more.example/simple\n"
        "timeout = 60\n"
    )


def test_proxies_come_in_both_spellings_and_spare_the_nodes() -> None:
    environ = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "example.org"}
    found = hostconfig.proxies(environ, direct=["10.9.0.0/24", "control-1"])
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://proxy:3128"
    spared = "example.org,localhost,127.0.0.1,10.9.0.0/24,control-1"
    assert found["no_proxy"] == found["NO_PROXY"] == spared
    assert "http_proxy" not in found


def test_without_a_proxy_there_is_nothing_to_spare() -> None:
    assert hostconfig.proxies({"no_proxy": "x"}, direct=["y"]) == {}


def test_apt_keeps_its_proxies_and_learns_the_authorities() -> None:
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire::http::Proxy "http://proxy:3128";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Dir::Etc "etc/apt";\n'
    )
    assert hostconfig.apt_conf(dump, bundle=True) == (
        'Acquire::http::Proxy "http://proxy:3128";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::https::CAInfo "/usr/share/enos/host-authorities.crt";\n'
    )
    assert hostconfig.apt_conf("", bundle=False) == ""
