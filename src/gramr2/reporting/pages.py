"""The templates of the HTML pages, with the filters that format figures."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from gramr2.text import coefficient, counted, duration, more_of, p_value, percent, signed, three_digits


@cache
def template(name: str) -> Template:
    """A template of this package."""
    environment = Environment(
        loader=PackageLoader("gramr2.reporting", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "percent": percent,
        "signed": signed,
        "number": three_digits,
        "p_value": p_value,
        "coefficient": coefficient,
        "more_of": more_of,
        "counted": counted,
        "duration": duration,
    }
    return environment.get_template(name)
