"""Listens, says under which link, and stops in good order when it is asked to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import uvicorn
from starlette.types import ASGIApp

from translate.errors import ConfigurationError
from translate.inference.options import ModelOptions
from translate.serving.app import Service, application
from translate.serving.guard import Guard, new_token
from translate.serving.options import Listening, ServingOptions, WatchingOptions
from translate.serving.shelf import Shelf
from translate.serving.watching import Watching
from translate.serving.watching import application as watching_application
from translate.utils.signals import Signals

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Closing(Protocol):
    """What a server is of, which learns that it stops."""

    @property
    def grace(self) -> int | None:
        """Seconds that what is under way has to end; None for as long as it takes."""

    def close(self) -> None:
        """Takes nothing more, and comes to an end."""


Served = TypeVar("Served", bound=Closing)


class Server(uvicorn.Server, Generic[Served]):
    """Serves at a bound socket until it is told to stop; then takes nothing more, and ends with the work under way."""

    def __init__(self, service: Served, app: ASGIApp, listener: socket.socket, token: str | None, link: str) -> None:
        address, port = listener.getsockname()[:2]
        guarded = Guard(app, token, _LOCAL | {address}, port)
        config = uvicorn.Config(
            guarded, http="h11", ws="none", loop="asyncio", lifespan="off", log_config=None, log_level="error",
            access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=service.grace,
        )  # fmt: skip
        super().__init__(config)
        self.service, self.link = service, link
        self._listener, self._asked = listener, lambda: False

    def run_until(self, asked: Callable[[], bool]) -> None:
        """Serves until `asked` says so, which is looked at ten times a second, or `should_exit` is set."""
        self._asked = asked
        self.run([self._listener])

    async def on_tick(self, counter: int) -> bool:
        stop = self._asked() or await super().on_tick(counter)
        if stop:
            self.service.close()
        return stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the command."""
        yield


def server_for(runs: Sequence[Path], model: ModelOptions, options: ServingOptions) -> Server[Service]:
    """A server that translates with these runs, and listens already. Raises ConfigurationError and TranslateError, also
    for a model that cannot be loaded."""
    return listening(options, lambda: Service(Shelf(runs, model, options.loaded), options), application)


def watch_for(places: Sequence[Path], options: WatchingOptions) -> Server[Watching]:
    """A server that shows the runs at these places, and listens already. Raises ConfigurationError."""
    return listening(options, lambda: Watching(places), watching_application, options.token)


def listening(
    options: Listening, made: Callable[[], Served], application: Callable[[Served], ASGIApp], token: bool = False
) -> Server[Served]:
    """A server of what is `made` once the address is taken. Asks for a token if that is wanted, or others reach it."""
    listener = _listening(options.host, options.port)
    try:
        service = made()
    except BaseException:
        listener.close()
        raise
    address, port = listener.getsockname()[:2]
    secret = new_token() if token or not ipaddress.ip_address(address).is_loopback else None
    return Server(service, application(service), listener, secret, _link(address, port, secret))


def serve(server: Server[Served], ready: Callable[[str], None]) -> Served:
    """Serves until a signal comes; `ready` is called with the link. Returns what was served.

    A second signal ends the process at once.
    """
    with Signals() as signals, signals.noting():
        ready(server.link)
        server.run_until(lambda: signals.noted is not None)
    return server.service


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)  # type: ignore[arg-type]
    except OSError as error:
        raise ConfigurationError(
            f"{host}:{port}: cannot listen there: {error.strerror or error}; --port 0 takes a port that is free"
        ) from error


def _link(address: str, port: int, token: str | None) -> str:
    everywhere = ipaddress.ip_address(address).is_unspecified
    shown = "127.0.0.1" if everywhere else address
    host = f"[{shown}]" if ":" in shown else shown
    return f"http://{host}:{port}/" + (f"?token={token}" if token else "")
