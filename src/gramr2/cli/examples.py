"""Examples at the end of each command's help. A test parses every one, so that they name flags that there are."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": (
        "gramr2 init labels.jsonl pairs.parquet",
        "gramr2 init votes.csv --columns prompt=q --columns responses=left,right --columns label=pref --label-map left=A",
    ),
    "doctor": ("gramr2 doctor", "gramr2 doctor --offline --json"),
    "check": ("gramr2 check run.yaml", "gramr2 check run.yaml --cost --kept 0.2"),
    "train": ("gramr2 train run.yaml", "gramr2 train run.yaml --out runs/second"),
    "judge": (
        "gramr2 judge --model runs/run --data pairs.jsonl --out decisions.jsonl",
        "gramr2 judge -m openai:Qwen/Qwen3-8B@http://127.0.0.1:8000/v1 -d pairs.csv -o decisions.jsonl --votes 4",
    ),
    "rank": (
        "gramr2 rank --model runs/run --data samples.jsonl --out ranked.jsonl --pairs dpo.jsonl",
        "gramr2 rank -m http://127.0.0.1:8000 -d samples.jsonl -o ranked.jsonl --scheme swiss",
    ),
    "score": (
        "gramr2 score --model runs/run --data responses.jsonl --out scored.jsonl --references bank.jsonl",
        "gramr2 score -m runs/run -d responses.jsonl -o scored.jsonl --by rationale",
    ),
    "eval": (
        "gramr2 eval --model runs/run --benchmark held-out.jsonl --out runs/eval/mine",
        "gramr2 eval -m runs/run -b rewardbench --limit 200 --json",
    ),
    "stress": ("gramr2 stress --model runs/run --data pairs.jsonl --limit 100 --max-rate 0.1",),
    "compare": ("gramr2 compare runs/eval/first runs/eval/second",),
    "view": (
        "gramr2 view runs/eval/mine --open",
        "gramr2 view runs/eval/mine --parquet items.parquet --rewardbench results",
    ),
    "contamination": (
        "gramr2 contamination runs/run --against held-out.jsonl rewardbench.jsonl",
        "gramr2 contamination train.jsonl pool.parquet --against held-out.jsonl --out found.jsonl --max-rate 0",
    ),
    "report": ("gramr2 report runs/run", "gramr2 report runs/run --out report.html"),
    "inspect": ("gramr2 inspect runs/run", "gramr2 inspect runs/run --round 2 --dropped-by consistency"),
    "review": (
        "gramr2 review runs/run --out look.csv",
        "gramr2 review runs/run --out more.jsonl --take look.csv",
    ),
    "verify": ("gramr2 verify runs/run",),
    "adapt": (
        "gramr2 adapt --model runs/run --data task.jsonl --out adapted --general general.jsonl",
        "gramr2 adapt -m runs/run -d task.jsonl -o adapted --curve 16,64,256",
    ),
    "export": (
        "gramr2 export --model runs/run --out exported --dtype bfloat16 --for vllm",
        "gramr2 export -m adapted -o exported --push-to-hub me/my-judge --private",
    ),
    "serve": ("gramr2 serve --model runs/run --port 8000", "gramr2 serve -m runs/run --port 0 --deadline 30"),
    "ui": ("gramr2 ui pairs.jsonl --label seed.jsonl --annotator ann", "gramr2 ui runs/run"),
    "mcp": ("gramr2 mcp --model runs/run", "gramr2 mcp --model http://127.0.0.1:8000"),
    "ablate": (
        "gramr2 ablate --out ablation --seeds 3",
        "gramr2 ablate -o ablation --domain run.yaml --test test.jsonl --only full,seed-only,longer",
    ),
    "lab train": ("gramr2 lab train --out runs/lab",),
    "lab config": ("gramr2 lab config",),
    "lab data": ("gramr2 lab data labeled --out labels.jsonl --limit 100",),
    "lab audit": ("gramr2 lab audit runs/lab",),
    "lab pretrain": ("gramr2 lab pretrain --out tiny --steps 100",),
    "lab rlhf": ("gramr2 lab rlhf --judge runs/lab --out rlhf --seeds 1 --only judge,verifier",),
    "models list": ("gramr2 models list",),
    "models pull": ("gramr2 models pull smollm2-135m",),
}


def epilog(command: str) -> str:
    """The examples of a command, as click shows them at the end of its help."""
    shown = EXAMPLES[command]
    # Click would wrap the lines of a paragraph that does not begin with this mark.
    return "\n".join(["\b", "Example:" if len(shown) == 1 else "Examples:", *(f"  {each}" for each in shown)])
