"""An HTTP server's front: requests in, replies of JSON out, for services faked here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request is answered with; `body` is a JSON value, None for none."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def handler(
    answer: Callable[[str, str, bytes], Reply],
) -> type[BaseHTTPRequestHandler]:
    """Return what `http.server` serves with: of method, target and body to a reply."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # a reply in one packet: the second would wait for an ACK

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = _chunks(self.rfile)
            reply = answer(self.command, self.path, body)
            data = b"" if reply.body is None else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Type", JSON)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Keep quiet: tests look at what the service was asked."""

    return Handler


def _chunks(stream: Any) -> bytes:  # noqa: ANN401 - a BufferedIOBase
    parts = []
    while size := int(stream.readline(), 16):
        parts.append(stream.read(size))
        stream.readline()
    stream.readline()
    return b"".join(parts)
