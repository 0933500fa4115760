"""What a page in a browser must not have: rules of axe-core broken, anything wider than the window, tiny text or targets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe

PHONE = 700
"""pixels below which a window is a phone's"""
SMALLEST_TEXT = 11
"""pixels"""
SMALLEST_TARGET = 44
"""pixels that a finger needs"""
_TEXTS = """
() => {
  const found = new Map(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const box = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || box.closest("script, style, noscript, svg")) continue;
    if (!box.checkVisibility({visibilityProperty: true})) continue;
    const size = parseFloat(getComputedStyle(box).fontSize);
    if (size < LEAST) found.set(walker.currentNode.data.trim().slice(0, 40), size);
  }
  return [...found];
}
"""
_DRAWN = """
() => [...document.querySelectorAll("svg text")].filter(each => each.checkVisibility({visibilityProperty: true})).map(each => {
  const {a, b} = each.getScreenCTM();
  return [each.textContent, parseFloat(getComputedStyle(each).fontSize) * Math.hypot(a, b)];
})
"""
_TARGETS = """
() => [...document.querySelectorAll("button, select, input, nav a")].filter(each => each.offsetParent)
  .map(each => [each.textContent || each.id, each.getBoundingClientRect().height])
"""


def faults(page: Any) -> list[str]:
    """What is wrong with a page as it stands; each a sentence."""
    found = [
        f"axe: {each['id']}: {each['help']}: {_few([node['html'] for node in each['nodes']])}"
        for each in Axe().run(page).response["violations"]
    ]
    if not page.inner_text("body").strip():
        found.append("it shows nothing")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        found.append(f"it scrolls sideways by {wide} pixels")
    if page.viewport_size["width"] < PHONE:
        small = page.evaluate(_TEXTS.replace("LEAST", str(SMALLEST_TEXT)))
        small += [each for each in page.evaluate(_DRAWN) if each[1] < SMALLEST_TEXT - 0.1]
        found += [f"the text {text!r} has {size:g} pixels" for text, size in small]
        low = page.evaluate(_TARGETS)
        found += [f"{name!r} is {height:g} pixels high" for name, height in low if height < SMALLEST_TARGET - 0.1]
    return found


def _few(places: Sequence[str]) -> str:
    shown = ", ".join(" ".join(each.split())[:120] for each in places[:3])
    return f"{shown} and {len(places) - 3} more" if len(places) > 3 else shown


def listen(page: Any, said: list[str]) -> None:
    """Note what the page's console complains of, and what it asks of any other place."""
    page.on("console", lambda each: said.append(each.text) if each.type in ("error", "warning") else None)
    page.on("pageerror", lambda each: said.append(str(each)))
    page.on("dialog", lambda each: said.append(f"dialog {each.message}"))
    page.on(
        "request",
        lambda each: None if re.match(r"(blob:)?http://127\.0\.0\.1|file:", each.url) else said.append(each.url),
    )
