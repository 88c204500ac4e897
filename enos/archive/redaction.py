r"""What must not leave: known passwords wherever they occur, and what looks like one.

Pure, on bytes, so that a log in any encoding is treated alike. Two nets:

- the values of the experiment's own password list, plain, percent-encoded (RFC 3986),
  JSON-escaped and inside base64 (RFC 4648), are replaced wherever they occur;
- what stands behind a telling key (``password = …``), between ``user:`` and ``@`` of
  a URL, in an authorization header, in a Fernet token or between the lines of a PEM
  private key is replaced as well, known or not.

A search that says "nothing here" quickly is what makes hundreds of megabytes of logs
bearable: any value of at least 15 bytes covers a whole 8-byte word at some multiple
of 8, so one look-up in a set for each word of the text finds all of them.
"""

import base64
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import quote

SHORTEST = 4  # a shorter password is a common word: only its key gives it away
WORD = 8
SEARCHABLE = 2 * WORD - 1  # bytes that are sure to cover an aligned word

DROPPED = {
    "*/fernet-keys/*": "token key",
    "*/credential-keys/*": "credential key",
    "*.key": "private key",
    "*-key.pem": "private key",
    "id_rsa": "private key",
    "id_dsa": "private key",
    "id_ecdsa": "private key",
    "id_ed25519": "private key",
    "ssh_host_*_key": "private key",
    "*.p12": "key store",
    "*.jks": "key store",
    "*.keyring": "Ceph key",
    "*passwords.yml": "password list",
    "*htpasswd*": "password list",
    "*erlang.cookie": "Erlang cookie",
}
"""pattern of a file's name, or of its path if it holds a slash → why it is left out."""

