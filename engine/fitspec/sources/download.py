"""Downloads through pooch: whole files, retried while that can help, never half a file."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fitspec.errors import DownloadError

ATTEMPTS = 3
TIMEOUT = 60.0
"""Seconds without a byte before an attempt is given up."""

# HEPData answers a DOI with the archive itself, not its landing page, when asked for one of these;
# the DOI resolver passes unknown content types on.
ARCHIVE_TYPES = "application/x-tar, application/zip"


def download(url: str, path: Path) -> None:
    """Fetch a URL into a file.

    Args:
        url: https, or http on this machine.
        path: the file to write; it appears only when it is complete.

    Raises:
        DownloadError: after the last attempt, or at once where another attempt cannot help.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")  # it would report every attempt on stderr
    responses = ExitStack()  # pooch leaves those that failed open

    def examine(response: Any, **_: Any) -> None:
        responses.callback(response.close)
        _require_promising(response)

    headers = {"Accept": ARCHIVE_TYPES if urlsplit(url).hostname == "doi.org" else "*/*"}
    downloader = pooch.HTTPDownloader(headers=headers, timeout=TIMEOUT, hooks={"response": examine})
    fetcher = pooch.create(
        path=path.parent,
        base_url="",
        registry={path.name: None},
        urls={path.name: url},
        retry_if_failed=ATTEMPTS - 1,
    )
    try:
        with responses:
            fetcher.fetch(path.name, downloader=downloader)
    except (requests.RequestException, OSError) as error:
        raise DownloadError(
            f"{url} could not be fetched in {ATTEMPTS} attempts: {error}",
            "try again later, or give --mirror",
        ) from error


def _require_promising(response: Any) -> None:
    """Refuse an answer, or a redirect, that another attempt would not mend."""
    asked, target = response.url, response.headers.get("Location", "")
    if asked.startswith("https:") and target.lower().startswith("http:"):
        raise DownloadError(f"{asked} redirects to plain http", "use the source's https address")
    client_error = 400 <= response.status_code < 500
    if client_error and response.status_code not in {408, 425, 429}:
        raise DownloadError(f"{asked} answers {response.status_code} {response.reason}", "check it")
    if response.ok and response.headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(
            f"{asked} answers with a web page instead of an archive",
            "name the archive itself, or download it by hand and give --mirror",
        )
