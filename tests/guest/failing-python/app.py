"""Fails as the job's name says."""

import os
import sys

import wit_world
from componentize_py_types import Err
from wit_world.imports.types import Context, Failure_Final, Failure_Retry


def fail(mode: str) -> None:
    match mode:
        case "exception":
            raise ValueError("no such thing: 7")
        case "exit":
            sys.exit(3)
        case "trap":
            os.abort()
        case "retry":
            raise Err(Failure_Retry("again, please"))
        case "final":
            raise Err(Failure_Final("never again"))


class WitWorld(wit_world.WitWorld):
    def run(self, context: Context) -> str:
        fail(context.job)
        return "did not fail"
