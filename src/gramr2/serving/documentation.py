"""The page about the server, and the document that it is made of. It needs no network, and its policy allows none."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from gramr2.serving.examples import EXAMPLES

_OBJECT = re.compile(r"‹(\w+)›")


def add_documentation(app: FastAPI) -> None:
    """The document and the page, each written once: FastAPI's own are written anew for everybody who asks."""
    written = cache(lambda: json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode())
    page = cache(lambda: page_of(app.openapi()))

    @app.get("/openapi.json", include_in_schema=False)
    async def document() -> Response:
        return Response(written(), media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def documented() -> HTMLResponse:
        return HTMLResponse(page(), headers={"content-security-policy": policy()})


@cache
def script() -> str:
    """What the page runs."""
    return files("gramr2.serving").joinpath("page.js").read_text(encoding="utf-8")


def policy() -> str:
    """The page may run its own script, which may ask this server; it may load nothing."""
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page_of(document: dict[str, Any]) -> str:
    """The page for an OpenAPI document."""
    environment = Environment(
        loader=PackageLoader("gramr2.serving", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["links"] = _links
    schemas = document["components"]["schemas"]
    return environment.get_template("page.html.j2").render(
        title=document["info"]["title"],
        version=document["info"]["version"],
        calls=[
            _call(path, method.upper(), each, schemas)
            for path, methods in document["paths"].items()
            for method, each in methods.items()
        ],
        objects=[(name, _object(schema)) for name, schema in sorted(schemas.items())],
        script=Markup(script()),  # our own file
    )


def _call(path: str, method: str, call: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    body = None if schema is None else _object(schemas.get(_name(schema), schema))
    example = json.dumps(EXAMPLES.get(path, {}), ensure_ascii=False, indent=2)
    return {
        "path": path,
        "method": method,
        "about": _plain(call.get("description") or (body or {}).get("about") or call.get("summary", "")),
        "body": body,
        "example": example,
        "rows": example.count("\n") + 1,
        "answers": [
            {
                "status": status,
                "about": _plain(answer.get("description", "")),
                "kind": " or ".join(
                    _kind(each.get("schema", {})) if kind == "application/json" else kind
                    for kind, each in answer.get("content", {}).items()
                ),
            }
            for status, answer in sorted(call["responses"].items())
        ],
    }


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        "about": _plain(schema.get("description", "")),
        "kind": _kind(schema),
        "fields": [
            {
                "name": name,
                "kind": _kind(each),
                "required": name in required,
                "default": json.dumps(each.get("default")),
                "about": _plain(each.get("description", "")),
            }
            for name, each in schema.get("properties", {}).items()
        ],
    }


def _kind(schema: dict[str, Any]) -> str:
    """A schema in words; objects are named in ‹›."""
    if "$ref" in schema:
        return f"‹{_name(schema)}›"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_kind(each) for each in schema[word]))
    if "const" in schema or "enum" in schema:
        return " or ".join(json.dumps(each) for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        inner = schema.get("prefixItems")
        of = f"({', '.join(_kind(each) for each in inner)})" if inner else f"list of {_kind(schema.get('items', {}))}"
        return of + _range(schema, "minItems", "maxItems")
    return str(schema.get("type", "anything")) + _range(
        schema, "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength"
    )


def _range(schema: dict[str, Any], *names: str) -> str:
    signs = {"minItems": "≥", "maxItems": "≤", "minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">"}
    signs |= {"minLength": "length ≥", "maxLength": "length ≤"}
    said = [f"{signs[name]} {schema[name]:g}" for name in names if name in schema]
    return f" ({', '.join(said)})" if said else ""


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _links(kind: str) -> Markup:
    return Markup(_OBJECT.sub(r'<a href="#object-\1">\1</a>', str(escape(kind))))  # escaped before
