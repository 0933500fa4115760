#!/usr/bin/env bash
# Everything that needs a GPU, in under ten minutes and without a network: tests, decisions, judging, training, memory.
#   bash benchmarks/gpu.sh gpu.json [SHAPE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHONPATH=src exec "${PYTHON:-python3}" benchmarks/gpu.py --json "${1:-gpu.json}" --shapes "${@:2}"
