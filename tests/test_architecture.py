"""Imports point downwards only: what each part may know of the others, read from the code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import translate

PACKAGE = Path(__file__).resolve().parents[1] / "translate"
GROUND = {
    "errors",
    "folder_name",
    "home",
    "json_text",
    "printing",
    "ram",
    "settings",
    "shipped",
    "stored",
    "version",
    "whole_file",
}
TORCH_ONLY: set[str] = set()
DATA = {*GROUND, "data", "yaml_reader"}
MODEL = {"adversarial", "model", "networks", "pool", "diffaugment", "settings", "errors"}

# Part of the package -> parts that it may import, beside itself.
MAY_IMPORT = {
    "adversarial": TORCH_ONLY,
    "theory": {"adversarial"},
    "networks": TORCH_ONLY,
    "pool": TORCH_ONLY,
    "optim": TORCH_ONLY,
    "diffaugment": TORCH_ONLY,
    "errors": set(),
    "cadence": set(),
    "home": {"errors"},
    "printing": set(),
    "flops": TORCH_ONLY,
    "whole_file": set(),
    "json_text": set(),
    "stored": {"errors"},
    "facts": {"errors", "stored"},
    "signals": {"errors", "printing"},
    "ram": set(),
    "tensor_file": TORCH_ONLY,
    "determinism": TORCH_ONLY,
    "doctor": {"data", "json_text", "model", "models", "stored", "whole_file"},
    "memory": {"data", "errors", "resume", "shortage", "trainer"},
    "settings": set(),
    "folder_name": {"errors"},
    "version": set(),
    "shipped": {"errors"},
    "yaml_reader": {"errors"},
    "data": DATA,
    "outputs": {"data", "errors"},
    "shortage": TORCH_ONLY,
    "together": TORCH_ONLY,
    "metrics": set(),
    "progress": {"printing", "progress_line"},
    "progress_line": set(),
    "pace": {"printing", "progress"},
    "ranks": {"errors"},
    "tracking": {"errors", "data", "home", "printing", "stored", "whole_file"},
    "report": {"errors", "stored", "tracking", "whole_file"},
    "checkpoint": {"errors", "facts", "json_text", "stored", "tensor_file", "whole_file"},
    "engine": {"errors", "data", "networks"},
    "feeding": {"data", "engine"},
    "model": {"data", "errors", "settings"},
    "models": {*MODEL, "data"},
    "guard": TORCH_ONLY,
    "tally": TORCH_ONLY,
    "trainer": {"model", "engine", "optim", "ranks", "data", "guard", "tally", "captured"},
    "captured": {"data", "model"},
    "restorable": {"errors", "model", "optim", "pool", "trainer"},
    "resume": {"checkpoint", "errors", "networks", "restorable", "trainer"},
    "validation": {"model", "engine", "metrics", "data"},
    "converting": {
        "model",
        "engine",
        "data",
        "errors",
        "folder_name",
        "json_text",
        "networks",
        "outputs",
        "printing",
        "progress",
        "ram",
        "report",
        "shortage",
        "stored",
        "tracking",
        "whole_file",
    },
    "exporting": {
        "checkpoint",
        "converting",
        "data",
        "errors",
        "facts",
        "json_text",
        "model",
        "models",
        "networks",
        "outputs",
        "stored",
        "whole_file",
    },
    "evaluation": {
        "outputs",
        *GROUND,
        "facts",
        "networks",
        "data",
        "engine",
        "metrics",
        "model",
        "models",
        "optim",
        "progress",
        "tensor_file",
        "trainer",
    },
    "recipe": {"model", "models", "data", "engine", "optim", *GROUND, "yaml_reader"},
    "training": {
        "cadence",
        "trainer",
        "resume",
        "checkpoint",
        "tracking",
        "printing",
        "progress",
        "validation",
        "model",
        "data",
        "errors",
        "doctor",
        "feeding",
        "memory",
        "networks",
        "pace",
        "signals",
    },
    "assembly": {"engine", "errors", "model", "networks", "optim", "ranks", "recipe", "trainer"},
    "sample_validation": {"data", "engine", "model", "models"},
    "sampling": {"data", "errors", "model", "models", "outputs", "whole_file"},
    "image_sets": {
        "data",
        "engine",
        "errors",
        "model",
        "models",
        "printing",
        "progress",
        "recipe",
        "sample_validation",
        "validation",
    },
    "estimate": {"data", "flops", "progress", "resume", "trainer"},
    "mistaken": {"checkpoint", "data", "errors"},
    "comparing": {
        "checkpoint",
        "errors",
        "evaluation",
        "facts",
        "mistaken",
        "outputs",
        "report",
        "run_folder",
        "stored",
        "tracking",
        "yaml_reader",
    },
    "run_folder": {"checkpoint", "errors", "json_text", "outputs", "recipe", "stored", "validation", "whole_file"},
}
ROOTS = {"run", "starting", "loading", "beginning", "evaluate", "export", "quickstart", "cli", "__init__", "__main__"}


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
    assert parts == MAY_IMPORT.keys() | ROOTS, "a new part needs a line here that says what it may know"
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} imports {imported}"
        for path in PACKAGE.rglob("*.py")
        for imported, line in _imports(path)
        if _part(path) in MAY_IMPORT and imported not in {_part(path), *MAY_IMPORT[_part(path)]}
    ]
    assert not wrong


def test_no_circles():
    edges = {
        part: {p for path in PACKAGE.rglob("*.py") if _part(path) == part for p, _ in _imports(path)}
        for part in MAY_IMPORT
    }
    while edges:
        ground = {part for part, below in edges.items() if not (below - {part}) & edges.keys()}
        assert ground, f"a circle among {sorted(edges)}"
        edges = {part: below for part, below in edges.items() if part not in ground}


def test_only_the_trainer_goes_backward_and_steps():
    for path in PACKAGE.rglob("*.py"):
        calls = [
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        if path.name != "trainer.py":
            assert "backward" not in calls, path


@pytest.mark.parametrize("heavy", ["wandb", "kornia", "albumentations", "cv2", "torchvision", "rich"])
def test_importing_translate_does_not_import(heavy):
    code = f"import sys, translate; translate.train, translate.load; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=False).returncode == 0


def test_the_command_line_says_what_there_is_without_torch():
    code = "import sys, translate.cli; dir(translate); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=False).returncode == 0


def test_every_public_name_is_there_and_no_other():
    assert {name for name in translate.__all__ if getattr(translate, name) is not None} <= set(dir(translate))
    with pytest.raises(AttributeError, match="trian"):
        _ = translate.trian
