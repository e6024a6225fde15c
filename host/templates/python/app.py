"""What the host calls, and what the job asks of the host. The work itself is in `check.py`, where tests reach it."""

from typing import NoReturn

import wit_world
from componentize_py_types import Err
from wit_world.imports import config, http, log
from wit_world.imports.types import Context, Failure_Final, Failure_Retry

import check


class WitWorld(wit_world.WitWorld):
    def run(self, context: Context) -> str:
        """Does the job once. Returns a one-line summary for people, or raises a failure."""
        url = config.get("url")
        if url is None:
            raise Err(Failure_Final("the setting `url` is missing"))
        log.log(log.Level.INFO, f"round {context.round}, attempt {context.attempt}: asking {url}")
        try:
            return check.check(url, fetch)
        except check.Down as reason:
            raise Err(Failure_Retry(str(reason)))


def fetch(url: str) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    try:
        response = http.fetch(http.Request("GET", url, [], b"", None))
    except Err as error:
        refuse(error.value)
    return response.status, response.body


def refuse(error: http.Error) -> NoReturn:
    """A missing grant or a malformed request is final; all else is worth another attempt."""
    match error:
        case http.Error_Denied(reason) | http.Error_Invalid(reason):
            raise Err(Failure_Final(reason))
        case http.Error_Timeout():
            raise Err(Failure_Retry("no complete answer in time"))
        case http.Error_TooLarge(reason) | http.Error_Failed(reason):
            raise Err(Failure_Retry(reason))
