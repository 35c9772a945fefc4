"""Downloads from a real HTTP server on this machine; nothing ever leaves 127.0.0.1."""

from __future__ import annotations

import gc
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from fitspec.errors import DigestError, DownloadError
from fitspec.sources import Access, resolve
from fitspec.sources.download import ATTEMPTS, _require_promising, download

CONTENT = bytes(range(256)) * 300
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = {"Content-Length": str(2 * len(CONTENT))}
"""Promises twice the bytes that are sent."""


@dataclass(frozen=True)
class Answer:
    """What the server sends to one request."""

    status: int = 200
    body: bytes = CONTENT
    headers: dict[str, str] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    """Answers with the next of the server's answers; the last one stays."""

    timeout = 10
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *args: Any) -> None:
        """Keep stderr clean."""


class Server(ThreadingHTTPServer):
    """A web server on a free port of this machine."""

    daemon_threads = False  # closing waits for every request

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [Answer()]
        self.requests: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str = "likelihoods.tar.gz") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "*")


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server; a client that leaves a socket open fails the test."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()
    gc.collect()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that pooch would have waited between attempts."""
    seconds: list[float] = []
    monkeypatch.setattr("pooch.core.time.sleep", seconds.append)
    return seconds


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of downloads; not there yet."""
    return tmp_path / "downloads"


@pytest.fixture
def fetch(server: Server, cache: Path) -> Callable[..., Path]:
    """Resolves the server's URL as a specification would."""

    def resolved(sha256: str | None = None, *, offline: bool = False) -> Path:
        access = Access(cache=cache, offline=offline)
        return resolve(server.url(), cache.parent, access, sha256)

    return resolved


def test_a_download_has_the_servers_bytes(fetch: Callable[..., Path], cache: Path) -> None:
    path = fetch(SHA256)
    assert path.read_bytes() == CONTENT
    assert path.name.endswith("-likelihoods.tar.gz")
    assert list(cache.iterdir()) == [path]


def test_a_download_is_used_again_without_a_request(
    server: Server, fetch: Callable[..., Path]
) -> None:
    first = fetch()
    assert fetch(SHA256) == fetch(offline=True) == first
    assert len(server.requests) == 1


def test_two_urls_with_one_file_name_are_two_downloads(server: Server, cache: Path) -> None:
    access = Access(cache=cache)
    server.answers = [Answer(body=b"one"), Answer(body=b"two")]
    paths = [resolve(server.url(f"{name}/a.tar"), cache, access) for name in ("one", "two")]
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]


def test_a_name_that_no_file_may_have_is_made_safe(server: Server, cache: Path) -> None:
    path = resolve(server.url("x/" + "é" * 50 + "%2F..%00?a=b"), cache, Access(cache=cache))
    assert path.parent == cache
    assert path.read_bytes() == CONTENT


def test_a_download_with_a_wrong_digest_is_removed_and_fetched_anew(
    server: Server, fetch: Callable[..., Path], cache: Path
) -> None:
    server.answers = [Answer(body=b"tampered"), Answer()]
    with pytest.raises(DigestError, match=f"expected {SHA256}"):
        fetch(SHA256)
    assert list(cache.iterdir()) == []
    assert fetch(SHA256).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_server_may_send_any_type_of_file(server: Server, tmp_path: Path) -> None:
    download(server.url(), tmp_path / "file")
    [(_, headers)] = server.requests
    assert headers["Accept"] == "*/*"


