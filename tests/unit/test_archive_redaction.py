import base64
import json
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.archive.redaction import leaves, prepare, reason_to_drop, redact

KNOWN = "fUtgVq2vXbZ0s1kLr7Yw9ePmNcAoHd3iJ6TzQxGy"
SHORT = "hunter2"
SECRETS = prepare([KNOWN, SHORT])


def clean(text: str) -> str:
    done, _, _ = redact(text.encode(), SECRETS)
    return done.decode()


passwords = st.lists(st.text(min_size=4, max_size=48), min_size=1, max_size=8)


@given(passwords, st.data())
def test_no_password_survives_in_any_text(
    values: list[str], data: st.DataObject
) -> None:
    pieces = st.one_of(st.text(), st.sampled_from(values), st.just("password="))
    text = "".join(data.draw(st.lists(pieces, max_size=12)))

    assert surviving(values, text) == []


@pytest.mark.parametrize(
    "value",
    ["-----hunter22", "-----", "-----BEGIN", "-----BEGIN x-----y", "-----begin x-----"],
)
def test_a_password_that_begins_like_a_boundary_does_not_survive(value: str) -> None:
    assert surviving([value], f"logged in with {value} at noon\n") == []
    assert surviving([f"{KNOWN}\n{value}"], f"  {value}\n") == []


@pytest.mark.parametrize("word", ["BEGIN", "END"])
def test_the_boundaries_of_a_known_key_are_no_secret(word: str) -> None:
    line = f"-----{word} CERTIFICATE-----\n"
    known = prepare([f"{line}{KNOWN}\n"])
    assert redact(line.encode(), known) == (line.encode(), 0, False)


def surviving(values: list[str], text: str) -> list[str]:
    """Return the lines of values, boundaries of keys aside, that are left of a text."""
    done, _, _ = redact(text.encode(), prepare(values))
    lines = (line.strip() for value in values for line in re.split("[\r\n]", value))
    return [
        line
        for line in lines
        if len(line.encode()) >= 4
        and not re.fullmatch("-----(BEGIN|END) [A-Z0-9 ]+-----", line)
        and line.encode() in done
    ]


@given(
    st.text(st.characters(categories=("L", "N")), min_size=5, max_size=60),
    st.binary(max_size=40),
    st.binary(max_size=40),
)
def test_the_quick_search_misses_no_password_at_any_offset(
    value: str, before: bytes, after: bytes
) -> None:
    assert prepare([value]).occur_in(before + value.encode() + after)


@given(st.text(st.characters(categories=("L", "N")), min_size=8), st.binary(max_size=9))
def test_a_password_is_found_inside_base64_at_any_offset(
    value: str, before: bytes
) -> None:
    coded = base64.b64encode(before + value.encode() + b":tail")
    done, count, _ = redact(b"data " + coded + b"\n", prepare([value]))
    assert count >= 1
    assert coded not in done


@pytest.mark.parametrize(
    "form", [KNOWN, quote("p@ss/w:rd+1", safe=""), json.dumps('p"a\\ss\u00e9')[1:-1]]
)
def test_a_password_is_found_in_its_escaped_forms(form: str) -> None:
    secrets = prepare([KNOWN, "p@ss/w:rd+1", 'p"a\\ss\u00e9'])
    done, count, _ = redact(f"x{form}y\n".encode(), secrets)
    assert (done, count) == (b"x[redacted]y\n", 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("password = pass phrase of mine", "password = [redacted]"),
        ("admin_password: abc # why", "admin_password: [redacted]"),
        ('  "password": "x y",', '  "password": "[redacted]",'),
        ("export OS_PASSWORD='abc'", "export OS_PASSWORD='[redacted]'"),
        ('{"token": 15, "a": 1}', '{"token": "[redacted]", "a": 1}'),
        ("memcache_secret_key = abc", "memcache_secret_key = [redacted]"),
        ("auth_encryption_key=abc", "auth_encryption_key=[redacted]"),
        ("\tauth_pass abc", "\tauth_pass [redacted]"),
        ('secret "Zm9v==";', 'secret "[redacted]";'),
        ("mysql --password abc db", "mysql --password [redacted] db"),
        (
            "transport_url = rabbit://openstack:aa@h1:5672,openstack:bb@h2:5672//",
            "transport_url = rabbit://openstack:[redacted]@h1:5672,openstack:[redacted]@h2:5672//",
        ),
        (
            "connection = mysql+pymysql://nova:p:w@d@10.0.0.1:3306/nova?charset=utf8",
            "connection = mysql+pymysql://nova:[redacted]@10.0.0.1:3306/nova?charset=utf8",
        ),
        (
            'curl -H "X-Auth-Token: abc" -H "Authorization: Basic Zm9v" x',
            'curl -H "X-Auth-Token: [redacted]" -H "Authorization: Basic [redacted]" x',
        ),
        (
            "DEBUG auth {u'password': u'q1', 'user': 'a'} done",
            "DEBUG auth {u'password': u'[redacted]', 'user': 'a'} done",
        ),
        (
            r'{"msg": "{\"password\": \"abc\", \"a\": 1}"}',
            r'{"msg": "{\"password\": \"[redacted]\", \"a\": 1}"}',
        ),
        (f"token gAAAAAB{'x' * 60}== used", "token [redacted] used"),
        (f"{SHORT} and {KNOWN}{KNOWN}", "[redacted] and [redacted][redacted]"),
    ],
)
def test_what_a_telling_key_names_is_redacted(given: str, expected: str) -> None:
    assert clean(f"{given}\n") == f"{expected}\n"


