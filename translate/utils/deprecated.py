"""Old names of arguments and modules, which still work for one minor version, with a warning."""

import functools
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def takes_old_names(**names: str) -> Callable[[Function], Function]:
    """Lets a function take its keyword arguments by their old names, too: `takes_old_names(old="new")`."""

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


class OldModules(MetaPathFinder, Loader):
    """Finds modules by their old names (`moved`: old to new, in full), for `sys.meta_path`."""

    def __init__(self, moved: Mapping[str, str]) -> None:
        self.moved = moved

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self.moved else None

    def exec_module(self, module: ModuleType) -> None:
        new = import_module(self.moved[module.__name__])
        warnings.warn(f"{module.__name__} is called {new.__name__} now", DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = new  # the same module, so that `import *` and patches work, too