def test_a_doi_asks_for_an_archive_through_every_redirect(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback = socket.getaddrinfo("127.0.0.1", server.server_port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: loopback)
    server.answers = [Answer(302, b"", {"Location": server.url("landing")}), Answer()]
    download(f"http://doi.org:{server.server_port}/10.17182/hepdata.1", tmp_path / "file")
    assert [path for path, _ in server.requests] == ["/10.17182/hepdata.1", "/landing"]
    assert {headers["Accept"] for _, headers in server.requests} == {
        "application/x-tar, application/zip"
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(
    status: int, server: Server, fetch: Callable[..., Path], waits: list[float]
) -> None:
    server.answers = [Answer(status, b"moved", {"Location": "/elsewhere"}), Answer()]
    assert fetch().read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/likelihoods.tar.gz", "/elsewhere"]
    assert waits == []


def test_a_server_that_fails_once_is_asked_again(
    server: Server, fetch: Callable[..., Path]
) -> None:
    server.answers = [Answer(500, b"oops"), Answer()]
    assert fetch().read_bytes() == CONTENT  # after a real second of waiting
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(500, b"oops"), id="500"),
        pytest.param(Answer(503, b"busy", {"Content-Type": "text/html"}), id="503 as HTML"),
        pytest.param(Answer(408, b""), id="408"),
        pytest.param(Answer(429, b""), id="429"),
        pytest.param(Answer(headers=HALF), id="half a body"),
        pytest.param(Answer(headers={"Content-Encoding": "gzip"}), id="wrong encoding"),
    ],
)
def test_what_may_mend_itself_is_tried_three_times(
    answer: Answer, server: Server, fetch: Callable[..., Path], cache: Path, waits: list[float]
) -> None:
    server.answers = [answer]
    with pytest.raises(DownloadError) as caught:
        fetch()
    assert f"{server.url()} could not be fetched in {ATTEMPTS} attempts: " in str(caught.value)
    assert "--mirror" in caught.value.remedy
    assert len(str(caught.value).splitlines()) == 1
    assert len(server.requests) == ATTEMPTS
    assert waits == [1, 2]
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Answer(headers=HALF), id="half a body"),
        pytest.param(Answer(body=b"", headers=HALF), id="no body"),
        pytest.param(Answer(429, b""), id="too many requests"),
    ],
)
def test_a_download_that_was_cut_off_is_fetched_again_from_the_start(
    first: Answer,
    server: Server,
    fetch: Callable[..., Path],
    cache: Path,
    waits: list[float],
) -> None:
    server.answers = [first, Answer()]
    path = fetch()
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    assert waits == [1]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(Answer(404, b"gone"), "answers 404 Not Found", id="404"),
        pytest.param(Answer(403, b"no"), "answers 403 Forbidden", id="403"),
        pytest.param(Answer(410, b"no"), "answers 410 Gone", id="410"),
        pytest.param(
            Answer(body=b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}),
            "answers with a web page instead of an archive",
            id="landing page",
        ),
    ],
)
def test_what_cannot_mend_itself_is_refused_at_once(
    answer: Answer, problem: str, server: Server, fetch: Callable[..., Path], cache: Path
) -> None:
    server.answers = [answer]
    with pytest.raises(DownloadError) as caught:
        fetch()
    assert f"{server.url()} {problem}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(server.requests) == 1
    assert list(cache.iterdir()) == []


def test_a_server_that_is_gone_is_named(cache: Path, waits: list[float]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # taken, but nobody listens
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.tar"
        with pytest.raises(DownloadError, match=f"{url} could not be fetched in 3 attempts"):
            download(url, cache / "a.tar")
    assert waits == [1, 2]
    assert list(cache.iterdir()) == []


def test_a_cache_that_is_no_folder_is_a_download_error(
    fetch: Callable[..., Path], cache: Path
) -> None:
    cache.write_text("a file")
    with pytest.raises(DownloadError) as caught:
        fetch()
    assert str(cache) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("target", ["http://archive.example/a.tar", "HTTP://archive.example/a.tar"])
def test_a_redirect_never_leaves_https(target: str) -> None:
    response = requests.Response()
    response.url = "https://archive.example/a.tar"
    response.status_code = 302
    response.headers["Location"] = target
    with pytest.raises(DownloadError, match="redirects to plain http"):
        _require_promising(response)
