"""``gramr2 export``: a judge as a self-contained folder, checked, documented, and optionally on the hub."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gramr2.cli.console import Bars, Json, Quiet, say, say_json, set_up_logging
from gramr2.cli.opening import Tokens
from gramr2.cli.reading import reads
from gramr2.config.data import Layout
from gramr2.errors import ConfigError, RunError, reason_of
from gramr2.loading import require

if TYPE_CHECKING:
    from gramr2.comparison import Comparison
    from gramr2.exporting.source import Source


@reads
def export(
    model: Annotated[str, typer.Option("--model", "-m", help="Run, adaptation, model folder, or LoRA adapter folder.")],
    layout: Layout,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder of the exported judge.")],
    dtype: Annotated[str, typer.Option("--dtype", help="keep, float32, bfloat16 or float16.")] = "keep",
    check: Annotated[
        str | None, typer.Option("--check", help="Comparisons to check on; default: the run's gold, else starter:gold.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Check on N comparisons.")] = 64,
    server: Annotated[
        str | None,
        typer.Option("--for", help="Prepare it for vllm, sglang or llama.cpp, and say what starts the server."),
    ] = None,
    push: Annotated[
        str | None, typer.Option("--push-to-hub", metavar="OWNER/NAME", help="Also upload it to this hub repository.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="If the repository is new, make it private.")] = False,
    max_new_tokens: Tokens = 256,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Export a judge: merge, save, load again, and refuse if a decision differs; writes a model card."""
    set_up_logging(quiet or as_json)
    from gramr2.exporting.export import DTYPES, publish
    from gramr2.exporting.export import export as save
    from gramr2.exporting.source import find

    require(dtype, DTYPES, "--dtype")
    if server is not None:
        from gramr2.exporting.servers import Server, commands, prepare

        require(server, tuple(Server), "--for")
    if push is not None and push.count("/") != 1:
        raise ConfigError(f"--push-to-hub {push!r} is not a hub repository: write it as OWNER/NAME")
    source = find(model)
    comparisons = _comparisons(source, check, limit, layout)
    scratch, template, checked = save(
        source, out, comparisons, dtype=dtype, max_new_tokens=max_new_tokens, observer=Bars(quiet or as_json)
    )
    from gramr2.exporting.card import card

    try:
        stored = json.loads((scratch / "config.json").read_text(encoding="utf-8"))
        precision = str(stored.get("dtype") or stored.get("torch_dtype"))
        text = card(source, template, checked, precision, (push or out.absolute().name).rpartition("/")[2])
        rendered = prepare(scratch, template, comparisons) if server else None
        (scratch / "README.md").write_text(text, encoding="utf-8")
        publish(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    url = _push(out, push, private) if push else None
    if as_json:
        told = {"server": commands(Server(server), out), "rendered": asdict(rendered)} if server and rendered else {}
        say_json({"judge": str(out), "check": asdict(checked), "dtype": precision, "url": url} | told)
        return
    say(
        f"{out}: {checked.comparisons} of {checked.comparisons} comparisons are decided as before "
        f"(largest shift of a probability {checked.largest_shift:.2g}); stored as {precision}"
    )
    if server and rendered:
        say(
            f"{server} makes the same tokens of {rendered.same} of {rendered.prompts} prompts; their texts are the same"
        )
        for line in commands(Server(server), out):
            say(f"  {line}")
    if url:
        say(url)


def _comparisons(source: Source, check: str | None, limit: int, layout: Layout) -> tuple[Comparison, ...]:
    from gramr2.data import load_unlabeled, subset

    gold = source.record / "rounds" / "0" / "gold.jsonl" if source.record else None
    before = source.record / "before.jsonl" if source.record else None
    own = next((str(file) for file in (gold, before) if file and file.is_file()), "starter:gold")
    loaded = load_unlabeled(check, layout=layout) if check else load_unlabeled(own)
    return subset(loaded[0], limit, 0)


def _push(folder: Path, repository: str, private: bool) -> str:
    """Upload a folder; if that fails, the local folder stays as it is.

    Raises:
        RunError: the hub did not accept it.
    """
    from huggingface_hub import HfApi, errors

    client_error = errors.HTTPError  # type: ignore[attr-defined]  # of httpx or httpx2, whichever the hub uses
    try:
        api = HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        if private and not api.repo_info(repository).private:
            raise RunError(f"{repository} already exists and is public, so nothing was uploaded; {folder} is complete")
        done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Add the judge")
    except (client_error, errors.LocalTokenNotFoundError, errors.HFValidationError, OSError) as error:
        raise RunError(
            f"{folder} is complete, but uploading it to {repository} failed ({reason_of(error)}): log in with  hf auth login  "
            f"and upload it with  hf upload {repository} {folder}"
        ) from error
    return str(done.commit_url)
