"""Texts that a Python file gives names to, read from its syntax tree; nothing of the file is run."""

from __future__ import annotations

import ast

Constant = str | dict[str, "Constant"]


def constants_of(source: str) -> dict[str, Constant]:
    """The texts, and the objects made of texts, that are assigned to names at the top of a file.

    Raises:
        SyntaxError: it is not Python.
    """
    found: dict[str, Constant] = {}
    for each in ast.parse(source).body:
        if isinstance(each, ast.Assign) and len(each.targets) == 1 and isinstance(each.targets[0], ast.Name):
            value = _value(each.value, found)
            if value is not None:
                found[each.targets[0].id] = value
    return found


def _value(node: ast.expr, known: dict[str, Constant]) -> Constant | None:
    """A text, a sum of texts, a stripped text, an object of them, or a name from above; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _value(node.left, known), _value(node.right, known)
        return left + right if isinstance(left, str) and isinstance(right, str) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "strip":
        text = None if node.args or node.keywords else _value(node.func.value, known)
        return text.strip() if isinstance(text, str) else None
    if isinstance(node, ast.Dict):
        values: dict[str, Constant] = {}
        for key, each in zip(node.keys, node.values, strict=True):
            name, value = None if key is None else _value(key, known), _value(each, known)
            if not isinstance(name, str) or value is None:
                return None
            values[name] = value
        return values
    return None
