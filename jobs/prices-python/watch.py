"""Which side of its thresholds a figure is on, and when that is worth telling. Knows no host, so that it is tested anywhere."""

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

# A name or an index after a dot or in brackets: what RFC 9535, section 2.3.5.1, allows in a query that finds one value.
_SEGMENT = re.compile(r"""\.(?P<name>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*)|\[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<index>-?\d+))\]""")

SIDES = ("below", "between", "above")


class Mistake(Exception):
    """A setting is wrong: no other attempt helps."""


class NoFigure(Exception):
    """The answer holds no figure where one was expected."""


def parse_json(text: str | bytes) -> Any:
    """JSON with exact decimals: 0.1 is 0.1."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def parse_path(path: str) -> list[str | int]:
    """The names and indexes of a JSONPath that finds one value: `$.rates['EUR/USD'][0]`."""
    if not path.startswith("$"):
        raise Mistake(f"the setting `path` is `{path}`, and a JSONPath begins with `$`")
    segments: list[str | int] = []
    at = 1
    while at < len(path):
        match = _SEGMENT.match(path, at)
        if match is None:
            raise Mistake(f"the setting `path` cannot be read from `{path[at:]}` on: names and indexes only, as in `$.data[0].price`")
        name = next((match[group] for group in ("name", "single", "double") if match[group] is not None), None)
        segments.append(int(match["index"]) if name is None else name)
        at = match.end()
    return segments


def find(document: Any, segments: list[str | int]) -> Decimal:
    """The figure at the path; a string that holds a number is one."""
    seen = "$"
    for segment in segments:
        try:
            if isinstance(segment, int) != isinstance(document, list):
                raise KeyError(segment)
            document = document[segment]
        except (KeyError, IndexError, TypeError):
            raise NoFigure(f"`{seen}` has no {segment!r}") from None
        seen += f"[{segment!r}]"
    try:
        figure = Decimal(document) if isinstance(document, (str, Decimal)) else None
    except InvalidOperation:
        figure = None
    if figure is None or not figure.is_finite():
        raise NoFigure(f"`{seen}` is no number: {str(document)[:60]}")
    return figure


@dataclass(frozen=True)
class Thresholds:
    """Where a figure is too high, where it is too low, and how far it must come back before it is neither."""

    above: Decimal | None = None
    below: Decimal | None = None
    margin: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.above is None and self.below is None:
            raise Mistake("set `above`, `below` or both: without a threshold there is nothing to tell")
        if self.above is not None and self.below is not None and self.above <= self.below:
            raise Mistake(f"`above` ({self.above}) must be more than `below` ({self.below})")
        if self.margin < 0:
            raise Mistake(f"`margin` is {self.margin}, and cannot be less than 0")

    def side(self, figure: Decimal, before: str | None) -> str:
        """The side that the figure is on. A figure that was over a threshold stays over it until it is back by the margin."""
        if self.above is not None and figure > self.above - (self.margin if before == "above" else 0):
            return "above"
        if self.below is not None and figure < self.below + (self.margin if before == "below" else 0):
            return "below"
        return "between"


def crossed(before: str | None, now: str) -> bool:
    """Whether the side is news. The first look at a figure that is fine is not."""
    return now != (before or "between")


def notice(name: str, figure: Decimal, side: str, thresholds: Thresholds, url: str) -> str:
    """What Slack is told."""
    match side:
        case "above":
            what = f":chart_with_upwards_trend: *{escape(name)}* is {figure:f}, above {thresholds.above:f}"
        case "below":
            what = f":chart_with_downwards_trend: *{escape(name)}* is {figure:f}, below {thresholds.below:f}"
        case _:
            what = f":white_check_mark: *{escape(name)}* is {figure:f}, back within its thresholds"
    return f"{what}\n{escape(url)}"


def escape(text: str) -> str:
    """Text that Slack takes for no markup (`<!channel>`)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
