"""What stands behind the colon of `module:…`: an attribute, or a call with literal arguments."""

import ast

from trivet.errors import AppLoadError


def checked(text: str, target: str) -> str:
    """Return the expression in its plainest spelling.

    Args:
        text: `app`, `sites.shop`, `create_app()` or `create_app("test", debug=True)`.
        target: The whole name of the app, for messages.

    Raises:
        AppLoadError: If it is anything else: nothing but names and literals is ever evaluated.
    """
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise bad(target) from None
    name = body.func if isinstance(body, ast.Call) else body
    if not _is_dotted(name) or (isinstance(body, ast.Call) and not _is_literal_call(body)):
        raise bad(target)
    return ast.unparse(body)


def is_call(expression: str) -> bool:
    """Say whether a checked expression is a call."""
    return expression.endswith(")")


def first_name(expression: str) -> str:
    """Give the attribute of the module that a checked expression starts from."""
    return expression.partition("(")[0].partition(".")[0]


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _is_literal_call(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    if any(keyword.arg is None for keyword in call.keywords):
        return False
    for value in values:
        try:
            ast.literal_eval(value)
        except ValueError:
            return False
    return True


def bad(target: str) -> AppLoadError:
    """Say that something is not the name of an app."""
    return AppLoadError(
        f"`{target}` is no name of an app",
        code="app.bad_target",
        hint="write `module:attribute`, `module:factory()`, a module, a file or a folder; "
        "arguments of a factory must be literals",
    )
