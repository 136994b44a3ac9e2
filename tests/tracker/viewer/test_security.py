"""The viewer answers only the person who was shown its address."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.viewer import Client, viewing

from .runs import numbered_run


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with viewing(numbered_run(tmp_path_factory.mktemp("viewer"))) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/runs/0/", "/runs/0/api/run", "/static/index.html", "/runs/0/still/0.jpg"])
def test_without_the_token_everything_is_forbidden(client: Client, path: str) -> None:
    assert requests.get(client.root + path, timeout=9).status_code == 403
    assert requests.get(client.root + path, params={"token": "0" * 32}, timeout=9).status_code == 403
    assert requests.get(client.root + path, cookies={"posetrail": "x"}, timeout=9).status_code == 403


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(client: Client) -> None:
    answer = requests.get(client.address, allow_redirects=False, timeout=9)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("api/run").status_code == 200


def test_the_address_may_be_that_of_a_page_below(client: Client) -> None:
    address = client.address.replace("/?", "/runs/0/?frame=5&")
    answer = requests.get(address, allow_redirects=False, timeout=9)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/runs/0/?frame=5")


def test_the_token_never_leads_to_another_site(client: Client) -> None:
    token = client.address.partition("?")[2]
    head = raw(client, f"GET //evil.example/?{token} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert "location: /evil.example/" in head.lower()


def test_a_link_on_another_site_opens_the_page_without_a_redirect(client: Client) -> None:
    answer = requests.get(client.address, headers={"Sec-Fetch-Site": "cross-site"}, allow_redirects=False, timeout=9)
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/">' in answer.text
    assert "Set-Cookie" in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.5", "[::2]", ""])
def test_requests_to_another_host_are_refused(client: Client, host: str) -> None:
    assert client.get("api/run", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:22", "[::1]:80"])
def test_a_tunnel_may_have_another_port(client: Client, host: str) -> None:
    assert client.get("api/run", headers={"Host": host, "Cookie": cookie_of(client)}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "", "http://localhost"])
def test_pages_of_other_sites_cannot_change_anything(client: Client, origin: str) -> None:
    assert client.post("api/ops", {}, Origin=origin).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/..%5capp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/runs/0/../../app.py",
        "/runs/0/preview/..%2f..%2frun.json",
        "/runs/0/still/../run.json",
        "/runs/9/api/run",
    ],
)
def test_no_path_leads_out_of_the_page(client: Client, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie_of(client)}\r\nConnection: close\r\n\r\n"
    assert raw(client, request).split()[1] == "404"


def test_a_body_of_two_megabytes_is_refused(client: Client) -> None:
    assert client.post("api/ops", {"op": "x" * 2_000_000}).status_code == 413
    chunks = (b"x" * 100_000 for _ in range(20))
    answer = client.session.post(
        f"{client.root}/runs/0/api/ops", data=chunks, headers={"Origin": client.root}, timeout=9
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["api/run", "api/poses?first=0&count=1", "still/0.jpg", "api/none"])
def test_every_answer_limits_what_a_page_may_load_and_is_not_stored(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    answer = client.session.request(method, f"{client.root}/runs/0/api/run", headers={"Origin": client.root}, timeout=9)
    assert answer.status_code == 405


def cookie_of(client: Client) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.session.cookies)


def raw(client: Client, request: str) -> str:
    """The answer to a request that a proper client would not send."""
    address = urlsplit(client.root)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=9) as connection:
        connection.sendall(request.encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer.decode("latin-1")
