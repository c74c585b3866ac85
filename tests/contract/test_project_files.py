"""The files that hosts and contributors read: citation, changelog, hooks, issue forms, what the sdist holds."""

import datetime
import json
import re
import subprocess
import tarfile
import tomllib

import pytest
import yaml
from documents import ROOT, links, text_of
from hatchling.builders.sdist import SdistBuilder

from translate.cli import main
from translate.version import __version__

PROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
CITATION = yaml.safe_load(text_of(ROOT / "CITATION.cff"))
VERSION = re.compile(r"^## \[(.+?)\](?: - (\S+))?$", re.MULTILINE)
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def _names(extra):
    return {re.match(r"[\w-]+", requirement)[0] for requirement in PROJECT["optional-dependencies"][extra]}


def test_the_citation_has_what_its_format_requires_and_is_of_this_version():
    # The Citation File Format 1.2.0 requires these four.
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    assert CITATION["authors"] and all({"name"} == author.keys() for author in CITATION["authors"])
    assert CITATION["version"] == __version__
    assert CITATION["license"] == PROJECT["license"]
    assert isinstance(CITATION["date-released"], datetime.date)


def test_the_changelog_has_this_version_and_what_is_to_come():
    changelog = text_of(ROOT / "CHANGELOG.md")
    assert changelog.startswith("# Changelog\n")
    versions = VERSION.findall(changelog)
    assert versions[0] == ("Unreleased", "")
    released = dict(versions[1:])
    assert datetime.date.fromisoformat(released[__version__]) == CITATION["date-released"]
    assert all(datetime.date.fromisoformat(date) for date in released.values())
    numbers = [tuple(map(int, version.split("."))) for version in released]
    assert numbers == sorted(numbers, reverse=True)


def test_every_version_in_the_changelog_has_changes_of_known_kinds_in_order():
    parts = re.split(r"^## .+$", text_of(ROOT / "CHANGELOG.md"), flags=re.MULTILINE)[1:]
    for part in parts:
        kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert kinds and kinds == [kind for kind in KINDS if kind in kinds], "known kinds, each once"
        lists = re.split(r"^### .+$", part, flags=re.MULTILINE)
        assert not lists[0].strip() and all(text.strip().startswith("- ") for text in lists[1:])


def test_the_container_holds_what_the_wheel_is_built_of_and_starts_the_server():
    lines = text_of(ROOT / "Dockerfile").splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    built = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        PROJECT["readme"],
        *PROJECT["license-files"],
        *built["packages"],
        *built["force-include"],
    }
    assert copied == needed and all((ROOT / name).exists() for name in copied)
    assert "'/src[serve]'" in "\n".join(lines) and "serve" in PROJECT["optional-dependencies"]
    words = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines if line.startswith(("ENTRYPOINT", "CMD"))}
    program, command, *given = json.loads(words["ENTRYPOINT"]) + json.loads(words["CMD"])
    assert program in PROJECT["scripts"]
    options = main.commands[command].make_context(command, list(given)).params
    assert (options["host"], options["device"], [str(run) for run in options["runs"]]) == ("0.0.0.0", "cpu", ["/model"])


def test_hooks_run_what_ci_runs_with_tools_that_contributors_have():
    [local] = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))["repos"]
    hooks = local["hooks"]
    checks = {line.removesuffix(" .") for line in text_of(ROOT / ".ci" / "run").splitlines()}
    assert local["repo"] == "local" and {hook["id"] for hook in hooks} == {"ruff-check", "ruff-format", "mypy"}
    for hook in hooks:
        assert hook["language"] == "system" and hook["name"]
        assert hook["entry"].split()[0] in _names("dev")
        assert f".venv/bin/{hook['entry']}" in checks


@pytest.mark.parametrize("path", [path for path in FORMS if path.name != "config.yml"], ids=lambda path: path.name)
def test_an_issue_form_is_one(path):
    form = yaml.safe_load(text_of(path))
    assert form.keys() == {"name", "description", "labels", "body"}
    assert all(isinstance(form[key], str) and form[key] for key in ("name", "description"))
    assert all(field.keys() <= {"type", "id", "attributes", "validations"} for field in form["body"])
    assert {field["type"] for field in form["body"]} <= {"textarea", "input"}
    assert all(re.fullmatch(r"[a-z-]+", field["id"]) and field["attributes"]["label"] for field in form["body"])
    assert all(isinstance(text, str) for field in form["body"] for text in field["attributes"].values())
    identifiers = [field["id"] for field in form["body"]]
    assert len(set(identifiers)) == len(identifiers)
    assert any(field.get("validations") == {"required": True} for field in form["body"])


def test_there_is_a_form_for_each_kind_of_issue():
    names = [yaml.safe_load(text_of(path)).get("name") for path in FORMS]
    assert sorted(filter(None, names)) == ["Bug", "Method request", "Question about data"]
    assert yaml.safe_load(text_of(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml")) == {"blank_issues_enabled": True}


def test_the_site_is_built_with_what_its_extra_installs():
    conf = text_of(ROOT / "docs" / "conf.py")
    listed = re.search(r"^extensions = \[(.+)\]$", conf, re.MULTILINE)[1]
    wanted = {name.removeprefix("sphinxcontrib.").replace("_", "-") for name in re.findall(r'"([\w.]+)"', listed)}
    wanted |= {re.search(r'^html_theme = "(.+)"$', conf, re.MULTILINE)[1], "sphinx"}
    assert {name.partition(".")[0] for name in wanted} == _names("docs")


def test_the_sdist_holds_what_its_tests_and_contributors_need(tmp_path):
    [archive] = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(archive) as tar:
        held = {name.partition("/")[2] for name in tar.getnames()}
    wanted = {"README.md", "CITATION.cff", "CHANGELOG.md", ".pre-commit-config.yaml", ".ci/run", "docs/conf.py"}
    assert wanted | {f".github/ISSUE_TEMPLATE/{path.name}" for path in FORMS} <= held
    assert not [name for name in held if name.startswith((".venv", "runs/", "docs/_build"))]
    if (ROOT / ".git").exists():
        committed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert not set(committed.splitlines()) - held, "what is committed travels"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    build = pytest.importorskip("sphinx.cmd.build")
    assert build.main(["-q", "-W", "--keep-going", str(ROOT / "docs"), str(tmp_path)]) == 0
    index = text_of(tmp_path / "index.html")
    assert all(link.replace(".md", ".html") in index for link in links(ROOT / "docs" / "index.md") if "/" not in link)
    assert "translate train" in text_of(tmp_path / "commands.html")
    assert "CycleGANConfig" in text_of(tmp_path / "settings.html")
