"""A judge's second view on disk: a baseline in the folder ``second_view`` of the judge's own, and how its margins are counted.

The backbone of the baseline is not copied. It is the pretrained model, by its name, or the warmed-up one of the run that the
judge is in.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

from gramr2 import baselines
from gramr2.baselines.base import IN_MEMORY, Baseline, Setting
from gramr2.baselines.files import read
from gramr2.config.training import ModelConfig
from gramr2.errors import ModelError, reason_of
from gramr2.files import write_json
from gramr2.judging.second_view import SecondView

FOLDER, FILE = "second_view", "counted.json"
WARMED = Path("warmup") / "model"
"""the warmed-up backbone in a run's folder"""


def alone(folder: Path) -> str | None:
    """What to tell a user of a command that takes the judge in a folder without its second view; None if it has none."""
    if not (folder / FOLDER).is_dir():
        return None
    return (
        "the second view that this judge counts in its verdicts is left out here (second_view.verdict_weight): "
        "figures are those of the judge alone"
    )


def save_view(baseline: Baseline, view: SecondView, folder: Path, *, warmed: bool) -> None:
    """Write a view into a judge's folder.

    Args:
        baseline: its model.
        folder: the judge's.
        warmed: whether its backbone is the run's warmed-up one.
    """
    scratch = folder / f"{FOLDER}.tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    baseline.save(scratch)
    most = None if math.isinf(view.most) else view.most
    write_json(scratch / FILE, {"scale": view.scale, "weight": view.weight, "most": most, "warmed": warmed})
    scratch.rename(folder / FOLDER)


def load_view(
    folder: Path,
    setting: Setting | None = None,
    *,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
) -> SecondView | None:
    """The view saved in a judge's folder; None if the judge has none.

    Args:
        setting: how its backbone is opened; by default with nothing kept on disk, and as the other arguments say.
        dtype: of the backbone; auto is that of the training.
        device: of the backbone.
        trust_remote_code: run Python code that comes with the backbone. What the folder says of it does not count.

    Raises:
        ModelError: it cannot be read, or its backbone is missing or has changed.
    """
    place = folder / FOLDER
    if not place.is_dir():
        return None
    try:
        counted = json.loads((place / FILE).read_text(encoding="utf-8"))
        scale, weight = float(counted["scale"]), float(counted["weight"])
        most = math.inf if counted["most"] is None else float(counted["most"])
        if not all(math.isfinite(each) and each > 0 for each in (scale, weight)) or not most > 0:
            raise ValueError("a number in it is not above 0")
        described = read(place)[0].get("model", {"name": "none"})
        given = {"device": device, "trust_remote_code": trust_remote_code} | (
            {} if dtype == "auto" else {"dtype": dtype}
        )
        model = ModelConfig(**(described | given))
        warmed = bool(counted["warmed"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{place} does not describe a second view ({reason_of(error)}): train the judge again, or ask it without with "
            "--no-second-view"
        ) from error
    if setting is None:
        setting = Setting(model, _warmed(place) if warmed else None, cache=IN_MEMORY)
    return SecondView(baselines.load(place, setting), scale, weight, most)


def _warmed(place: Path) -> Path:
    found = next((each / WARMED for each in place.resolve().parents if (each / WARMED).is_dir()), None)
    if found is None:
        raise ModelError(
            f"the second view of {place.parent} looks at the warmed-up backbone {WARMED} of its run, which is not there: "
            "use the judge in its run folder, or ask it without with --no-second-view"
        )
    return found
