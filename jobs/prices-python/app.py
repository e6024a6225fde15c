"""Asks an API for a figure and tells Slack when it crosses a threshold."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import wit_world
from componentize_py_types import Err
from wit_world.imports import config, http, log, slack, state
from wit_world.imports.types import Context, Failure_Final, Failure_Retry

import watch
from watch import Mistake, NoFigure, Thresholds

# The host's settings for a request that does not say how long it may take leave nothing for Slack.
TIMEOUT_MS = 10_000


def retry(reason: str) -> NoReturn:
    raise Err(Failure_Retry(reason))


def final(reason: str) -> NoReturn:
    raise Err(Failure_Final(reason))


@dataclass(frozen=True)
class Settings:
    """`[job.NAME.config]`."""

    url: str
    path: list[str | int]
    name: str
    channel: str
    thresholds: Thresholds

    @classmethod
    def load(cls) -> "Settings":
        values: dict[str, Any] = watch.parse_json(config.json())

        def take(key: str, kind: type, default: Any = ...) -> Any:
            value = values.pop(key, default)
            if value is ...:
                raise Mistake(f"the setting `{key}` is missing")
            if value is not default and not isinstance(value, kind):
                raise Mistake(f"the setting `{key}` is no {'number' if kind is Decimal else 'text'}")
            return value

        path = take("path", str)
        settings = cls(
            url=take("url", str),
            path=watch.parse_path(path),
            name=take("name", str, path),
            channel=take("channel", str),
            thresholds=Thresholds(
                above=take("above", Decimal, None),
                below=take("below", Decimal, None),
                margin=take("margin", Decimal, Decimal(0)),
            ),
        )
        if values:
            raise Mistake(f"unknown setting `{next(iter(values))}`")
        return settings


def ask(url: str) -> Any:
    """The JSON at the URL."""
    request = http.Request("GET", url, [("accept", "application/json")], b"", TIMEOUT_MS)
    try:
        response = http.fetch(request)
    except Err as error:
        match error.value:
            case http.Error_Denied(text) | http.Error_Invalid(text):
                final(text)
            case http.Error_Timeout():
                retry(f"{url} did not answer in time")
            case http.Error_TooLarge(text) | http.Error_Failed(text):
                retry(text)
    if response.status != 200:
        retry(f"{url} answered with status {response.status}")
    try:
        return watch.parse_json(response.body)
    except ValueError as error:
        retry(f"{url} answered with what is no JSON: {error}")


def tell(channel: str, text: str) -> None:
    """Posts the text. Whatever may pass is worth a retry: the side is not remembered until it has been told."""
    try:
        slack.post(slack.Message(channel, text, None, None))
    except Err as error:
        match error.value:
            case slack.Error_Denied(text) | slack.Error_Invalid(text):
                final(text)
            case slack.Error_Rejected(code):
                final(f"Slack refused the message to {channel}: {code}")
            case slack.Error_RateLimited(seconds):
                retry(f"Slack asks to wait {seconds} s")
            case slack.Error_Unavailable(text):
                retry(f"{channel} could not be told: {text}")


class WitWorld(wit_world.WitWorld):
    def run(self, context: Context) -> str:
        try:
            settings = Settings.load()
            figure = watch.find(ask(settings.url), settings.path)
        except Mistake as mistake:
            final(str(mistake))
        except NoFigure as trouble:
            retry(f"{settings.url}: {trouble}")

        before = state.get()
        if before not in watch.SIDES:
            before = None
        side = settings.thresholds.side(figure, before)
        log.log(log.Level.DEBUG, f"{figure} is {side}, was {before}")

        summary = f"{settings.name} is {figure:f}, {side}"
        if watch.crossed(before, side):
            tell(settings.channel, watch.notice(settings.name, figure, side, settings.thresholds, settings.url))
            summary += f"; told {settings.channel}"
        state.set(side)
        return summary
