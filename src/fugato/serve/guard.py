"""What stands before every route: who may ask, how much may be sent, how many at once; and the headers of every response.

Host is checked against DNS rebinding, Origin and Sec-Fetch-Site against pages of others that would use a visitor's browser, a token
where one is set. Bodies are counted as they come and refused beyond the limit, so that nothing larger is ever stored.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlsplit

from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fugato.serve.problems import FAULT, problem
from fugato.serve.settings import Settings

log = logging.getLogger(__name__)

COOKIE: Final = "fugato_token"
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # the engraver and the synthesiser of the page are WebAssembly
        "worker-src 'self' blob:",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' blob:",
        "connect-src 'self' data: blob:",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), payment=(), usb=(), microphone=(self), midi=(self)",
}
POLICY_VIOLATION: Final = 1008  # WebSocket close code


class Guard:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal is not None:
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return
            await self.app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    out[name] = value
                if "cache-control" not in out:
                    out["Cache-Control"] = "no-store" if scope["path"].startswith("/api") else "no-cache"
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, sealed)
            return
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            await self.app(scope, receive, sealed)
            return
        if self.under_way >= self.settings.requests:
            busy = problem(429, f"{self.under_way} requests are being answered or wait; come again in a moment.")
            await busy(scope, receive, sealed)
            return
        self.under_way += 1
        try:
            await self._counted(scope, receive, sealed)
        finally:
            self.under_way -= 1

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the body on as long as it is within the limit."""
        most = self.settings.request_bytes
        too_large = problem(413, f"A request may have {most / 1e6:,.0f} MB at most.")
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > most:
            await too_large(scope, receive, send)
            return
        received, over, started = 0, False, False

        async def counted() -> Message:
            nonlocal received, over
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                over = over or received > most
            return {"type": "http.disconnect"} if over else message

        async def unless_over(message: Message) -> None:
            nonlocal started
            if over and not started:
                return  # what the route makes of a body that broke off
            started = True
            await send(message)

        try:
            await self.app(scope, counted, unless_over)
        except Exception:
            if started:
                raise
            if not over:
                log.exception("%s %s", scope["method"], scope["path"])
                await problem(500, FAULT)(scope, receive, send)
        if over and not started:
            await too_large(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """What is answered in place of the route, or None."""
        host = headers.get("host", "")
        try:
            name = (urlsplit(f"//{host}").hostname or "") if not set(host) & set("@/?#\\ ") else ""
        except ValueError:
            name = ""
        if not self.settings.allows(name):
            return problem(421, "This server does not answer to that name; see --allow-host.", kind="bad-option")
        origin = headers.get("origin")
        if origin is not None and not _same(origin, host):
            return problem(403, "Pages of other sites may not ask this server.", kind="bad-option")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and headers.get("sec-fetch-mode") != "navigate":
            return problem(403, "Pages of other sites may not ask this server.", kind="bad-option")
        if foreign and scope["path"].startswith("/api"):
            return problem(403, "Links from other sites lead to the page only.", kind="bad-option")
        return self._token_asked(scope, headers) if self.settings.token is not None else None

    def _token_asked(self, scope: Scope, headers: Headers) -> Response | None:
        token = self.settings.token
        assert token is not None
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given and _alike(given, token):
                answer = RedirectResponse("/", 303)
                answer.set_cookie(
                    COOKIE, cookie_of(token), httponly=True, samesite="strict", secure=scope["scheme"] == "https"
                )
                return answer
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _alike(given.strip(), token):
            return None
        if _alike(_cookie(headers), cookie_of(token)):
            return None
        detail = "This server asks for its token: the header  Authorization: Bearer TOKEN,  or open /?token=TOKEN once."
        return problem(401, detail, kind="bad-option", headers={"WWW-Authenticate": 'Bearer realm="fugato"'})


def cookie_of(token: str) -> str:
    """What the browser keeps: it opens this server, and does not tell the token."""
    return hmac.new(token.encode(), b"fugato page", hashlib.sha256).hexdigest()


def _cookie(headers: Headers) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _alike(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _same(origin: str, host: str) -> bool:
    """Whether an Origin is that of the address that was asked; the scheme may be that of a proxy in front."""
    try:
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https", "ws", "wss") and parts.netloc.lower() == host.lower() and bool(host)
    except ValueError:
        return False
