"""README and the pages of docs/ are true: links, commands, settings, names and figures are held to the code."""

import ast
import importlib
import inspect
import re
import shlex
import tomllib

import click
import pytest
from documents import PAGES, ROOT, Found, code_blocks, code_spans, command_lines, links, text_of

import translate
from translate.cli import main
from translate.data.domain_settings import DomainSettings
from translate.recipe import load_recipe, recipe_names
from translate.runs.sweep_file import overrides, read_sweep
from translate.utils.yaml_reader import read_yaml

DOCS = ROOT / "docs"
README = text_of(ROOT / "README.md")
DECIMAL = re.compile(r"(?<![\w.-])\d*\.\d+(?!\w|\.\d|-)")


def _slugs(page):
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_between_documents_leads_somewhere():
    broken, followed = [], 0
    for page in PAGES:
        for link in links(page):
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if "://" not in link:
                followed += 1
                if not target.exists() or ROOT not in target.parents or (heading and heading not in _slugs(target)):
                    broken.append(f"{page.name}: {link}")
    assert not broken
    assert followed > 80


def test_every_page_is_in_the_contents():
    listed = [link for link in links(DOCS / "index.md") if "/" not in link and not link.startswith("#")]
    assert sorted(listed) == sorted({page.name for page in DOCS.glob("*.md")} - {"index.md"})


def test_readme_is_one_page_and_leads_to_all_others():
    assert len(README.split()) <= 900
    assert "docs/index.md" in links(ROOT / "README.md")


def test_texts_at_the_top_have_a_page_that_the_site_fills():
    conf = text_of(DOCS / "conf.py")
    names = re.findall(r'"(\w+)"', re.search(r"AT_THE_TOP = \((.+)\)", conf)[1])
    assert len(names) >= 5
    for name in names:
        assert links(DOCS / f"{name}.md") == [f"../{name.upper()}.md"]


@pytest.mark.parametrize("line", command_lines(), ids=str)
def test_every_command_is_one_that_can_be_typed(line):
    words, command = shlex.split(line.text), main
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    assert command is not main or words == ["--version"], line
    if command is not main:
        assert "--help" in words or command.make_context(line.text, words), line


def test_commands_are_found_in_all_kinds_of_blocks():
    found = {line.page for line in command_lines()}
    assert {"README.md", "converting.md", "several-gpus.md", "recipes.md", "installing.md"} <= found
    assert len(command_lines()) > 40


def test_every_recipe_that_is_trained_exists():
    trained = {line.text.split()[1] for line in command_lines() if line.text.startswith("train ")}
    assert len(trained) > 5
    assert {name for name in trained if "/" not in name and not name.endswith(".yaml")} <= set(recipe_names())


