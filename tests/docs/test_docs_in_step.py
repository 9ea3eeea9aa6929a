"""Documents can't lag: whatever a user can meet is named in the document that it belongs to."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from tallystick.chain.abi import ABIS
from tallystick.cli.auditing import FAILED
from tallystick.cli.context import BROKEN_PIPE, INTERRUPTED
from tallystick.cli.main import app as command_line
from tallystick.errors import TallystickError
from tallystick.oracle.app import create_app
from tallystick.settings import Settings, table

from tests.oracle.stubs import StubService
from tests.support.tree import concrete_errors

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("models/*/README.md")])
RULES = (
    [f"M{number}" for number in range(1, 10)]
    + [f"E{number}" for number in range(1, 6)]
    + [f"S{number}" for number in range(1, 8)]
)
LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def cells(document: str) -> list[list[str]]:
    """The cells of every table row, without their back-quotes."""
    rows = [line.strip().strip("|").split(" | ") for line in document.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "").replace("\\|", "|") for cell in row] for row in rows]


# ---- generated documents ----------------------------------------------------------------------------------------------


def make_docs(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_docs.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_generated_documents_are_current() -> None:
    ended = make_docs("--check")
    assert ended.returncode == 0, ended.stdout


def test_settings_document_lists_every_setting() -> None:
    documented = {row[0]: row for row in cells(read("SETTINGS.md"))}
    for row in table():
        assert documented[row["name"]][1:] == [
            row["variable"],
            row["default"],
            row["limits"],
            row["help"].replace("`", ""),
        ]


@pytest.mark.parametrize("kind", concrete_errors(), ids=lambda kind: kind.__name__)
def test_errors_document_lists_every_error(kind: type[TallystickError]) -> None:
    """With its status, exit code, whether to retry, what it is and what to do."""
    (row,) = (row for row in cells(read("ERRORS.md")) if row[0] == kind.code)
    assert row[1:4] == [str(kind.status), str(kind.exit_code), "yes" if kind.retryable else "no"]
    assert row[4].endswith(".")
    assert row[5].endswith(".")


def test_errors_document_lists_nothing_else() -> None:
    known = {kind.code for kind in concrete_errors()} | {"code", "---"}
    assert {row[0] for row in cells(read("ERRORS.md"))} == known


def test_make_docs_check_finds_a_document_that_differs(tmp_path: Path) -> None:
    """The check itself: a changed line is noticed, and the check writes nothing."""
    module = _script("make_docs")
    module.DOCS = tmp_path
    assert module.main([]) == 0
    assert module.main(["--check"]) == 0
    path = tmp_path / "ERRORS.md"
    changed = path.read_text(encoding="utf-8").replace("| 429 |", "| 430 |")
    path.write_text(changed, encoding="utf-8")
    assert module.main(["--check"]) == 1
    assert path.read_text(encoding="utf-8") == changed


def _script(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# ---- documents written by hand ----------------------------------------------------------------------------------------


def routes() -> list[tuple[str, str]]:
    made = create_app(StubService(), Settings())
    return [
        (method, route.path)
        for route in made.routes
        for method in sorted(getattr(route, "methods", None) or ())
        if method != "HEAD"
    ]


@pytest.mark.parametrize(("method", "path"), routes())
def test_api_document_has_every_route(method: str, path: str) -> None:
    assert f"`{method} {path}`" in read("API.md")


def test_api_document_has_no_other_route() -> None:
    named = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`\s]*)`", read("API.md")))
    assert named == {f"{method} {path}" for method, path in routes()}


def test_api_document_names_every_error_with_its_status() -> None:
    """Wherever a table of the API gives a status and a code, they are the ones of the tree."""
    known = {kind.code: kind for kind in concrete_errors()}
    found = [
        (row[0], code.strip(), row[-1])
        for row in cells(read("API.md"))
        if row[0].isdigit() and len(row) == 4
        for code in row[1].split(",")
    ]
    assert found
    for status, code, retry in found:
        assert (status, retry) == (str(known[code].status), "yes" if known[code].retryable else "no"), code


def commands(group: Any = None, path: str = "tallystick") -> Iterator[tuple[str, Any]]:
    """Every command that does something, as it is typed."""
    for name, found in (group or typer.main.get_command(command_line)).commands.items():
        if hasattr(found, "commands"):
            yield from commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_command_line_document_has_every_command(name: str) -> None:
    assert f"### {name.removeprefix('tallystick ')}\n" in read("CLI.md")


def test_command_line_document_shows_no_other_command() -> None:
    """Each line of its examples calls a command that there is."""
    examples = [line for block in FENCE.findall(read("CLI.md")) for line in block.splitlines() if "tallystick " in line]
    assert examples
    for line in examples:
        typed = " ".join(word for word in line.split("tallystick ", 1)[1].split() if not word.startswith("-"))
        assert any(name.removeprefix("tallystick ") in typed for name in COMMANDS), line


@pytest.mark.parametrize("name", COMMANDS)
def test_command_line_document_has_every_option(name: str) -> None:
    title = name.removeprefix("tallystick ")
    section = read("CLI.md").split(f"\n### {title}\n", 1)[1].split("\n## ")[0].split("\n### ")[0]
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    missing = [option for option in options if option != "--help" and f"{option}" not in section]
    assert missing == []


def exit_codes() -> dict[int, str]:
    """Every exit code that there is, and where it comes from."""
    codes = {kind.exit_code: kind.__name__ for kind in concrete_errors()}
    return {0: "success", 2: "usage", **codes, FAILED: "audit", INTERRUPTED: "Ctrl-C", BROKEN_PIPE: "broken pipe"}


def test_command_line_document_has_every_exit_code() -> None:
    documented = [int(row[0]) for row in cells(read("CLI.md")) if row[0].isdigit()]
    assert documented == sorted(exit_codes())


def test_command_line_document_puts_each_error_under_its_exit_code() -> None:
    known = {kind.code: kind.exit_code for kind in concrete_errors()}
    for row in cells(read("CLI.md")):
        if row[0].isdigit():
            wrong = [word for word in re.findall(r"[a-z]+(?:_[a-z]+)+", row[-1]) if known.get(word) != int(row[0])]
            assert wrong == []


def declared(kind: str) -> list[str]:
    return sorted({entry["name"] for abi in ABIS.values() for entry in abi if entry["type"] == kind})


@pytest.mark.parametrize("name", [*declared("event"), *declared("error")])
def test_specification_has_every_event_and_error_of_the_contracts(name: str) -> None:
    assert re.search(rf"`{name}[`(]", read("SPEC.md"))


@pytest.mark.parametrize("name", declared("function"))
def test_specification_has_every_function_of_the_contracts(name: str) -> None:
    assert re.search(rf"`(?:Escrow\.|ListingRegistry\.)?{name}[`(]", read("SPEC.md"))


@pytest.mark.parametrize("rule", RULES)
def test_specification_has_every_rule(rule: str) -> None:
    assert f"**{rule}**" in read("SPEC.md")


# ---- links ------------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as they are made where it is read."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = LINK.sub(lambda match: match[0][1 : match[0].index("]")], heading)
        base = re.sub(r"[^\w\- ]", "", plain.replace("`", "").lower()).strip().replace(" ", "-")
        name, number = base, 0
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in LINK.findall(FENCE.sub("", text)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def test_every_document_can_be_found_from_the_readme() -> None:
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in LINK.findall((ROOT / "README.md").read_text())}
    assert [page.name for page in DOCS.glob("*.md") if page.resolve() not in linked] == []


# ---- what belongs in no file ------------------------------------------------------------------------------------------


def files() -> list[Path]:
    """Tracked, or untracked and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no checkout")
    return [path for name in os.fsdecode(listed.stdout).split("\0") if name and (path := ROOT / name).is_file()]


