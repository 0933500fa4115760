"""What is published: wheel and sdist of gramr2 and the wheel of gramr2-light, built and used in environments of their own.

Nothing is downloaded: an environment gets links to those installed packages that the wheel's own metadata ask for.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import distribution
from pathlib import Path

import constraints
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytest.importorskip("hatchling", reason="make installs it with the extra dev")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "matplotlib", "gguf", "huggingface-hub"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def build(folder: Path, out: Path, *targets: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run(
        [*command, *(word for each in targets for word in ("-t", each))], cwd=folder, check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out, "sdist", "wheel")
    build(ROOT / "light", out, "wheel")
    return out


def wheel(dist: Path, name: str) -> Path:
    (found,) = dist.glob(f"{name}-{PROJECT['version']}-*.whl")
    return found


def contents(file: Path) -> dict[str, str]:
    """The digest of each file in a wheel, but for its metadata."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def metadata(file: Path) -> tuple[list[Requirement], set[str]]:
    """The requirements of a wheel, and its extras."""
    with zipfile.ZipFile(file) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(archive.read(name).decode("utf-8"))
    assert told["Version"] == PROJECT["version"]
    return [Requirement(each) for each in told.get_all("Requires-Dist")], set(told.get_all("Provides-Extra"))


def test_the_wheel_has_every_file_of_the_package_and_no_other(dist: Path) -> None:
    files = {str(file.relative_to(ROOT / "src")) for file in (ROOT / "src/gramr2").rglob("*") if file.is_file()}
    assert set(contents(wheel(dist, "gramr2"))) == {name for name in files if "__pycache__" not in name}
    needed = {"starter/gold.jsonl", "backends/lab-tiny/model.safetensors", "reporting/report.html.j2", "py.typed"}
    assert {f"gramr2/{name}" for name in needed} <= set(contents(wheel(dist, "gramr2")))


def test_the_sdist_builds_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    (source,) = dist.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / source.name.removesuffix(".tar.gz"), tmp_path, "wheel")
    assert contents(wheel(tmp_path, "gramr2")) == contents(wheel(dist, "gramr2"))
    assert list(map(str, metadata(wheel(tmp_path, "gramr2"))[0])) == list(map(str, metadata(wheel(dist, "gramr2"))[0]))


def test_every_extra_is_offered(dist: Path) -> None:
    required, extras = metadata(wheel(dist, "gramr2"))
    assert extras == set(PROJECT["optional-dependencies"])
    for extra, wanted in PROJECT["optional-dependencies"].items():
        here = {
            canonicalize_name(each.name) for each in required if each.marker and each.marker.evaluate({"extra": extra})
        }
        assert {canonicalize_name(Requirement(each).name) for each in wanted} <= here


def test_the_light_wheel_is_the_same_code_with_fewer_packages(dist: Path) -> None:
    whole, light = contents(wheel(dist, "gramr2")), contents(wheel(dist, "gramr2_light"))
    assert light.pop("gramr2/LICENSE")
    assert light == whole
    required = {str(each) for each in metadata(wheel(dist, "gramr2_light"))[0] if each.marker is None}
    assert required < {str(each) for each in metadata(wheel(dist, "gramr2"))[0]}
    assert not {canonicalize_name(Requirement(each).name) for each in required} & HEAVY


def environment(place: Path, file: Path) -> Path:
    """Python in an environment with a wheel and the installed packages that it asks for."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    plain = [each for each in metadata(file)[0] if each.marker is None or each.marker.evaluate({"extra": ""})]
    for name in constraints.tested(plain):
        for top, real in parts(name):
            if not (site / top).exists():
                (site / top).symlink_to(real)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(site)
    return place / "bin" / "python"


def parts(name: str) -> Iterator[tuple[str, Path]]:
    """The files and folders of an installed package at the top of site-packages."""
    here = distribution(name)
    tops = {each.parts[0] for each in here.files or () if each.parts[0] not in ("..", "__pycache__")}
    yield from ((top, Path(str(here.locate_file(top))).resolve()) for top in sorted(tops))


def gramr2(python: Path, *words: object, code: int = 0) -> tuple[str, str]:
    command = [str(python), "-m", "gramr2.cli.main", *map(str, words)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(python.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=python.parent, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


LIGHT = """
import importlib.util
assert not [name for name in ("torch", "transformers", "trl", "datasets") if importlib.util.find_spec(name)]
import gramr2, gramr2.client, gramr2.data, httpx
assert len(gramr2.data.load_labeled("starter:gold")[0]) == 244
assert gramr2.load_judge("scripted:longer").compare("p", "a", "bb").label is gramr2.Label.B
assert gramr2.__version__ != "0.0.0"
assert isinstance(gramr2.load_judge("http://127.0.0.1:9").model, gramr2.client.Client)
for name in gramr2.__all__:
    getattr(gramr2, name)
down = gramr2.Client("http://server", transport=httpx.MockTransport(lambda request: httpx.Response(400, json={"detail": "no"})))
pair = [gramr2.Comparison.of("p", "a", "b")]
asked = [
    lambda: down.compare(pair),
    lambda: down.classify(pair),
    lambda: down.rerank("p", ["a", "b"]),
    lambda: down.score_texts("p", ["a", "b"]),
    lambda: down.cohort("g", 2, "p", "a"),
]
for each in asked:
    try:
        each()
    except gramr2.client.ServerError as error:
        assert error.status == 400
    else:
        raise AssertionError("it was refused")
"""


def test_without_torch_there_are_the_client_the_data_tools_and_evaluation(dist: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "light", wheel(dist, "gramr2_light"))
    subprocess.run([str(python), "-c", LIGHT], check=True)
    assert gramr2(python, "--version")[0] == f"gramr2 {PROJECT['version']}\n"
    gramr2(python, "init", "starter:labeled", "starter:unlabeled", "starter:gold")
    assert "448 seed" in gramr2(python, "check", "run.yaml")[0]
    for number, judge in enumerate(("longer", "scripted:random")):
        gramr2(python, "eval", "-m", judge, "-b", "starter:gold", "--out", f"e{number}")
    assert "longer" in gramr2(python, "compare", "e0", "e1")[0]
    gramr2(python, "view", "e0")
    gramr2(python, "contamination", "starter:labeled", "--against", "starter:gold")
    gramr2(python, "judge", "-m", "longer", "-d", "starter:gold", "-o", "out.jsonl")
    found = json.loads(gramr2(python, "doctor", "--offline", "--json")[0])
    assert "gramr2-light" in found["findings"][1]["told"]
    _, error = gramr2(python, "judge", "-m", "lab-tiny", "-d", "lab:gold", "-o", "x.jsonl", code=2)
    assert "needs the package" in error and "pip uninstall gramr2-light, then  pip install gramr2" in error
    assert "Traceback" not in error


def test_the_whole_wheel_judges_with_the_model_that_it_brings(dist: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "whole", wheel(dist, "gramr2"))
    command = ("eval", "-m", "lab-tiny", "-b", "lab:gold", "--limit", "2", "--max-new-tokens", "8", "--close", "--json")
    assert json.loads(gramr2(python, *command)[0])["n"] == 2
