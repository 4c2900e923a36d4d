"""Docstrings as they are written in the code, for the reference: their roles become links, their examples blocks."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Any

from griffe import (
    AliasResolutionError,
    Attribute,
    BuiltinModuleError,
    Class,
    Extension,
    Function,
    Module,
    NameResolutionError,
    Object,
)

_ROLE = re.compile(r":(?:class|meth|func|mod|attr|exc):`(~?)([\w.]+)`")
_FIELD = re.compile(r"^:param [^\n]*\n(?: {4}[^\n]*\n)*", re.MULTILINE)
_EXAMPLE = re.compile(r"^([^\n]*)::\n\n((?:(?: {4}[^\n]*)?\n)*(?: {4}[^\n]*)(?:\n|\Z))", re.MULTILINE)


class SphinxDocstrings(Extension):
    """Roles such as ``:meth:`close``` and examples behind ``::`` as Markdown has them."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for every object, once all of them are known by name."""
        if obj.name == "__init__":
            obj.public = False
        if obj.docstring is not None:
            text = _EXAMPLE.sub(_example, _fields_last(obj.docstring.value))
            obj.docstring.value = _ROLE.sub(lambda role: _link(obj, role), text)

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Called when the whole package is known."""
        for member in list(pkg.members.values()):
            if isinstance(member, Class):
                _tidy(member)
            elif isinstance(member, Module):
                self.on_package(pkg=member)


def _tidy(of: Class) -> None:
    """Leave out what makes the class work with Python, and show attributes with their types, not how they are made."""
    made = of.members.get("__init__")
    types = {each.name: each.annotation for each in made.parameters} if isinstance(made, Function) else {}
    for name, member in list(of.members.items()):
        if name.startswith("__") and name != "__init__":
            del of.members[name]
        elif isinstance(member, Attribute) and member.labels == {"instance-attribute"}:
            member.annotation, member.value = member.annotation or types.get(name), None


def _fields_last(text: str) -> str:
    """The parameters behind all else: what follows them would be read as part of the last one."""
    return "".join([_FIELD.sub("", text).rstrip(), "\n\n", *_FIELD.findall(f"{text}\n")])


def _example(found: re.Match[str]) -> str:
    before, code = found[1].rstrip(), textwrap.dedent(found[2]).strip("\n")
    return f"{before}:\n\n{_block(code)}\n" if before else f"{_block(code)}\n"


def _block(code: str) -> str:
    try:
        ast.parse(code)
    except SyntaxError:
        return f"``` {{.text .drawing}}\n{code}\n```"
    return f"```python\n{code}\n```"


def _link(obj: Object, role: re.Match[str]) -> str:
    short, name = role[1], role[2]
    shown = name.rpartition(".")[2] if short else name
    return f'<autoref identifier="{_path(obj, name)}" optional><code>{shown}</code></autoref>'


def _path(obj: Object, name: str) -> str:
    """The full path of what is called ``name`` in the docstring of ``obj``; the name itself if nothing is."""
    first, dot, rest = name.partition(".")
    try:
        return obj.resolve(first) + dot + rest
    except (NameResolutionError, AliasResolutionError, BuiltinModuleError, KeyError):
        return name
