"""Who may ask: this computer's own user, or who has the token; and what browsers are told to keep to."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Stand in every answer."""
_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<other>[a-z0-9.-]+))(?::\d+)?")
OPEN = "/health"
"""Says nothing about anybody, and is asked by programs that hold no token."""


def new_token() -> str:
    """A secret that nobody guesses."""
    return secrets.token_urlsafe(24)


class Guard:
    """Stands before the application. With a `token`, a request must bring it; without one, as on a loopback address,
    it must be addressed to one of `hosts`, so that no foreign name leads here. Pages of other origins send nothing."""

    def __init__(self, app: ASGIApp, token: str | None, hosts: frozenset[str], port: int) -> None:
        self._app, self._token, self._hosts = app, token, hosts
        self._cookie = f"translate-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        instead = self._instead(Request(scope))
        return await (instead or self._app)(scope, receive, _with_headers(send))

    def _instead(self, request: Request) -> Response | None:
        """The answer to a request that does not reach the application."""
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        if origin is not None and origin.partition("://")[2] != host:
            return _refusal(403, "pages of other sites may not send anything here")
        if self._token is None:
            if _without_port(host) not in self._hosts:
                return _refusal(403, "this server answers under the address that it printed, and no other name")
            return None
        return None if request.url.path == OPEN else self._for_token(request, self._token)

    def _for_token(self, request: Request, token: str) -> Response | None:
        given = parse_qs(request.url.query).get("token", [""])[0]
        if request.url.path == "/" and _equal(given, token):
            answer = RedirectResponse("/", 303)  # so that it stays in no history
            answer.set_cookie(self._cookie, token, httponly=True, samesite="strict")
            return answer
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        brought = bearer.strip() if scheme.lower() == "bearer" else request.cookies.get(self._cookie, "")
        if _equal(brought, token):
            return None
        return _refusal(401, "the token is missing or wrong: open the link that the server printed, or send it as "
                        "'Authorization: Bearer TOKEN'", {"WWW-Authenticate": "Bearer"})  # fmt: skip


def _refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


def _equal(given: str, token: str) -> bool:
    """In a time that does not tell how much is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _without_port(host: str) -> str:
    """The name or address in a header Host; of IPv6 without brackets. Empty if it is damaged."""
    found = _HOST.fullmatch(host.lower())
    return found["six"] or found["other"] if found else ""


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