@pytest.mark.parametrize(
    "text",
    [
        "token_expiration = 3600",
        "[keystone_authtoken]",
        "password:",
        "password = None",
        "admin_password: {{ keystone_admin_password }}",
        "provider = fernet",
        "Access denied for user 'mysql'@'localhost' (using password: NO)",
        "Invoked with auth_password=NOT_LOGGING_PARAMETER auth_registry=None",
        "www_authenticate_uri = http://10.0.0.1:5000",
        "transport_url = rabbit://h1:5672//",
        "X-Auth-Token: {SHA256}0a1b2c",
        "2026-11-21 10:00:00.123 7 INFO nova.compute [req-1] Took 3.2 seconds",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert clean(f"{text}\n") == f"{text}\n"


def test_a_private_key_is_replaced_as_a_whole() -> None:
    text = (
        "ssh: |\n  -----BEGIN RSA PRIVATE KEY-----\n  MIIEpAIBAAKCAQEA\n  zzz=\n"
        "  -----END RSA PRIVATE KEY-----\nnext: 1\n"
    )
    assert clean(text) == "ssh: |\n  [redacted]\nnext: 1\n"


def test_a_private_key_goes_on_in_the_next_block() -> None:
    first, count, inside = redact(b"a\n-----BEGIN PRIVATE KEY-----\nMIIE\n", SECRETS)
    assert (first, count, inside) == (b"a\n[redacted]\n", 1, True)
    second, count, inside = redact(
        b"QUJD\n-----END PRIVATE KEY-----\nb\n", SECRETS, inside_key=inside
    )
    assert (second, count, inside) == (b"\nb\n", 0, False)


def test_a_cut_off_private_key_does_not_swallow_the_log() -> None:
    text = "-----BEGIN PRIVATE KEY-----\nMIIE\n2026-11-21 10:00:00.1 INFO [a] on\n"
    assert clean(text) == "[redacted]\n2026-11-21 10:00:00.1 INFO [a] on\n"


def test_the_lines_of_a_known_key_are_found_however_indented() -> None:
    key = "-----BEGIN X-----\nAAAABBBBCCCCDDDDEEEE\nFFFFGGGG\n-----END X-----\n"
    done, count, _ = redact(b"  AAAABBBBCCCCDDDDEEEE\n\tFFFFGGGG\n", prepare([key]))
    assert (done, count) == (b"  [redacted]\n\t[redacted]\n", 2)


def test_the_mark_cannot_complete_a_password() -> None:
    secrets = prepare(["a[red", "ed]b", "<*#~"])
    done, _, _ = redact(b"xa[red]b<*#~\n", secrets)
    assert done == b"x" + secrets.mark + b"]b" + secrets.mark + b"\n"
    assert not any(byte in b"a[red]b<*#~" for byte in secrets.mark)


def test_values_shorter_than_four_bytes_are_not_searched_for() -> None:
    secrets = prepare(["abc", "", "x"])
    assert redact(b"abc x\npassword = abc\n", secrets) == (
        b"abc x\npassword = [redacted]\n",
        1,
        False,
    )


def test_the_values_never_show_in_a_representation() -> None:
    assert KNOWN not in repr(SECRETS)


def test_all_leaves_of_a_password_list_are_secrets() -> None:
    tree = {"a": "x", "key": {"private_key": "y", "none": None}, "n": 5, "l": ["z"]}
    assert leaves(tree) == ("x", "y", "5", "z")


@pytest.mark.parametrize(
    "path",
    [
        "hosts/a/etc/kolla/keystone-fernet/fernet-keys/0",
        "hosts/a/etc/kolla/nova-ssh/id_rsa",
        "hosts/a/etc/kolla/haproxy/server.key",
        "hosts/a/etc/kolla/nova-compute/ceph.client.nova.keyring",
        "kolla/passwords.yml",
    ],
)
def test_files_that_are_nothing_but_secrets_are_dropped(path: str) -> None:
    assert reason_to_drop(path)


@pytest.mark.parametrize(
    "path", ["hosts/a/etc/kolla/nova-ssh/id_rsa.pub", "hosts/a/logs/nova/nova-api.log"]
)
def test_other_files_are_kept(path: str) -> None:
    assert reason_to_drop(path) == ""
