"""What stands in README.md and docs/ holds together: links, code, and what is made from docstrings."""

from __future__ import annotations

import json
import textwrap
import tomllib
from pathlib import Path

import pytest
from tests.docs import generated
from tests.docs.markdown import PAGES, ROOT, anchors, blocks, links

from crl_core.loading import HOOKS

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(path), f"{page.name}: {link} names no heading of {path.name}"


@each_page
def test_the_site_is_whole(page: Path) -> None:
    """A page that is part of the site stands in its navigation, and its links stay inside the site."""
    if page.parent != ROOT / "docs":
        return
    assert f": {page.name}\n" in (ROOT / "mkdocs.yml").read_text()
    assert not [link for link in links(page) if link.startswith("..")], "a site has nothing above docs/"


@each_page
def test_code_can_be_read(page: Path) -> None:
    readers = {
        "python": lambda code: compile(textwrap.dedent(code), page.name, "exec"),
        "json": json.loads,
        "toml": tomllib.loads,
    }
    for block in blocks(page):
        if block.language in readers and not block.is_excerpt:
            readers[block.language](block.code)


@each_page
def test_excerpts_are_what_the_file_says(page: Path) -> None:
    for block in blocks(page):
        if block.is_excerpt:
            (source,) = ROOT.glob(f"packages/*/src/{block.file}")
            assert block.code in source.read_text(), f"{page.name} quotes what {block.file} no longer says"


@pytest.mark.parametrize("name", generated.PAGES)
def test_what_is_made_from_docstrings_is_current(name: str) -> None:
    current = (ROOT / "docs" / name).read_text() == generated.page(name)
    assert current, "run `python -m tests.docs.generated`"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook: str) -> None:
    assert generated.example(hook), f"{hook} has no example in its docstring"
    assert hook in anchors(ROOT / "docs" / "hook-reference.md")
    # apart from the reference, which shows every docstring, a guide says when to use it
    guides = [page for page in PAGES if page.name != "hook-reference.md"]
    assert any(hook in page.read_text() for page in guides), f"no page but the reference mentions {hook}"
