"""Serving the application: where it may listen, and until when."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Callable, Iterable

import uvicorn
from starlette.applications import Starlette

from metier.errors import UsageError
from metier.mcp_server import Expose
from metier.runtime import Runtime
from metier.web.app import create_app
from metier.web.connections import BoundedConnection

HOST, PORT = "127.0.0.1", 8765
BACKLOG = 2048
MAX_CONNECTIONS = 4096
"""More are told to come back; each costs some memory, whatever it is used for."""
STOP_SECONDS = 60
"""How long requests that are under way may take after the server was told to stop."""


class Server(uvicorn.Server):
    """Ends what only stands open before it waits for what is under way."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        assert isinstance(self.config.app, Starlette)
        self.config.app.state.stopping.set()
        await super().shutdown(sockets)


def serve(
    runtime: Runtime,
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    names: Iterable[str] = (),
    ready: Callable[[str], None] = lambda _: None,
    expose: Expose = "none",
) -> None:
    """Serves until it is told to stop; requests under way are finished first. `ready` is told the address.

    `names` are further names that clients may call the server by.

    Raises:
        UsageError: the address is not one of this machine or in use, or it is open to others and there is no token.
    """
    with listen(host, port, token=token) as listening:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listening.getsockname()[1]}")
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after it stopped
            make_server(runtime, listening, token=token, names=(host, *names), expose=expose).run(sockets=[listening])


def make_server(
    runtime: Runtime,
    listening: socket.socket,
    *,
    token: str | None = None,
    names: Iterable[str] = (),
    expose: Expose = "none",
) -> Server:
    """A server that is ready to run on a listening socket."""
    address = ipaddress.ip_address(listening.getsockname()[0])
    app = create_app(runtime, token=token, hosts=names, any_address=address.is_unspecified, expose=expose)
    return Server(
        uvicorn.Config(
            app,
            http=BoundedConnection,
            limit_concurrency=MAX_CONNECTIONS,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=STOP_SECONDS,
        )
    )


def listen(host: str, port: int, *, token: str | None) -> socket.socket:
    """A listening socket. Raises as `serve` does."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{host!r} is not an address of this machine: {error}") from None
    if not token and not ipaddress.ip_address(address[0]).is_loopback:
        raise UsageError(
            f"{host} is open to other machines, and there is no token; set METIER_TOKEN to a long random text "
            "(`openssl rand -hex 32`), which clients then send as `Authorization: Bearer …`"
        )
    # With the protocol named; asyncio sets TCP_NODELAY only where it is, and answers take 40 ms longer without.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # where it would let another program listen here too
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port") from None
    return listening
