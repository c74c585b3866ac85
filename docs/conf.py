"""Settings of the documentation site; build it with `sphinx-build -W docs docs/_build`.

The pages are plain Markdown that reads well where it lies. Three things are added for the site: the side bar, from the
links of index.md; the texts that stand at the top of the checkout; and the settings that a recipe may have.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from sphinx.application import Sphinx

from translate.recipe import Recipe
from translate.utils.settings import Settings
from translate.version import __version__

ROOT = Path(__file__).resolve().parents[1]
AT_THE_TOP = ("contributing", "changelog", "architecture", "reliability", "security")
"""Pages whose text is NAME.md at the top of the checkout."""

project = "translate"
author = copyright = "The translate developers"
release = version = __version__
html_theme = "furo"
html_title = f"translate {__version__}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click", "sphinxcontrib.autodoc_pydantic"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
smartquotes = False
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_pydantic_model_show_json = False
autodoc_pydantic_model_show_config_summary = False
autodoc_pydantic_model_show_field_summary = False
autodoc_pydantic_model_show_validator_summary = False
autodoc_pydantic_model_show_validator_members = False
autodoc_pydantic_model_hide_paramlist = True
autodoc_pydantic_model_members = True
autodoc_pydantic_model_undoc_members = True
autodoc_pydantic_field_list_validators = False


def setup(app: Sphinx) -> None:
    app.connect("source-read", as_on_the_site)
    app.connect("autodoc-process-docstring", from_markdown)


def as_on_the_site(app: Sphinx, page: str, source: list[str]) -> None:
    """Puts into a page what only the site has."""
    if page in AT_THE_TOP:
        source[0] = (ROOT / f"{page.upper()}.md").read_text(encoding="utf-8").replace("](docs/", "](")
    source[0] = re.sub(r"\]\((?:\.\./)?([A-Z_]+)\.md", linked_at_the_top, source[0])
    source[0] = re.sub(r"\[([^]]+)\]\((?:\.\./)?(benchmarks/results/[^)]+)\)", r"{download}`\1 <../\2>`", source[0])
    if page == "index":
        source[0] += side_bar(source[0])
    if page == "settings":
        source[0] += "".join(map(listed, dict.fromkeys(settings_of(Recipe))))


def linked_at_the_top(link: re.Match[str]) -> str:
    """A link to a text at the top of the checkout: to its page, or to the page about all if it has none."""
    page = link[1].lower()
    return f"]({page if page in AT_THE_TOP else 'index'}.md"


def side_bar(index: str) -> str:
    """The contents of the site: each heading of index.md with the pages that are linked below it."""
    sections = re.findall(r"^## (.+)\n([^#]+)", index, flags=re.MULTILINE)
    return "".join(contents(title, re.findall(r"\((\S+)\.md\)", links)) for title, links in sections)


def contents(title: str, pages: list[str]) -> str:
    return "\n".join(["\n```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```\n"])


def settings_of(annotation: Any) -> Iterator[type[Settings]]:
    """The settings that a type names, and those that their fields name."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
        for field in annotation.model_fields.values():
            yield from settings_of(field.annotation)
    for argument in get_args(annotation):
        yield from settings_of(argument)


def listed(settings: type[Settings]) -> str:
    name = f"{settings.__module__}.{settings.__qualname__}"
    leave_out = "   :exclude-members: model\n" if settings is Recipe else ""  # its type is a table, explained above
    return f"\n```{{eval-rst}}\n.. autopydantic_model:: {name}\n{leave_out}```\n"


def from_markdown(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Docstrings write code and absolute values as Markdown does; Sphinx reads reStructuredText."""
    text = re.sub(r"`+([^`]+)`+|[|]", lambda found: f"``{found[1]}``" if found[1] else r"\|", "\n".join(lines))
    lines[:] = re.sub(r"^(\S.*)\n\n(?= {4})", r"\1\n\n::\n\n", text, flags=re.MULTILINE).split("\n")