_CLUES = (
    *(b"pass", b"secret", b"token", b"_key", b"-key", b"apikey", b"credential"),
    *(b"sst_auth", b"erlang", b"hash_path", b"salt", b"authorization"),
)
_STRONG = (b"gaaaaa", b"auth_pass", b"requirepass", b"masterauth")
_NAMING = re.compile(rb"[\w-]*\\?[\"']?[^\S\n]*[:=\"]")
"""What follows a clue in lower case when it names a value, `token: …`, `secret "…`."""
_KEYS = rb"""(?:
    passw(?:or)?d(?:[_-]hash)? | passphrase | (?:auth|admin|default)[_-]pass
  | requirepass | masterauth | (?:wsrep[_-])?sst[_-]auth | credentials? | salt
  | secret (?:[_-]?(?:key|id))? | token | api_?key | erlang[_-]cookie
  | hash_path_(?:prefix|suffix)
  | (?:private|encryption|auth|access|api|crypto|shared|signing|hmac|session|account)
    [_-]key
)"""
_QUOTED = rb"""[ub]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_LINE = re.compile(
    rb"(?im)^(?P<key>[^\S\n]*(?:-[^\S\n]+|export[^\S\n]+)?[\"']?[\w.-]*"
    + re.sub(rb"\s", b"", _KEYS)
    + rb"[\"']?[^\S\n]*[:=]>?[^\S\n]*)(?P<value>"
    + _QUOTED
    + rb"|[^\s\"'{\[][^\n]*)"
)
_INLINE = re.compile(
    rb"(?i)(?P<key>"
    + re.sub(rb"\s", b"", _KEYS)
    + rb"(?:\\?[\"'])?(?:[^\S\n]*[:=]>?[^\S\n]*|[^\S\n]+(?=\"))"
    + rb"|--[\w-]*(?:password|secret|token)[^\S\n]+|requirepass[^\S\n]+"
    + rb"|auth_pass[^\S\n]+|masterauth[^\S\n]+)"
    + rb"(?P<value>"
    + _QUOTED
    + rb"|\\\"[^\"\\]*|[^\s\"'\\,;&(){}\[\]<>]+)"
)
_HEADER = re.compile(
    rb"(?i)(?P<key>authorization[\"']?[^\S\n]*[:=][^\S\n]*[\"']?(?:basic|bearer|digest)"
    rb"[^\S\n]+)(?P<value>[^\s\"']+)"
)
_URL = re.compile(rb"(?P<key>(?:://|,)[^\s:/@,\"']*:)(?P<value>[^\s/,\"']+)(?=@)")
_FERNET = re.compile(rb"(?P<key>)(?P<value>\bgAAAAA[\w-]{40,}={0,2})")
PEM_BEGIN = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(rb"-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----")
_BOUNDARY = re.compile(r"-----(?:BEGIN|END) [A-Z0-9 ]+-----")
_PEM_BODY = re.compile(rb"[\s|\"'\\\w+/=:,-]*")
_HARMLESS = re.compile(
    rb"(?i)[ub]?[\"']?(?:|none|null|true|false|yes|no|<none>|not_logging_parameter"
    rb"|\*+|[|>][+-]?|\{\{.*|\$\{[^}]*\}|\$[A-Z_]+)[\"']?[\s,}]*"
)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_MARKS = (b"[redacted]", b"<redacted>", *(bytes([sign]) * 8 for sign in b"*#~^%$!+=_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Values that must not leave, prepared for searching. Made by `prepare`.

    Attributes:
        mark: stands in their place; cannot form a value with what is around it.
        longest: bytes of the longest value, 0 when there is none.

    """

    mark: bytes
    longest: int = 0
    exact: re.Pattern[bytes] | None = field(default=None, repr=False)
    short: tuple[bytes, ...] = field(default=(), repr=False)
    words: frozenset[int] = field(default=frozenset(), repr=False)

    def occur_in(self, text: bytes) -> bool:
        """Tell whether a value occurs; may be wrong about a no-longer whole one."""
        whole = memoryview(text)[: len(text) // WORD * WORD].cast("Q")
        return not self.words.isdisjoint(whole) or any(
            value in text for value in self.short
        )

    def within(self, text: bytes) -> bool:
        """Tell for sure whether a value occurs."""
        return bool(self.occur_in(text) and self.exact and self.exact.search(text))


def leaves(tree: object) -> tuple[str, ...]:
    """Return all scalar values of a password list, however nested, as text.

    >>> leaves({"a": "x", "b": {"private_key": "y", "none": None}})
    ('x', 'y')
    """
    if isinstance(tree, Mapping):
        return tuple(leaf for value in tree.values() for leaf in leaves(value))
    if isinstance(tree, Sequence) and not isinstance(tree, str | bytes):
        return tuple(leaf for value in tree for leaf in leaves(value))
    return () if tree is None or isinstance(tree, bool) else (str(tree),)


def prepare(values: Iterable[str]) -> Secrets:
    """Return the values ready for searching; values under 4 bytes are left out.

    A value of several lines counts as one value for each line, so that a key is found
    again however it was indented; the lines around a key are no secret (RFC 7468).
    """
    lines = {line.strip() for value in values for line in re.split("[\r\n]+", value)}
    plain = {line for line in lines if not _BOUNDARY.fullmatch(line)}
    known = {form for line in plain for form in _forms(line) if len(form) >= SHORTEST}
    if not known:
        return Secrets(mark=_MARKS[0])
    ordered = sorted(known, key=lambda value: (-len(value), value))
    long = [value for value in ordered if len(value) >= SEARCHABLE]
    return Secrets(
        mark=_mark(ordered),
        longest=len(ordered[0]),
        exact=re.compile(b"|".join(map(re.escape, ordered))),
        short=tuple(value for value in ordered if len(value) < SEARCHABLE),
        words=frozenset(
            int.from_bytes(value[at : at + WORD], sys.byteorder)
            for value in long
            for at in range(WORD)
        ),
    )


def reason_to_drop(path: str) -> str:
    """Return why a file of that path is not archived at all, empty when it is.

    >>> reason_to_drop("etc/kolla/keystone-fernet/fernet-keys/0")
    'token key'
    >>> reason_to_drop("etc/kolla/nova-compute/nova.conf")
    ''
    """
    name = path.rpartition("/")[2]
    for like, why in DROPPED.items():
        if fnmatchcase(f"/{path}" if "/" in like else name, like):
            return why
    return ""


def redact(
    text: bytes, secrets: Secrets, *, inside_key: bool = False
) -> tuple[bytes, int, bool]:
    """Return whole lines without their secrets, how many, and whether a key is open.

    Args:
        text: lines; the last one may lack its end.
        secrets: the known values.
        inside_key: a PEM private key was open at the end of the text before.

    """
    lowered = text.lower()
    clues = [clue for clue in (*_CLUES, *_STRONG) if clue in lowered]
    known = secrets.occur_in(text)
    urls = b"@" in text and b"://" in text
    keys = inside_key or b"private key" in lowered
    if not (clues or known or urls or keys):
        return text, 0, False
    count = 0
    if keys:
        text, count, inside_key = _redact_keys(text, secrets.mark, inside=inside_key)
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if known and secrets.exact and secrets.occur_in(line):
            line, more = secrets.exact.subn(secrets.mark, line)  # noqa: PLW2901 - its next form
            count += more
        lines[number], more = _redact_line(
            line, secrets.mark, telling=bool(clues) and _telling(line.lower(), clues)
        )
        count += more
    return b"".join(lines), count, inside_key


def without(secrets: Secrets, text: str) -> str:
    r"""Return a text as it may leave.

    >>> without(prepare(["hunter22"]), "password: x\nhunter22 said so")
    'password: [redacted]\n[redacted] said so'
    """
    return redact(text.encode(), secrets)[0].decode("utf-8", "replace")


def _telling(line: bytes, clues: Sequence[bytes]) -> bool:
    """Tell whether a line in lower case may name a secret; cheap, for most do not."""
    for clue in clues:
        at = line.find(clue)
        while at >= 0:
            if clue in _STRONG or _NAMING.match(line, at) or b"--" in line:
                return True
            at = line.find(clue, at + 1)
    return False


def _redact_keys(text: bytes, mark: bytes, *, inside: bool) -> tuple[bytes, int, bool]:
    at = _key_length(text) if inside else 0
    inside = inside and at == len(text)
    kept, count = [], 0
    while begin := PEM_BEGIN.search(text, at):
        kept += [text[at : begin.start()], mark]
        at = begin.end() + _key_length(text[begin.end() :])
        inside = at == len(text) and not _PEM_END.search(text, begin.end())
        if at > begin.end() and text[at - 1 : at] == b"\n":
            at -= 1  # the key's last line ends with the mark's
        count += 1
    return b"".join((*kept, text[at:])), count, inside


def _key_length(text: bytes) -> int:
    """Return how many bytes of text still belong to a key opened before it.

    A line that cannot belong to one ends it, so that a key that was cut off does not
    swallow the rest of a log.
    """
    at = 0
    for line in text.splitlines(keepends=True):
        if ending := _PEM_END.search(line):
            return at + ending.end()
        if not _PEM_BODY.fullmatch(line):
            break
        at += len(line)
    return at


def _redact_line(line: bytes, mark: bytes, *, telling: bool) -> tuple[bytes, int]:
    rules: list[re.Pattern[bytes]] = []
    if b"@" in line and b"://" in line:
        rules += [_URL]
    if telling:
        rules += [_HEADER, _FERNET, _LINE, _INLINE]
    count = 0
    for rule in rules:
        line, more = _replace(rule, line, mark)
        count += more
    return line, count


def _replace(rule: re.Pattern[bytes], line: bytes, mark: bytes) -> tuple[bytes, int]:
    count = 0

    def hide(found: re.Match[bytes]) -> bytes:
        nonlocal count
        value = found["value"]
        if _HARMLESS.fullmatch(value) or mark in value:
            return found[0]
        count += 1
        quoted = re.match(rb"[ub]?(\\?[\"'])", value)
        opening = quoted[0] if quoted else b""
        closing = quoted[1] if quoted and value.endswith(quoted[1]) else b""
        if not quoted and found["key"].rstrip().endswith(b'":'):
            opening = closing = b'"'  # a number in JSON, which must stay JSON
        return found["key"] + opening + mark + closing

    return rule.sub(hide, line), count


def _forms(value: str) -> tuple[bytes, ...]:
    plain = value.encode("utf-8", "surrogatepass")
    escaped = json.dumps(value)[1:-1].encode()
    forms = [plain, quote(plain, safe="").encode(), escaped]
    if len(plain) >= WORD:
        coded = [_inside_base64(plain, offset) for offset in range(3)]
        forms += [*coded, *(form.translate(_URL_SAFE) for form in coded)]
    return tuple(forms)


def _inside_base64(value: bytes, offset: int) -> bytes:
    """Return the base64 digits that depend on nothing but the value at that offset."""
    coded = base64.b64encode(b"\0" * offset + value)
    first = (offset * 8 + 5) // 6
    return coded[first : (offset + len(value)) * 8 // 6]


def _mark(values: Sequence[bytes]) -> bytes:
    """Return a mark no value contains and no value can begin or end inside."""
    edges = frozenset(byte for value in values for byte in value)
    fit = (
        mark
        for mark in _MARKS
        if mark[0] not in edges
        and mark[-1] not in edges
        and not any(value in mark for value in values)
    )
    return next(fit, b"\xff" * 8)  # no text in UTF-8 holds that byte