def test_the_table_of_recipes_names_recipes():
    rows = re.findall(r"^\| (`.+?) \|", text_of(DOCS / "recipes.md"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert len(named) > 20 and named <= set(recipe_names())
    methods = {load_recipe(name).model.name for name in recipe_names()}
    assert {load_recipe(name).model.name for name in named} == methods, "every method is in the table"


@pytest.mark.parametrize("block", list(code_blocks("yaml")), ids=lambda block: block.page)
def test_every_recipe_in_the_documents_is_one(block, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(block.text)
    written = read_yaml(block.text, block.page)[0]
    if "parameters" in written:  # a sweep, of which every point is a recipe
        sweep = read_sweep(path)
        recipe = sweep.words(path)[0]
        assert all(load_recipe(recipe, overrides(point)) for point in sweep.points())
        return
    read = load_recipe(path).to_json()
    for section in ("model", "data", "training"):
        assert written.get(section, {}).items() <= read[section].items()


def _commands(group):
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from _commands(command)


def test_every_option_that_is_named_exists():
    known = {
        option for command in [main, *_commands(main)] for parameter in command.params for option in parameter.opts
    }
    known |= {"--help"}  # click's own
    elsewhere = {"--signal", "--check"}  # Slurm's, ruff's
    spans = [span for span in code_spans() if not re.match(r"python |pip |#SBATCH|ruff ", span.text)]
    named = {(span.page, name) for span in spans for name in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span.text)}
    assert len(named) > 40
    assert not sorted((page, name) for page, name in named if name not in known | elsewhere)


def _settings():
    for name in recipe_names():
        pending = [("", load_recipe(name).to_json())]
        while pending:
            prefix, values = pending.pop()
            for key, value in values.items():
                yield f"{prefix}{key}"
                pending += [(f"{prefix}{key}.", value)] if isinstance(value, dict) else []


def test_every_setting_that_is_named_exists():
    of_any_kind = (ROOT / "translate" / "cli" / "keys.txt").read_text().split()  # of networks that no recipe has, too
    known = {*_settings(), *of_any_kind} | {
        f"data.domains.{name}.{key}" for name in ("ct", "mr") for key in DomainSettings.model_fields
    }
    named = {
        (span.page, key)
        for span in [*code_spans(), *command_lines()]
        for key in re.findall(r"(?<![\w./-])((?:data|training|model)(?:\.[a-z_]+)+)(?![\w/(])", span.text)
        if not key.endswith((".py", ".onnx", ".json"))
    }
    assert len(named) > 15
    assert not sorted((page, key) for page, key in named if key not in known)


def _resolves(name):
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        try:
            for attribute in parts[end:]:
                found = getattr(found, attribute)
        except AttributeError:
            return False
        return True
    return False


def test_every_python_name_exists():
    named = {Found(span.page, span.text.rstrip("()")) for span in code_spans() if span.text.startswith("translate.")}
    named |= {Found("api.md", name) for name in re.findall(r"\.\. auto\w+:: ([\w.]+)", text_of(DOCS / "api.md"))}
    named |= {
        Found(b.page, name)
        for b in code_blocks("python")
        for name in re.findall(r"(?<!from )\b(translate(?:\.\w+)+)", b.text)
    }
    assert len(named) > 20
    assert not [str(span) for span in named if not _resolves(span.text)]


CALLING = [block for block in code_blocks("python") if "class " not in block.text]
"""The others are whole plugins, which `test_plugin.py` trains with."""


@pytest.mark.parametrize("block", CALLING, ids=lambda block: block.page)
def test_every_piece_of_python_imports_and_calls_what_exists(block):
    tree = ast.parse(block.text)
    names = {"translate": translate}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name: importlib.import_module(f"{node.module}.{alias.name}") for alias in node.names}
    called = 0
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        owner = getattr(getattr(call.func, "value", None), "id", None)
        if owner in names:
            function = getattr(names[owner], call.func.attr)
            inspect.signature(function).bind(*call.args, **{keyword.arg: 0 for keyword in call.keywords})
            called += 1
    assert called


def test_everything_that_the_package_exports_is_in_the_api():
    listed = set(re.findall(r":: translate\.(\w+)(?:\(\))?$", text_of(DOCS / "api.md"), re.MULTILINE))
    assert listed == set(translate.__all__) - {"__version__"}


def test_every_file_that_is_named_exists():
    named = {
        (span.page, span.text)
        for span in code_spans()
        if re.fullmatch(r"(?:\w+/)+(?:\w+\.(?:py|yaml|json))?", span.text)
    }
    pages = {page for page, _ in named}
    assert {"CONTRIBUTING.md", "ARCHITECTURE.md", "divergences.md"} <= pages and len(named) > 25
    places, made = (ROOT, ROOT / "translate"), {"models/x.py", "recipes/x.yaml", "samples/", "train/", "test/", "val/"}
    missing = sorted(name for name in named if not any((place / name[1]).exists() for place in places))
    assert [(page, name) for page, name in missing if name not in made] == []


def test_contributors_are_told_of_all_folders_of_tests_and_all_markers():
    page = text_of(ROOT / "CONTRIBUTING.md")
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(re.findall(r"^\| `tests/(\w+)` \|", page, re.MULTILINE)) == folders
    options = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["pytest"]["ini_options"]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {m.partition(":")[0] for m in options["markers"]}


def _numbers(text):
    return [float(number.replace(",", "")) for number in re.findall(r"(?<![\w.])\d[\d,]*\.?\d*|(?<![\w.])\.\d+", text)]


@pytest.mark.parametrize("name", ["numbers.md", "speed.md"])
def test_every_figure_is_in_a_result_that_the_page_links_to(name):
    results = [DOCS / link for link in links(DOCS / name) if "results/" in link]
    measured = [number for result in results for number in _numbers(text_of(result))]
    assert len(measured) > 100
    prose = re.sub(r"\]\([^)]+\)", "", text_of(DOCS / name))
    figures = DECIMAL.findall(prose)
    assert len(figures) > 10
    for figure in figures:
        near = 0.51 * 10.0 ** -len(figure.partition(".")[2])
        wanted = float(figure)
        assert any(abs(value - wanted) <= near or abs(value / 1000 - wanted) <= near for value in measured), figure


def test_readmes_figures_are_those_of_the_pages():
    pages = text_of(DOCS / "numbers.md") + text_of(DOCS / "speed.md")
    figures = [figure for figure in DECIMAL.findall(README) if figure.startswith(".")]
    assert len(figures) == 4 and all(figure in pages for figure in figures)
