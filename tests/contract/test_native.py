"""The native module is what its stub says: the same names, the same parameters."""

import ast
import inspect
from pathlib import Path
from typing import TypeAlias

import pytest
from trivet import _trivet

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

# What every extension module and every class has.
GIVEN = {"__all__", "__doc__", "__file__", "__loader__", "__module__", "__name__", "__package__"}
GIVEN |= {"__spec__"}


@pytest.fixture(scope="module")
def stub(root: Path) -> dict[str, ast.stmt]:
    """Each name that the stub defines, with its statement."""
    source = (root / "python/trivet/_trivet.pyi").read_text("utf-8")
    return dict(_named(ast.parse(source).body))


def _named(body: list[ast.stmt]) -> list[tuple[str, ast.stmt]]:
    named: list[tuple[str, ast.stmt]] = []
    for statement in body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            named.append((statement.target.id, statement))
        elif isinstance(statement, ast.ClassDef | Function):
            named.append((statement.name, statement))
    return named


def _parameters(function: Function) -> list[tuple[str, str, bool]]:
    """Name, kind and whether it has a default, without `self` and `cls`."""
    arguments = function.args
    assert not arguments.posonlyargs
    plain = [each.arg for each in arguments.args if each.arg not in {"self", "cls"}]
    optional = plain[len(plain) - len(arguments.defaults) :] if arguments.defaults else []
    found = [(name, "POSITIONAL_OR_KEYWORD", name in optional) for name in plain]
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    found += [(each.arg, "KEYWORD_ONLY", default is not None) for each, default in keywords]
    return found


def _built(value: object) -> list[tuple[str, str, bool]]:
    parameters = inspect.signature(value).parameters.values()  # type: ignore[arg-type]
    return [
        (each.name, each.kind.name, each.default is not inspect.Parameter.empty)
        for each in parameters
        if each.name != "self"
    ]


def test_the_module_has_the_names_of_its_stub(stub: dict[str, ast.stmt]) -> None:
    assert set(vars(_trivet)) - GIVEN == set(stub)


def test_each_constant_has_the_type_of_its_stub(stub: dict[str, ast.stmt]) -> None:
    constants = {
        name: ast.unparse(statement.annotation)
        for name, statement in stub.items()
        if isinstance(statement, ast.AnnAssign)
    }
    assert {name: type(getattr(_trivet, name)).__name__ for name in constants} == constants


def test_each_function_has_the_parameters_of_its_stub(stub: dict[str, ast.stmt]) -> None:
    functions = {name: each for name, each in stub.items() if isinstance(each, Function)}
    assert functions
    told = {name: _parameters(each) for name, each in functions.items()}
    assert {name: _built(getattr(_trivet, name)) for name in functions} == told


def test_each_class_has_the_methods_of_its_stub(stub: dict[str, ast.stmt]) -> None:
    classes = {name: each for name, each in stub.items() if isinstance(each, ast.ClassDef)}
    assert classes
    for name, statement in classes.items():
        built = getattr(_trivet, name)
        methods = dict(_named(statement.body))
        assert set(vars(built)) - GIVEN == set(methods), name
        for method, node in methods.items():
            assert isinstance(node, Function)
            value = built if method == "__new__" else getattr(built, method)
            if [ast.unparse(each) for each in node.decorator_list] == ["property"]:
                assert inspect.isgetsetdescriptor(value), f"{name}.{method}"
                continue
            assert _built(value) == _parameters(node), f"{name}.{method}"


def test_a_final_class_cannot_be_inherited_from(stub: dict[str, ast.stmt]) -> None:
    for name, statement in stub.items():
        if isinstance(statement, ast.ClassDef):
            assert [ast.unparse(each) for each in statement.decorator_list] == ["final"]
            with pytest.raises(TypeError, match="not an acceptable base type"):
                type("Heir", (getattr(_trivet, name),), {})


def test_each_call_is_described(root: Path, stub: dict[str, ast.stmt]) -> None:
    page = (root / "docs/internals/native.md").read_text("utf-8")
    assert [name for name in stub if f"`{name}" not in page] == []
