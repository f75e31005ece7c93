"""What in docs/ is made from docstrings: the hook reference, and the tables of checks.

`python -m tests.docs.generated` writes it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from crl_core import hookspecs
from crl_core.loading import HOOKS
from crl_core.plugins import registry
from crl_core.specs import Spec
from crl_core.testing.checks import Check
from crl_core.testing.experiments import experiment_checks
from crl_core.testing.policies import policy_checks
from crl_core.testing.runners import runner_checks
from crl_core.testing.sources import policy_source

__all__ = ["PAGES", "example", "page"]

DOCS = Path(__file__).parents[2] / "docs"

END = "<!-- end -->"


def hooks() -> str:
    """Return the sections of all hooks."""
    return "\n".join(_section(hook, spec) for hook, spec in HOOKS.items())


def policy_table() -> str:
    """Return the table of a policy's checks."""
    return _table(policy_checks(policy_source(registry().policy("random"), {})))


def experiment_table() -> str:
    """Return the table of an experiment's checks."""
    return _table(experiment_checks("tutorial"))


def runner_table() -> str:
    """Return the table of a runner's checks."""
    return _table(runner_checks("batch", {}))


# What each page has between a comment that is named here and the next "<!-- end -->".
PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "hook-reference.md": {"<!-- hooks -->": hooks},
    "conformance.md": {
        "<!-- checks of a policy -->": policy_table,
        "<!-- checks of an experiment -->": experiment_table,
        "<!-- checks of a runner -->": runner_table,
    },
}


def page(name: str) -> str:
    """Return the text of a page, its generated parts made anew."""
    text = (DOCS / name).read_text(encoding="utf-8")
    for begin, made in PAGES[name].items():
        head, found, rest = text.partition(begin)
        assert found, f"{name} has no {begin}"
        text = f"{head}{begin}\n\n{made()}\n{END}{rest.partition(END)[2]}"
    return text


def example(hook: str) -> str:
    """Return the complete example in a hook's docstring; empty where there is none."""
    return _parts(hook)[1]


def _section(hook: str, spec: type[Spec]) -> str:
    text, code = _parts(hook)
    return f"## {hook}\n\n{_prose(text)}\n\n{_yielded(spec)}\n\n```python\n{code}\n```\n"


def _parts(hook: str) -> tuple[str, str]:
    """Part a hook's docstring into its prose and its example."""
    text, _, code = inspect.cleandoc(getattr(hookspecs, hook).__doc__ or "").partition("\n\nExample:\n")
    return text, textwrap.dedent(code)


def _yielded(spec: type[Spec]) -> str:
    """Return what a hook yields: the fields of a dataclass, and what its docstring says of them."""
    text, _, attributes = inspect.cleandoc(spec.__doc__ or "").partition("\n\nAttributes:\n")
    meanings = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", attributes, re.MULTILINE)
    fields = ", ".join(_field(each) for each in dataclasses.fields(spec))
    bullets = "".join(f"\n- `{name}`: {_prose(meaning)}" for name, meaning in meanings)
    return f"Yields `{spec.__name__}({fields})`. {_prose(text)}" + (f"\n{bullets}" if bullets else "")


def _field(field: dataclasses.Field[object]) -> str:
    """Return a field as it stands in the signature of its dataclass."""
    optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return f"{field.name}: {field.type}" + (" = ..." if optional else "")


def _prose(text: str) -> str:
    """Return each paragraph on one line, as browsers wrap by themselves."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _table(checks: Sequence[Check]) -> str:
    """Return one row for each check; those of several tasks are one."""
    demands = {each.name.partition("[")[0]: each.demand for each in checks}
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in demands.items())
    return f"| Check | Demands |\n|---|---|\n{rows}"


if __name__ == "__main__":
    for name in PAGES:
        (DOCS / name).write_text(page(name), encoding="utf-8")
