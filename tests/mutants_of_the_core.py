"""python tests/mutants_of_the_core.py [COUNT] [WORD]: puts small faults into the core; do its tests see them?

Each mutant is one change: a comparison or an operator turned round, a number doubled, a call left out. `COUNT` of them
(60) are taken from the modules below whose names hold `WORD`, always the same ones; their tests run on each until one
fails. Prints what survived: a fault that no test sees, or a change that is none.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib.abc
import importlib.util
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = {
    "translate.losses.adversarial": ["unit/test_adversarial.py", "contract/test_adversary.py"],
    "translate.losses.image_pool": ["contract/test_equations.py", "unit/test_trainer.py", "unit/test_non_finite.py"],
    "translate.training.optim": ["unit/test_optim.py", "unit/test_trainer.py"],
    "translate.training.trainer": [
        "unit/test_trainer.py",
        "contract/test_generating_anew.py",
        "unit/test_non_finite.py",
    ],
    "translate.models.cyclegan": ["contract/test_equations.py", "unit/test_trainer.py", "contract/test_contract.py"],
    "translate.inference.converter": ["unit/test_converter.py"],
    "translate.inference.tiling.rowmap": ["unit/test_tiling.py"],
    "translate.inference.tiling.neighbours": ["unit/test_tiling.py"],
    "translate.inference.tiling.all_pixels": ["unit/test_tiling.py"],
    "translate.inference.tiling.banded": ["unit/test_tiling.py"],
    "translate.inference.tiling.store": ["unit/test_tiling.py"],
}
SECONDS = 300
"""Processor time after which a mutant that goes on for ever counts as killed."""
TURNED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}


LEFT_OUT = ("detach", "float", "mean", "flatten", "contiguous")
"""Methods without arguments that a mutant does not call."""


@dataclass(frozen=True)
class Mutant:
    """One change of a module: where it is, the line as it was and as it is, and the whole module's text."""

    module: str
    function: str
    before: str
    after: str
    source: str

    @property
    def order(self) -> str:
        """Where the mutant comes in the draw: at random, and always the same."""
        return hashlib.sha256(f"{self.function}|{self.before}|{self.after}".encode()).hexdigest()

    def __str__(self) -> str:
        same = next(
            number for number, pair in enumerate(zip(self.before, self.after, strict=False)) if len({*pair}) > 1
        )
        start = max(0, same - 40)
        was, now = self.before[start : start + 90], self.after[start : start + 90]
        return f"{self.module.removeprefix('translate.')} {self.function}: {was}  ->  {now}"


def mutants(module: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a module's text."""
    tree = ast.parse(text)
    for function, place in _functions(tree):
        for number in range(len(list(_changes(place)))):
            changed = copy.deepcopy(tree)
            mutated = next(node for name, node in _functions(changed) if _same(node, place))
            list(_changes(mutated))[number]()
            was, now = ast.unparse(place).splitlines(), ast.unparse(mutated).splitlines()
            line = next(number for number, pair in enumerate(zip(was, now, strict=False)) if pair[0] != pair[1])
            yield Mutant(module, function, was[line].strip(), now[line].strip(), ast.unparse(changed))


def _same(node: ast.AST, other: ast.AST) -> bool:
    return (node.lineno, node.col_offset) == (other.lineno, other.col_offset)


def _functions(tree: ast.AST, around: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Functions and top-level assignments, by name; not those within functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{around}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{around}{node.name}", node
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield f"{around}{ast.unparse(node).split('=')[0].split(':')[0].strip()}", node


def _changes(place: ast.AST) -> Iterator:
    """For each change that can be made within `place`, a function that makes it."""
    for node in _walk(place):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
            yield lambda node=node: node.ops.__setitem__(0, TURNED[type(node.ops[0])]())
        elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in TURNED:
            yield lambda node=node: setattr(node, "op", TURNED[type(node.op)]())
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield lambda node=node: setattr(node, "operand", ast.UnaryOp(node.op, node.operand))
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield lambda node=node: setattr(node, "value", not node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            yield lambda node=node: setattr(node, "value", node.value * 2 or 1)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield lambda node=node: setattr(node, "value", ast.Constant(None))
        elif (
            isinstance(node, ast.Call) and getattr(node.func, "attr", "") in LEFT_OUT and not node.args + node.keywords
        ):
            yield lambda node=node: node.__dict__.update(func=_identity(), args=[node.func.value])


def _identity() -> ast.expr:
    return ast.parse("(lambda same: same)", mode="eval").body


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All below `node` but what is said in errors, annotations and defaults."""
    yield node
    types = [getattr(node, name, None) for name in ("annotation", "returns")]
    for child in ast.iter_child_nodes(node):
        if child not in types and not isinstance(child, ast.Raise | ast.JoinedStr | ast.arguments | ast.Assert):
            yield from _walk(child)


def killed(mutant: Mutant, tests: Sequence[str], root: Path = ROOT) -> bool:
    """Whether a test fails on the mutant; the tests run in a fork of this process."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    import pytest

    with open(os.devnull, "w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)
    os.chdir(root)
    sys.path.insert(0, str(root))
    sys.meta_path.insert(0, _Finder(mutant))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    files = [str(root / "tests" / test) for test in tests]
    os._exit(pytest.main([*files, "-n", "0", "-x", "-q", "-p", "no:cacheprovider"]))


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in its module's place."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.mutant.module else None

    def exec_module(self, module: object) -> None:
        exec(compile(self.mutant.source, self.mutant.module, "exec"), module.__dict__)


def text_of(module: str, root: Path = ROOT) -> str:
    return Path(root, *module.split(".")).with_suffix(".py").read_text(encoding="utf-8")


def drawn(candidates: Sequence[Mutant], count: int) -> list[Mutant]:
    """`count` of the candidates: every module in turn, as long as it has any."""
    ranks: dict[str, int] = {}
    placed = []
    for mutant in sorted(candidates, key=lambda mutant: mutant.order):
        ranks[mutant.module] = ranks.get(mutant.module, -1) + 1
        placed.append((ranks[mutant.module], mutant.module, mutant))
    return [mutant for _, _, mutant in sorted(placed, key=lambda place: place[:2])[:count]]


def main(count: int = 60, word: str = "") -> None:
    import numpy  # noqa: F401 - once, before the forks

    modules = [module for module in TESTS if word in module]
    chosen = drawn([mutant for module in modules for mutant in mutants(module, text_of(module))], count)
    survivors = []
    for mutant in chosen:
        if not killed(mutant, TESTS[mutant.module]):
            survivors.append(mutant)
            print(f"survived: {mutant}", flush=True)
    print(f"{len(chosen)} mutants, {len(chosen) - len(survivors)} killed")


if __name__ == "__main__":
    main(*(int(word) if word.isdigit() else word for word in sys.argv[1:3]))
