"""Who may talk to the viewer: a token, the names of the host, the origin of a request that changes something.

Other users of a computer reach its 127.0.0.1, and so does every web page that its browser shows. Therefore:

- The address that `posetrail view` prints holds a token of 128 bits. The first request exchanges it for a cookie that
  scripts cannot read and other sites cannot send; without either, the answer is 403.
- A request must name this host: other names, as after DNS rebinding, are refused with 400.
- A request that changes something must come from a page of this server, by its Origin; others are refused with 403.
- A body of more than 1 MB is refused with 413.
- Every answer has a Content-Security-Policy under which the page loads scripts, styles and pictures from here only.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN: Final = "token"  # of the query
LARGEST_BODY: Final = 1_000_000  # bytes
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")
_CHANGES: Final = ("POST", "PUT", "PATCH", "DELETE")


def new_token() -> str:
    """A random token of 128 bits, in 32 hexadecimal digits."""
    return secrets.token_hex(16)


class Guard:
    """Middleware that lets through only requests of the person to whom the address with its token was shown.

    Args:
        app: what answers the other requests.
        token: of the address.
        hosts: names under which the server may be reached, besides those of this computer.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str] = ()) -> None:
        self._app, self._token = app, token
        self._hosts = frozenset(name.lower() for name in (*_LOCAL, *hosts))
        # Cookies are the same for all ports of a host: the name keeps those of two viewers apart.
        self._cookie = f"posetrail-{hashlib.sha256(token.encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope)
        if answer is None and scope["method"] in _CHANGES:
            body = await _body(receive)
            if body is None:
                answer = _text("the body is larger than 1 MB", 413)
            else:
                receive = _replay(body, receive)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that must not reach the app; None if it may."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _host_name(host) not in self._hosts:
            return _text("the Host header names another computer; use the address that `posetrail view` printed", 400)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        tokens = [value for name, value in query if name == TOKEN]
        if tokens and scope["method"] == "GET":
            if not self._is_token(tokens[0]):
                return _text("the token is not that of this viewer; use the address that it printed last", 403)
            return self._welcome(scope["path"], [pair for pair in query if pair[0] != TOKEN], headers)
        if not self._is_token(self._cookie_of(headers)):
            return _text("the token is missing; open the address that `posetrail view` printed", 403)
        if scope["method"] in _CHANGES:
            origin = headers.get("origin", "")
            if not host or urlsplit(origin).netloc.lower() != host.lower():
                return _text("the Origin header names another page", 403)
            if int(headers.get("content-length", "0") or 0) > LARGEST_BODY:
                return _text("the body is larger than 1 MB", 413)
        return None

    def _welcome(self, path: str, query: list[tuple[str, str]], headers: Headers) -> Response:
        """Set the cookie and go on to the address without the token."""
        path = "/" + path.lstrip("/\\")  # never to another host
        address = f"{path}?{urlencode(query)}" if query else path
        if headers.get("sec-fetch-site") == "cross-site":
            # Followed from a page of another site, such as a terminal in the browser. A redirect would belong to that
            # site too, and go without the cookie; a page of this server goes on by itself.
            target = address.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
            answer: Response = HTMLResponse(f'<!doctype html><meta http-equiv="refresh" content="0;url={target}">')
        else:
            answer = RedirectResponse(address, status_code=303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        return answer

    def _cookie_of(self, headers: Headers) -> str:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return ""
        return cookies[self._cookie].value if self._cookie in cookies else ""

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _host_name(host: str) -> str:
    """The name in a Host header, without its port: those of two ends of a tunnel differ."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _body(receive: Receive) -> bytes | None:
    """The whole body of a request; None if it is too large."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _text(text: str, status: int) -> Response:
    return PlainTextResponse(f"posetrail: {text}\n", status_code=status)
