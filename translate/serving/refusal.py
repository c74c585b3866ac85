"""Why a request is not fulfilled: an HTTP status and one sentence, whatever went wrong."""

from __future__ import annotations

import re
from pathlib import Path

from translate.errors import ConfigurationError, ImageError
from translate.inference.reasons import NotFiniteError
from translate.utils.out_of_memory import out_of_memory
from translate.utils.printing import say, shown

_FIELDS = re.compile(r"--(to|size|depth|format|checkpoint)\b")
_OTHERS = re.compile(r"(?:; |, or )(?:[^;]*--|(?:or )?train with )[^;]*$")
"""Advice that only the command line can take, or who trains."""
FAULT = "a fault of the server, whose output says more; other pictures are not affected"


class Refusal(Exception):
    """An answer other than 200. `again`: seconds after which it may be different."""

    def __init__(self, status: int, sentence: str, again: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.again = status, sentence, again


class Gone(Exception):
    """The client has closed the connection: nobody waits for an answer."""


def refusal_for(error: Exception, folder: Path) -> Refusal:
    """What to answer where work with the files in `folder`, which are ours and not named, ended with that error."""
    if isinstance(error, Refusal):
        return error
    if out_of_memory(error):
        return Refusal(413, "the picture is too large for the memory that is free here")
    if isinstance(error, ImageError):
        sentence = for_users(re.sub(rf"^{re.escape(shown(folder))}\S+: ", "", str(error)))
        return Refusal(413 if "more than the limit" in sentence else 422, sentence)
    if isinstance(error, ConfigurationError | NotFiniteError):
        return Refusal(422, for_users(str(error)))
    say(f"error: {type(error).__name__}: {error}")
    if isinstance(error, OSError):
        return Refusal(503, "the server cannot store the picture at the moment", again=10)
    return Refusal(500, FAULT)


def for_users(message: str) -> str:
    """A message of the command line in the words of the API: its options are fields here, or cannot be given."""
    return _OTHERS.sub("", _FIELDS.sub(r"\1", message))
