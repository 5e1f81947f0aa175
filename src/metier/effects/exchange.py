"""One request over one connection to an address that was checked, within a time and a size."""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpcore2

from metier.effects.door import EffectError
from metier.urls import Target

BESIDE_THE_BODY = 2**20
"""Bytes that an answer may have besides its body: status lines, headers, chunk sizes, trailers."""
WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    """Names in lower case; a header that came several times is joined with commas."""
    body: bytes


def exchange(
    method: str,
    target: Target,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    addresses: Sequence[str],
    tls: ssl.SSLContext,
    until: float,
    most: int,
) -> Reply:
    """The reply of the first address that answers. `until` is of time.monotonic, `most` the bytes of its body.

    Raises:
        EffectError: unreachable, timeout, too_large or tls; the message names the host and no address.
    """
    url = httpcore2.URL(
        scheme=target.scheme.encode(),
        host=target.host.encode(),
        port=target.port,
        # A brace is legal in no URL; until here one may begin a placeholder.
        target=target.target.replace("{", "%7B").replace("}", "%7D").encode("ascii"),
    )
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
    network = _Pinned(addresses, until, most + BESIDE_THE_BODY)
    try:
        pool = httpcore2.ConnectionPool(ssl_context=tls, network_backend=network)
        with pool, pool.stream(method, url, headers=encoded, content=body or None) as response:
            received = _headers(response)
            return Reply(response.status, received, decoded(_body(response, most), received, most))
    except httpcore2.TimeoutException:
        raise EffectError("timeout", f"{target.host} did not answer in time") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
        if _is_tls(error):
            raise EffectError("tls", f"{target.host} does not show a certificate that is trusted for it") from None
        raise EffectError("unreachable", f"{target.host} cannot be reached, or does not speak HTTP") from None


def _headers(response: httpcore2.Response) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _body(response: httpcore2.Response, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in response.iter_stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def decoded(body: bytes, headers: dict[str, str], most: int) -> bytes:
    """Without the compression that nobody asked for: a secret in it could not be seen, nor how large it becomes."""
    coding = headers.pop("content-encoding", "identity").strip().lower()
    if coding in ("identity", "") or not body:
        return body
    if coding not in WBITS:
        raise EffectError("unreachable", "the answer is compressed in a way that was not asked for")
    decoder = zlib.decompressobj(WBITS[coding])
    try:
        plain = decoder.decompress(body, most + 1)
    except zlib.error:
        raise EffectError("unreachable", "the answer does not decompress") from None
    if len(plain) > most:
        raise _too_large(most)
    if decoder.unused_data or not decoder.eof:
        raise EffectError("unreachable", "the answer does not decompress")
    headers.pop("content-length", None)
    return plain


def _too_large(most: int) -> EffectError:
    return EffectError("too_large", f"the answer is larger than {most} bytes")


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Pinned(httpcore2.SyncBackend):
    """Connects to these addresses, whatever the name says by now."""

    def __init__(self, addresses: Sequence[str], until: float, most: int) -> None:
        self._addresses = addresses
        self._until = until
        self._most = most

    def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore2.NetworkStream:
        failure: Exception = httpcore2.ConnectError("no address")
        for tried, address in enumerate(self._addresses):
            # One that swallows packets leaves time for the others.
            seconds = _left(self._until) / (len(self._addresses) - tried)
            try:
                stream = super().connect_tcp(address, port, timeout=seconds)
                return _Bounded(stream, self._until, self._most)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class _Bounded(httpcore2.NetworkStream):
    """A connection that ends at a moment and after so many bytes, however slowly or fast they come."""

    def __init__(self, stream: httpcore2.NetworkStream, until: float, most: int) -> None:
        self._stream = stream
        self._until = until
        self._most = most
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, _left(self._until))
        self._received += len(data)
        if self._received > self._most:
            raise _too_large(self._most)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        connection = self._stream.get_extra_info("socket")
        view = memoryview(buffer)
        try:
            while view:
                connection.settimeout(_left(self._until))
                view = view[connection.send(view) :]
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore2.WriteError(error) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._until))
        return _Bounded(stream, self._until, self._most)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(until: float) -> float:
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise httpcore2.ReadTimeout("no time is left")
    return seconds
