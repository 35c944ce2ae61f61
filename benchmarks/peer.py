"""Run the loopback S3-shaped peer: ``python benchmarks/peer.py --help``.

Path-style addressing only; signatures are not checked, Content-MD5 is. ``GET /__counts`` tells what
was asked of it since ``POST /__reset``; ``POST /__clear`` also makes its buckets what they were;
``GET /__held`` tells of each object its size, its ETag and how long its parts were.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import ssl
import tempfile
import time
from pathlib import Path

import uvloop

from data import names
from loopback.certificate import server_context
from loopback.connection import Connection
from loopback.preload import Kind, Preload
from loopback.store import Bucket, Store
from loopback.synthetic import ListedBucket
from loopback.throttle import Throttle

# Clients open hundreds of connections at once; the kernel caps this at net.core.somaxconn.
_BACKLOG = 4096


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--tls", action="store_true", help="https, with a certificate made now")
    parser.add_argument("--bucket", default="bench", help="the bucket to begin with")
    parser.add_argument("--store", action="store_true", help="keep bodies, not only their MD5")
    parser.add_argument("--preload", type=int, default=0, metavar="N", help="objects p/…")
    parser.add_argument(
        "--listed",
        type=int,
        default=0,
        metavar="N",
        help="instead: objects that can be listed and deleted",
    )
    parser.add_argument("--size", type=int, default=4096, help="bytes of each preloaded object")
    parser.add_argument("--etag", choices=("md5", "parts"), default="md5", help="of those")
    parser.add_argument("--crc64nvme", action="store_true", help="with that checksum (awscrt)")
    parser.add_argument("--limit", type=float, metavar="N", help="requests per second")
    parser.add_argument("--burst", type=float, default=1.0, metavar="N", help="at once, of those")
    parser.add_argument("--limit-below", default="", metavar="PREFIX", help="for these keys only")
    parser.add_argument(
        "--trust", action="store_true", help="believe what headers say of a body, and do not hash"
    )
    return parser.parse_args()


def filled(options: argparse.Namespace) -> Store:
    """One bucket, which holds what was asked for, named as data.py names files."""
    keys = [b"p/" + name.encode() for name in names(options.preload)]
    kind = Kind(in_parts=options.etag == "parts", checksum=options.crc64nvme)
    preload = Preload(keys, size=options.size, now=int(time.time()), kind=kind)
    bucket = Bucket(preload.stock)
    if options.listed:
        bucket = ListedBucket(options.listed, size=options.size, now=int(time.time()))
    buckets = {options.bucket.encode(): bucket}
    throttle = Throttle(options.limit, options.burst) if options.limit else None
    return Store(
        keep=options.store,
        buckets=buckets,
        preload=preload,
        trust=options.trust,
        throttle=throttle,
        throttled_below=options.limit_below.encode(),
    )


async def serve(options: argparse.Namespace, context: ssl.SSLContext | None) -> None:
    """Answer until SIGTERM or SIGINT."""
    store = filled(options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(store, latency=options.latency),
        "127.0.0.1",
        options.port,
        ssl=context,
        backlog=_BACKLOG,
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    scheme = "https" if context else "http"
    print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    gc.freeze()  # what is preloaded is never garbage
    await ended.wait()


def main() -> None:
    """Print the CA's path (with --tls), then the URL once the peer is ready."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="s3pp-peer-") as folder:
        context = None
        if options.tls:
            context, authority = server_context(Path(folder))
            print(authority, flush=True)
        uvloop.run(serve(options, context))


if __name__ == "__main__":
    main()
