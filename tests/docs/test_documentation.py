"""The documentation says what the code does, and links lead somewhere."""

import importlib.util
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from manatee.errors import all_errors, meaning
from manatee.outputs import CHECK_NAMES
from manatee.settings import PREFIX, Settings

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("examples/*/*.md"),
    ]
)
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    place = REPOSITORY / "docs" / "_generate.py"
    spec = importlib.util.spec_from_file_location("documentation_generator", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_error_is_in_the_reference(generated: ModuleType) -> None:
    page = generated.errors_page()
    assert all(f"| `{kind.__name__}` | `{kind.code}` |" in page for kind in all_errors())


def test_every_exit_code_is_explained_and_no_other() -> None:
    page = (REPOSITORY / "docs" / "how-to" / "use-in-scripts.md").read_text()
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert explained == {0, 130} | {meaning(kind).exit_code for kind in all_errors()}


def test_every_output_check_is_explained_in_order() -> None:
    page = (REPOSITORY / "docs" / "explanation" / "output-checks.md").read_text()
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == CHECK_NAMES


def test_every_page_can_be_reached_from_the_first() -> None:
    docs = REPOSITORY / "docs"
    index = (docs / "index.md").read_text()
    for page in docs.glob("[!_]*/*.md"):
        name = page.relative_to(docs).with_suffix("").as_posix()
        assert name in index.splitlines() or name.startswith("decisions/"), name
    assert "decisions/*" in index


def test_no_page_links_to_the_reference_because_only_a_build_makes_it() -> None:
    linked = [page.name for page in PAGES if "reference/" in str(_LINK.findall(page.read_text()))]
    assert linked == []


def test_every_setting_has_its_variable_and_a_description(generated: ModuleType) -> None:
    page = generated.settings_page()
    for item in fields(Settings):
        assert f"`{PREFIX}{item.name.upper()}`" in page
        assert re.search(rf"^\s+{item.name}: \S", page, re.MULTILINE), item.name


def test_every_output_check_is_in_the_reference(generated: ModuleType) -> None:
    page = generated.checks_page()
    assert all(f"`{name}`" in page for name in CHECK_NAMES)


def test_commands_that_documents_name_exist(generated: ModuleType) -> None:
    known = set(re.findall(r"`(manatee [a-z -]+)`", generated.commands_page()))
    assert "manatee verify" in known
    for page in PAGES:
        for named in re.findall(r"^\$ (manatee [a-z-]+)", page.read_text(), re.MULTILINE):
            assert any(name == named or name.startswith(named + " ") for name in known), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files_that_exist(page: Path) -> None:
    broken = [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []


def _security_properties() -> list[list[str]]:
    table = (REPOSITORY / "CONTRIBUTING.md").read_text().partition("## Security properties")[2]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return rows[2:]


@pytest.mark.parametrize("row", _security_properties(), ids=lambda row: row[0])
def test_a_security_property_has_code_and_tests_that_exist(row: list[str]) -> None:
    _, code, tests = row
    places = re.findall(r"`([^`]+)`", code)
    assert places
    assert [place for place in places if not (REPOSITORY / place).exists()] == []
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", tests)
    assert len(named) == tests.count("::") >= 1
    for path, name in named:
        assert f"def {name}(" in (REPOSITORY / path).read_text(), f"{path}::{name}"
