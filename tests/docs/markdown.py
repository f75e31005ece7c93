"""What the tests need to know of a Markdown page: its code blocks, headings and links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "anchors", "blocks", "commands", "files", "links"]

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("packages/*/README.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]

_FENCE = "```"
_TITLE = re.compile(r"`([^`\s]+\.(?:py|toml|json))`:$")
_CODE_SPAN = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SHELL = frozenset({"", "sh", "bash", "console"})


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        language: as it stands behind the fence.
        code: its lines.
        file: the path that the line before it ends with, such as "`plugin.py`:"; empty where it names none.
        is_excerpt: whether that line is "From `path`:", so that the code is a part of that file.
    """

    language: str
    code: str
    file: str
    is_excerpt: bool


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    found: list[Block] = []
    last, start, lines = "", "", []
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith(_FENCE):
            lines.append(line)
            last = line if line.strip() and not start else last
        elif not start:
            start, lines = line, []
        else:
            title = _TITLE.search(last)
            code = "".join(f"{each}\n" for each in lines)
            found.append(
                Block(start.removeprefix(_FENCE), code, title.group(1) if title else "", last.startswith("From `"))
            )
            start, last = "", ""
    assert not start, f"{page.name} ends inside a code block"
    return found


def files(page: Path) -> dict[str, str]:
    """Return the files that a page writes out whole, by their paths."""
    return {block.file: block.code for block in blocks(page) if block.file and not block.is_excerpt}


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of every `crl` command line in a page's code blocks."""
    for block in blocks(page):
        if block.language in _SHELL:
            for line in block.code.replace("\\\n", " ").splitlines():
                yield from _crl_commands(line)


def anchors(page: Path) -> set[str]:
    """Return what links to the page's headings end with, as forges and site generators make it."""
    prose = _without_code(page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Return where the page's links lead, but for those to other sites."""
    prose = _CODE_SPAN.sub("", _without_code(page.read_text(encoding="utf-8")))
    return [target for target in _LINK.findall(prose) if "://" not in target]


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _crl_commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split = True
    command: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= set("&|;"):
            if command[:1] == ["crl"]:
                yield command[1:]
            command = []
        elif command or not re.fullmatch(r"[A-Z_]+=.*", token):  # variables may stand before a command
            command.append(token)
