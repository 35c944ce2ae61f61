"""moto's S3 server as a child: ``python -m stores.moto PORT``, ends with its stdin.

Every feature of S3, none of its checks: signatures and checksums are accepted unread. Beside S3 it
takes ``POST /__fill/BUCKET``, objects packed by ``stores.packed``, and answers ``GET
/__tree/BUCKET`` with such: thousands of objects are put or got in the time of one request.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from typing import Any

from botocore.utils import parse_to_aware_datetime
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from stores.packed import pack, unpack

# moto keeps objects in plain dicts, which listings iterate over: one request at a time.
APP_LOCK = threading.Lock()
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _backend() -> Any:
    from moto.s3.models import s3_backends

    return s3_backends["123456789012"]["aws"]


def _fill(bucket: str, objects: bytes) -> bytes:
    for key, body in unpack(objects).items():
        _backend().put_object(bucket, key, body)
    return b""


def _tree(bucket: str, _: bytes) -> bytes:
    from moto.s3.models import FakeKey

    newest = _backend().get_bucket(bucket).keys.values()
    keys = [key for key in newest if isinstance(key, FakeKey)]  # a deleted one is something else
    return pack({key.name: key.value for key in keys})


def _put_object_acl(response: Any) -> tuple[int, dict[str, str], str]:
    """PutObjectAcl with the grants of its body, which moto itself does not read."""
    headers = response._acl_from_headers(response.headers)
    acl = headers or response._acl_from_body()
    response.backend.put_object_acl(response.bucket_name, response.parse_key_name(), acl)
    return 200, {}, ""


def _read_time(value: object) -> datetime:
    """What moto does for each time in a listing, in a tenth of the time of dateutil's parser."""
    if isinstance(value, str) and value.endswith("Z"):
        return datetime.fromisoformat(f"{value[:-1]}+00:00")
    read: datetime = parse_to_aware_datetime(value)
    return read


ALL_AT_ONCE = {"/__fill": _fill, "/__tree": _tree}


def _with_all_at_once(app: Wsgi) -> Wsgi:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        first, bucket = environ["PATH_INFO"].rpartition("/")[::2]
        if first not in ALL_AT_ONCE:
            return app(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        found = ALL_AT_ONCE[first](bucket, body)
        start_response("200 OK", [("Content-Length", str(len(found)))])
        return [found]

    return answer


class _KeptAlive(MotoRequestHandler):
    """Keeps connections, as stores do; werkzeug's own closes each after one request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        environ = self.make_environ()
        environ["wsgi.input"] = io.BytesIO(self._body(environ))
        with APP_LOCK:
            pieces, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        body = b"".join(pieces)
        self.send_response(int(status.split()[0]))
        for name, value in headers:
            self.send_header(name, value)
        if "Content-Length" not in headers and not status.startswith(("204", "304")):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _body(self, environ: dict[str, Any]) -> bytes:
        """The whole body; raises ConnectionError where the client left in the middle."""
        if environ.get("wsgi.input_terminated"):
            return bytes(environ["wsgi.input"].read())
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = bytes(self.rfile.read(size))
        if len(body) < size:
            raise ConnectionAbortedError("the request's body was cut short")
        return body

    def log(self, type: str, message: str, *args: Any) -> None:
        """Quiet."""


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    from moto.core import serialize
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.responses import S3Response

    serialize.parse_to_aware_datetime = _read_time  # type: ignore[attr-defined]
    S3Response.put_object_acl = _put_object_acl  # type: ignore
    dispatcher = DomainDispatcherApplication(create_backend_app)
    # It would list moto's modules on disk for each request, which takes longer than many a PUT.
    quick = cache(dispatcher.get_backend_for_host)
    dispatcher.get_backend_for_host = quick  # type: ignore[method-assign]
    app = _with_all_at_once(dispatcher)
    server = make_server("127.0.0.1", int(sys.argv[1]), app, True, request_handler=_KeptAlive)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
