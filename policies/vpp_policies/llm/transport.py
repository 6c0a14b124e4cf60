"""HTTP with limits: the whole of a call in time, the whole of a body in memory. For every client that stands on httpx.

httpx limits each read, not the call: a server that drips a byte a second keeps it for ever. And it inflates what is
compressed without asking how large it becomes. Here both are bounded, below everything that a client does: the time of
every read and write of the network is what is left of the call's, in headers and body alike, and a body is read, and
inflated, up to its limit and no further.
"""

from __future__ import annotations

import ssl
import threading
import time
import zlib
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

MOST_BODY = 2 * 2**20
"""Bytes of a body, inflated; an answer here takes some 10 kB [assumed]."""
_INFLATED = ("gzip", "x-gzip", "deflate")


class _Deadline(threading.local):
    """When the call that this thread makes has to be over, on the monotonic clock."""

    at = float("inf")

    def left(self, timeout: float | None) -> float | None:
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the whole answer did not come in time")
        return timeout if left == float("inf") else min(left, left if timeout is None else timeout)


class _Stream(httpcore.NetworkStream):
    """A connection whose reads and writes end with the call."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._inner, self._deadline = httpcore.SyncBackend(), deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options), self._deadline)


class Transport(httpx.BaseTransport):
    """A pool of connections under limits; the read time-out of a request is the time of the whole call.

    Parameters
    ----------
    most_body : int
        Bytes of a body, inflated.
    """

    def __init__(self, most_body: int = MOST_BODY) -> None:
        self._deadline, self._most = _Deadline(), most_body
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=None,  # how many calls are under way is decided by who makes them
            max_keepalive_connections=None,
            keepalive_expiry=5.0,
            network_backend=_Backend(self._deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, and return the response with its whole body.

        Raises
        ------
        httpx.TransportError
            As of httpx; `ReadTimeout` also when the time is over, `RemoteProtocolError` also for too large a body.
        """
        request.headers["accept-encoding"] = "identity"
        seconds = request.extensions.get("timeout", {}).get("read")
        self._deadline.at = float("inf") if seconds is None else time.monotonic() + seconds
        url = request.url
        try:
            response = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
            try:
                body = self._body(response)
            finally:
                response.close()
        except _ERRORS as error:
            # the names of httpx are those of httpcore
            raise getattr(httpx, type(error).__name__)(str(error), request=request) from error
        kept = [(k, v) for k, v in response.headers if k.lower() not in _OF_THE_WIRE]
        return httpx.Response(response.status, headers=kept, content=body, request=request)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def _body(self, response: httpcore.Response) -> bytes:
        coding = next((v.decode("latin-1").strip().lower() for k, v in response.headers if k.lower() == _CODING), "")
        if coding not in ("", "identity", *_INFLATED):
            raise httpcore.RemoteProtocolError(f"the body is coded as {coding[:40]!r}, which was not asked for")
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 32) if coding in _INFLATED else None
        parts, size = list[bytes](), 0
        for raw in response.iter_stream():
            try:
                part = raw if inflate is None else inflate.decompress(raw, self._most + 1 - size)
            except zlib.error as error:
                raise httpcore.RemoteProtocolError(f"the body cannot be inflated: {error}") from error
            parts.append(part)
            size += len(part)
            if size > self._most:
                raise httpcore.RemoteProtocolError(f"the body has more than {self._most} bytes")
        return b"".join(parts)


_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol)
_CODING = b"content-encoding"
_OF_THE_WIRE = frozenset({_CODING, b"content-length", b"transfer-encoding"})
"""Headers that are no longer true of a body that has been read and inflated."""
