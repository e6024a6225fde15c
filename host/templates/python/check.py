"""What the job does, without a host: whoever calls it brings what it needs."""

from typing import Callable


class Down(Exception):
    """The service did not answer as it should."""


def check(url: str, fetch: Callable[[str], tuple[int, bytes]]) -> str:
    """Asks a URL and says how it was answered."""
    status, body = fetch(url)
    if not 200 <= status < 300:
        raise Down(f"{url} answered {status}")
    return f"{url} answered {status} with {len(body)} bytes"
