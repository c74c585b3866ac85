"""Imports point downwards only: what each part may know of the others, read from the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import translate

PACKAGE = Path(__file__).resolve().parents[2] / "translate"
# Part of the package -> parts that it may import, beside itself; from the ground up.
GROUND = {"errors", "utils"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "utils": {"errors"},
    "networks": {*GROUND},
    "losses": {"networks", "utils"},
    "data": {*GROUND, "version"},
    "models": {*GROUND, "data", "losses", "networks"},
    "reporting": {*GROUND, "data"},
    "training": {*GROUND, "data", "losses", "models", "networks", "reporting"},
    "recipe": {*GROUND, "data", "evaluation", "losses", "models", "reporting", "training"},
    "inference": {*GROUND, "data", "models", "networks", "reporting", "training", "version"},
    "evaluation": {*GROUND, "data", "models", "networks", "training"},
    "runs": {
        *GROUND,
        "data",
        "evaluation",
        "inference",
        "models",
        "networks",
        "recipe",
        "reporting",
        "training",
        "version",
    },
    "serving": {*GROUND, "data", "inference", "models", "reporting", "runs", "training", "version"},
    "cli": {*GROUND, "data", "evaluation", "inference", "recipe", "runs", "serving", "training", "version"},
    "__init__": {"errors", "recipe", "runs", "utils", "version"},
    "__main__": {"cli"},
}


def _part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from ((name.split(".")[1], node.lineno) for name in names if name.startswith("translate."))


def test_imports_point_downwards():
    parts = {_part(path) for path in PACKAGE.rglob("*.py")}
    assert parts == MAY_IMPORT.keys(), "a new part needs a line here that says what it may know"
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {imported}"
        for path in PACKAGE.rglob("*.py")
        for imported, line in _imports(path)
        if imported not in {_part(path), *MAY_IMPORT[_part(path)]}
    ]
    assert not wrong


def test_few_parts():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert len(packages) <= 13 and len(modules) <= 4


def _files() -> dict[str, set[str]]:
    """Files, by module name, and those that they import from this package."""
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    names = {name.removesuffix(".__init__"): name for name in modules}

    def imported(path: Path) -> set[str]:
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                found |= {names.get(f"{node.module}.{alias.name}") or names.get(node.module) for alias in node.names}
        return found - {None}

    return {name: imported(path) - {name} for name, path in modules.items()}


def _ends(below: dict[str, set[str]]) -> None:
    """Takes away what imports nothing that is left, until nothing is left."""
    while below:
        ground = {name for name, others in below.items() if not others & below.keys()}
        assert ground, f"a cycle among {sorted(below)}"
        below = {name: others for name, others in below.items() if name not in ground}


def test_no_cycle_among_parts_nor_among_files():
    _ends({part: below - {part} for part, below in MAY_IMPORT.items()})
    _ends(_files())


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_short_and_says_what_it_is_for(path):
    text = path.read_text()
    assert text.startswith('"""')
    assert len(text.splitlines()) <= 300


def test_only_the_trainer_goes_backward_and_steps():
    for path in PACKAGE.rglob("*.py"):
        calls = [
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        if path.name != "trainer.py":
            assert "backward" not in calls, path


def _told_apart(tree: ast.AST, names: set[str]) -> list[int]:
    """The lines that ask which of these classes something is."""
    asking = (ast.Compare, ast.MatchClass)
    asked = [
        node
        for node in ast.walk(tree)
        if isinstance(node, asking)
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"))
    ]
    return [
        node.lineno for node in asked if names & {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    ]


def test_no_module_outside_data_asks_which_batch_it_is():
    """What a batch is it says itself, so that a new kind is one declaration in data/batch.py."""
    kinds = {node.name for node in ast.parse((PACKAGE / "data/batch.py").read_text()).body if hasattr(node, "bases")}
    assert {"Paired", "Labelled"} <= kinds and _told_apart(ast.parse("b is Paired\nisinstance(b, Plain)"), kinds) == [
        1,
        2,
    ]
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if _part(path) != "data" and (lines := _told_apart(ast.parse(path.read_text()), kinds))
    }
    assert not found


def test_one_file_recognises_that_memory_ran_out():
    words = ("OutOfMemoryError", "DefaultCPUAllocator", "bad_alloc")
    found = {path.name for path in PACKAGE.rglob("*.py") if any(word in path.read_text() for word in words)}
    # The second names Ray's own class, of tasks whose process was ended for it.
    assert found == {"out_of_memory.py", "cluster.py"}


def test_importing_translate_imports_nothing_heavy():
    code = "import sys, translate; translate.train, translate.load; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True)
    imported = set(run.stdout.split())
    assert "torch" in imported
    assert not imported & {"wandb", "kornia", "albumentations", "cv2", "torchvision", "rich"}


def test_the_command_line_says_what_there_is_without_torch():
    code = "import sys, translate.cli; dir(translate); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=False).returncode == 0


def test_every_public_name_is_there_and_no_other():
    assert {name for name in translate.__all__ if getattr(translate, name) is not None} <= set(dir(translate))
    with pytest.raises(AttributeError, match="trian"):
        _ = translate.trian


def test_methods_are_not_told_apart_outside_of_models():
    """What is wanted of one is a method of the model."""
    from translate.models import MODELS

    methods = {kind.__name__ for kind in MODELS.values()}
    outside = [path for path in PACKAGE.rglob("*.py") if _part(path) != "models"]
    asked = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in outside
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass")
        if {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)} & methods
    ]
    assert outside and not asked
