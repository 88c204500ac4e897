"""Asks a database of measures over HTTP; imported here, or run on a machine by python3.

Standard input carries the request as JSON: ``url``, ``path``, ``params``, ``user``,
``password``, and ``body`` for lines to write. The answer's body goes to standard
output, whether the database obeyed or refused; exit status 4: nobody answers.
"""

import base64
import json
import sys
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

SILENT = 4
PATIENCE = 60.0


def fetch(spec: Mapping[str, Any]) -> str:
    """Return the body of the answer; raises OSError when nobody answers."""
    pair = base64.b64encode(f"{spec['user']}:{spec['password']}".encode()).decode()
    body = spec.get("body")
    request = urllib.request.Request(  # noqa: S310 - checked where the URL comes from
        f"{spec['url']}{spec['path']}?{urlencode(spec['params'])}",
        data=None if body is None else body.encode(),
        headers={"Authorization": f"Basic {pair}"} if spec["user"] else {},
        method="GET" if body is None else "POST",
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=PATIENCE) as answer:
            text: str = answer.read().decode("utf-8", "replace")
            return text
    except HTTPError as refusal:
        with refusal:
            told = refusal.read().decode("utf-8", "replace")
        return told or json.dumps({"error": f"{refusal.code} {refusal.reason}"})


def why(silent: OSError) -> str:
    """Return why nobody answers, without urllib's wrapping.

    >>> why(OSError(111, "Connection refused"))
    'Connection refused'
    """
    reason = getattr(silent, "reason", silent)
    return str(getattr(reason, "strerror", None) or reason)


if __name__ == "__main__":
    try:
        sys.stdout.write(fetch(json.load(sys.stdin)))
    except OSError as silent:
        sys.stderr.write(f"{why(silent)}\n")
        sys.exit(SILENT)
