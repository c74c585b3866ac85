"""The documents of the checkout, and what tests take out of them: links, code, commands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Found:
    """A piece of a document, and the name of the document that it stands in."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(page: Path) -> list[str]:
    """Where the page's links and pictures lead."""
    return re.findall(r"\]\(([^)\s]+)\)", _prose(page))


def code_spans() -> Iterator[Found]:
    """What stands between single backticks in a line of a document."""
    for page in PAGES:
        yield from (Found(page.name, span) for span in re.findall(r"`([^`\n]+)`", _prose(page)))


def code_blocks(language: str) -> Iterator[Found]:
    for page in PAGES:
        yield from (Found(page.name, block) for kind, block in FENCED.findall(text_of(page)) if kind == language)


def command_lines() -> list[Found]:
    """The lines of shell blocks that run `translate`, without the name, comments and what starts them."""
    lines = []
    for block in [*code_blocks(""), *code_blocks("sh")]:
        for line in block.text.replace("\\\n", " ").splitlines():
            if found := re.search(r"(?:^|-m |/bin/|&& )translate (.+?)(?:\s+#.*)?$", line):
                lines.append(Found(block.page, found[1]))
    return lines


def _prose(page: Path) -> str:
    return FENCED.sub("", text_of(page))
