"""The part of an app's name behind the colon: an attribute path, or a call with literals."""

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

APP_NAMES = ("app", "application", "api")
FACTORY_NAMES = ("create_app", "make_app", "get_app")


@dataclass(frozen=True, slots=True)
class Expression:
    """`shop.app` or `create_app("test", debug=False)`, taken apart."""

    path: Sequence[str]
    is_call: bool = False
    arguments: Sequence[Any] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Read it; nothing is executed.

        Raises:
            ValueError: if it is anything else.
        """
        try:
            node = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            raise ValueError("it is not a Python expression") from error
        if not isinstance(node, ast.Call):
            return cls(_path(node))
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("`**` has no place in it")
        return cls(
            _path(node.func),
            is_call=True,
            arguments=[_literal(each) for each in node.args],
            keywords={str(each.arg): _literal(each.value) for each in node.keywords},
        )

    def called(self) -> "Expression":
        """Return the same as a call without arguments, unless it is a call already."""
        return self if self.is_call else replace(self, is_call=True)


def candidates(module: ModuleType) -> list[Expression]:
    """Return what in a module looks like an app, by name, the likeliest first."""
    names = [name for name in APP_NAMES if callable(getattr(module, name, None))]
    factories = [name for name in FACTORY_NAMES if inspect.isroutine(getattr(module, name, None))]
    return [Expression([name]) for name in names] + [
        Expression([name], is_call=True) for name in factories
    ]


def _path(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [*_path(node.value), node.attr]
    raise ValueError("it is neither a name nor a call of one")


def _literal(node: ast.expr) -> Any:  # noqa: ANN401 - any literal
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise ValueError("its arguments are not all literals, such as 'test' or 5") from error
