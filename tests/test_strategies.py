"""Strategies by name (gramr2.registry): found in the folder of their kind or behind an entry point, each once and in order."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gramr2 import registry
from gramr2.errors import ConfigError

FILES = {
    "toybox/__init__.py": "BASELINES = {'longer': 1, 'deep': 2}\n",
    "toybox/base.py": """
from typing import ClassVar, Literal
from pydantic import BaseModel

class FilterConfig(BaseModel):
    stage: ClassVar[str] = "example"

class Plain:
    def __init__(self, name): self.name = name

class Common(FilterConfig):
    pass
""",
    "toybox/zebra.py": """
from typing import ClassVar, Literal
from toybox.base import Common, FilterConfig, Plain

class Zebra(FilterConfig):
    kind: Literal["zebra"] = "zebra"
    stripes: int = 0
    stage: ClassVar[str] = "decision"

ZEBRA = Plain("zebra")
quiet = Plain("in small letters")
OTHER = "no toy"
""",
    "toybox/ant.py": """
from typing import Literal
from toybox.base import Common

class Ant(Common):
    kind: Literal["ant"] = "ant"
    legs: int = 6

class Tool:
    pass
""",
    "toybox/inner/__init__.py": "from toybox.base import Plain\nINNER = Plain('inner')\n",
    "addon.py": """
from typing import Literal
from toybox.base import Common, Plain
from toybox.zebra import ZEBRA as _known

class Bear(Common):
    kind: Literal["bear"] = "bear"

class Grizzly(Bear):
    kind: Literal["grizzly"] = "grizzly"

BEAR_1 = Plain("bear")
""",
    "another.py": "from toybox.base import Plain\nFIRST = Plain('first')\n",
}
ENTRIES = [
    EntryPoint("late", "addon", "gramr2.filters"),
    EntryPoint("early", "another", "gramr2.filters"),
    EntryPoint("rows", "addon:BEAR_1", "gramr2.sources"),
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files above."""
    folder = tmp_path_factory.mktemp("toys")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def toys(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The base module of a package that stands where the filters and the baselines are looked for."""
    monkeypatch.syspath_prepend(package)
    monkeypatch.setitem(registry.FOLDERS, "filters", "toybox")
    monkeypatch.setitem(registry.FOLDERS, "baselines", "toybox")
    monkeypatch.setattr(registry, "entry_points", lambda group: [each for each in ENTRIES if each.group == group])
    _forget()
    yield importlib.import_module("toybox.base")
    _forget()


def _forget() -> None:
    registry.modules.cache_clear()
    registry.plugins.cache_clear()


def test_modules_are_those_of_the_folder_by_name_and_then_what_packages_add(toys: Any) -> None:
    names = [module.__name__ for module in registry.modules("filters")]
    assert names == ["toybox.ant", "toybox.base", "toybox.inner", "toybox.zebra", "another", "addon"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nowhere_at_all\n", "broken.*cannot be imported.*nowhere_at_all"),
        ("from gramr2 import registry\nregistry.modules.cache_clear()\nregistry.modules('filters')\n", "TYPE_CHECKING"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(
    toys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("b", "broken", group)])
    _forget()
    with pytest.raises(ConfigError, match=reason):
        registry.modules("filters")


def test_a_class_is_found_once_where_it_is_defined(toys: Any) -> None:
    found = [each.__name__ for each in registry.subclasses("filters", toys.FilterConfig)]
    assert found == ["Ant", "Common", "Zebra", "Bear", "Grizzly"]
    assert [each.__name__ for each in registry.subclasses("filters", toys.Common)] == ["Ant", "Bear", "Grizzly"]


def test_an_object_is_found_under_a_name_in_capitals(toys: Any) -> None:
    found = registry.instances("filters", toys.Plain)
    assert [each.name for each in found] == ["inner", "zebra", "first", "bear"]


def test_plugins_are_the_entry_points_of_one_kind_not_yet_loaded(toys: Any) -> None:
    assert list(registry.plugins("filters")) == ["late", "early"]
    (entry,) = registry.plugins("sources").values()
    assert (entry.name, entry.load().name) == ("rows", "bear")
    assert registry.plugins("auditors") == {}


def test_filters_that_look_at_decisions_alone_come_first(toys: Any) -> None:
    assert [each.__name__ for each in registry.filter_configs()] == ["Zebra", "Ant", "Common", "Bear", "Grizzly"]


def test_baselines_are_named_in_the_order_of_their_package(toys: Any) -> None:
    assert registry.baseline_names() == ["longer", "deep"]


def test_a_value_is_of_the_member_that_its_kind_names(toys: Any) -> None:
    members = [each for each in registry.filter_configs() if each is not toys.Common]
    union = TypeAdapter(registry.tagged_union(members))
    values = union.validate_python({"kind": "zebra", "stripes": 3}), union.validate_python({"kind": "ant"})
    assert [(type(value).__name__, value.model_dump()) for value in values] == [
        ("Zebra", {"kind": "zebra", "stripes": 3}),
        ("Ant", {"kind": "ant", "legs": 6}),
    ]
    for wrong in ({"kind": "cat"}, {"legs": 6}):
        with pytest.raises(ValidationError, match="union_tag"):
            union.validate_python(wrong)
    # Only the named member is asked, so that an error is about it and no other.
    with pytest.raises(ValidationError, match="1 validation error(.|\n)*zebra.stripes"):
        union.validate_python({"kind": "zebra", "stripes": "many"})
