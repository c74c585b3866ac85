"""Old names of arguments that still work for one minor version, with a warning."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed(**names: str) -> Callable[[Function], Function]:
    """Lets a function take its keyword arguments by their old names, too: `renamed(old="new")`."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                warnings.warn(
                    f"{function.__name__}({old}=...) is called {names[old]}= now", DeprecationWarning, stacklevel=2
                )
                kwargs[names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return called  # type: ignore[return-value]

    return decorate
