"""The endpoints of the run browser. All only read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from gramr2.errors import GramrError
from gramr2.reporting import plots
from gramr2.web.answers import answer
from gramr2.web.runs import told
from gramr2.web.runs.shelf import NoSuchRunError, Shelf

INKS = {"dark": ("#1a1a1a", plots.BLUE), "light": ("#e8e8e8", "#5bb0e5")}
"""colours of a figure's letters and of its points, by the page's ink, which an image cannot take from the page"""
IMAGE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""an image has its styles within; it is made of numbers, without any text from the data"""
Words = Annotated[str, Query(max_length=1000)]
Start = Annotated[int, Query(ge=0)]


def run_routes(shelf: Shelf) -> APIRouter:
    """``/ui/runs``."""
    router = APIRouter(prefix="/ui/runs", include_in_schema=False)

    @router.get("")
    def listed() -> Response:
        return answer([_listed(shelf, number) for number in range(len(shelf.runs))])

    @router.get("/{run}")
    def run_(run: int) -> Response:
        return answer({"name": shelf.name(run), **told.overview(shelf.view(run))})

    @router.get("/{run}/rounds/{number}")
    def comparisons(run: int, number: int, fate: Words = "", words: Words = "", start: Start = 0) -> Response:
        view = shelf.view(run)
        return answer(told.found(view, told.round_of(view, number), fate, words, start))

    @router.get("/{run}/rounds/{number}/one")
    def comparison(run: int, number: int, id: Words) -> Response:
        return answer(told.one(told.round_of(shelf.view(run), number), id))

    @router.get("/{run}/accuracy.svg")
    def accuracy(run: int, ink: str = "dark") -> Response:
        return _image(told.accuracy_plot(shelf.view(run)), ink)

    @router.get("/{run}/rounds/{number}/{key}.svg")
    def histogram(run: int, number: int, key: str, ink: str = "dark") -> Response:
        if key not in ("confidence", "agreement"):
            raise NoSuchRunError(f"there is no figure {key!r}")
        return _image(told.histogram(told.round_of(shelf.view(run), number), key), ink)

    return router


def _listed(shelf: Shelf, number: int) -> dict[str, object]:
    try:
        return {"name": shelf.name(number), **told.summary(shelf.view(number))}
    except GramrError as error:
        # One damaged run must not hide the others.
        return {"name": shelf.name(number), "error": str(error)}


def _image(figure: str | None, ink: str) -> Response:
    if figure is None or ink not in INKS:
        raise NoSuchRunError("there is nothing to draw")
    letters, points = INKS[ink]
    return Response(
        figure.replace("currentColor", letters).replace(plots.BLUE, points),
        media_type="image/svg+xml",
        headers={"content-security-policy": IMAGE},
    )