# Written so that this very file does not hold them.
REGISTRIES = [".".join(words) for words in (("pypi", "org"), ("files", "pythonhosted"), ("registry", "npmjs"))]
REGISTRIES += [".".join(("deb", "debian"))]
FOLDERS = ["/".join(("", folder, "")) for folder in ("work", "root", "home", "Users")]


@pytest.mark.parametrize("name", REGISTRIES)
def test_no_file_names_a_package_registry(name: str) -> None:
    """Where packages come from is a machine's own configuration."""
    assert [str(path.relative_to(ROOT)) for path in files() if name.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_names_a_folder_of_a_developers_machine(folder: str) -> None:
    """Such a path means nothing on another machine; where it is a part of a longer one it is something else."""
    pattern = re.compile(rb"(?<![\w.\-/~}])" + re.escape(folder.encode()))
    assert [str(path.relative_to(ROOT)) for path in files() if pattern.search(path.read_bytes())] == []


# ---- rules and tests --------------------------------------------------------------------------------------------------


@cache
def rules_of_tests() -> dict[str, list[str]]:
    """Rule to the tests that carry its number in name or docstring, over all languages."""
    found: dict[str, list[str]] = {rule: [] for rule in RULES}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                for rule in _rules_in(node.name, ast.get_docstring(node) or ""):
                    found[rule].append(f"{path.name}::{node.name}")
    for path in sorted((ROOT / "tests").rglob("*.test.mjs")):
        for title in re.findall(r"\btest\(\s*[\"'`]([^\"'`]+)", path.read_text(encoding="utf-8")):
            for rule in _rules_in("", title):
                found[rule].append(f"{path.name}::{title}")
    return found


def _rules_in(name: str, text: str) -> set[str]:
    in_name = {part.upper() for part in name.split("_")}
    in_text = set(re.findall(r"\b[MES][1-9]\b", text))
    return (in_name | in_text) & set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_test_that_carries_its_number(rule: str) -> None:
    assert rules_of_tests()[rule]
