"""Whether int8 weights would make a CPU faster: the products of a model's layers beside those in fp32 and bf16, packed.

    python benchmarks/int8_products.py [--model smollm2-135m] [--rows 1 16 64 512 2048] [--json FILE]

Weights have a scale for each output, activations one for each row, measured when they come: results then do not depend on what
else is in the batch, which a scale for the whole of it would make them. Activations have 7 bits, since products of 8 and 8 bits
overflow in a processor without VNNI. The output layer is left out: it chooses the tokens. Best of five, each row count by itself;
a weight may stay in the processor's cache meanwhile, which a model's do not.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gramr2.backends.hardware import versions
from gramr2.backends.packing import pack
from gramr2.backends.pretrained import open_causal
from gramr2.backends.registry import resolve

RANGE = 63.0
"""largest activation, in units of its row's scale"""
OPERATIONS = 3e9
"""that one measurement takes, or 200 products"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 64, 512, 2048])
    parser.add_argument("--json", type=Path, dest="path")
    options = parser.parse_args(arguments)
    model = open_causal(resolve(options.model), dtype=torch.float32).eval()
    layers = [each for name, each in model.named_modules() if isinstance(each, nn.Linear) and name != "lm_head"]
    shapes = Counter((each.in_features, each.out_features) for each in layers)
    examples = {shape: next(e for e in layers if (e.in_features, e.out_features) == shape) for shape in shapes}
    quantised = {shape: in_int8(each.weight.detach()) for shape, each in examples.items()}
    error = {shape: apart(examples[shape], quantised[shape]) for shape in shapes}
    halves = {shape: copy.deepcopy(each).bfloat16() for shape, each in examples.items()}
    if not pack(nn.ModuleList(halves.values())):
        halves = {}
    if not pack(model):
        raise SystemExit("weights are not packed on this device: there is nothing to compare with")
    found = {}
    with torch.inference_mode():
        for rows in options.rows:
            ways = {"fp32": 0.0, "int8": 0.0} | ({"bf16": 0.0} if halves else {})
            for (inputs, outputs), count in shapes.items():
                values, again = torch.randn(rows, inputs), max(3, int(OPERATIONS / (2 * rows * inputs * outputs)))
                shape = (inputs, outputs)
                layers_of = {"fp32": examples[shape], "int8": quantised[shape], "bf16": halves.get(shape)}
                for name in ways:
                    layer = layers_of[name]
                    given = values.bfloat16() if name == "bf16" else values
                    ways[name] += count * seconds(layer, given, min(again, 200))
            found[rows] = {f"{name}_ms": 1e3 * took for name, took in ways.items()}
            found[rows] |= {
                "ratio": ways["fp32"] / ways["int8"],
                "ratio_of_bf16": ways["fp32"] / ways["bf16"] if halves else None,
            }
    shown = {f"{a} x {b}": round(value, 4) for (a, b), value in error.items()}
    report = {"rows": found, "relative_error": shown, "layers": len(layers), "versions": versions()}
    text = json.dumps(report, indent=1)
    print(text)
    if options.path:
        options.path.write_text(text + "\n", encoding="utf-8")


def in_int8(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """The product with a weight (outputs, inputs) in int8."""
    scales = weight.abs().amax(1).clamp_min(1e-12) / 127
    whole = torch.round(weight / scales[:, None]).to(torch.int8)
    zeros = torch.zeros(len(scales), dtype=torch.long)
    packed = torch.ops.quantized.linear_prepack(
        torch._make_per_channel_quantized_tensor(whole, scales.double(), zeros, 0), None
    )
    product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32

    def layer(values: Tensor) -> Tensor:
        units = values.abs().amax(1, keepdim=True).clamp_min(1e-12) / RANGE
        found: Tensor = product(values / units, 1.0, 64, packed) * units
        return found

    return layer


def apart(exact: nn.Linear, layer: Callable[[Tensor], Tensor]) -> float:
    """Norm of the difference to the exact product, relative to that, on random activations; rows must not affect each other."""
    values = torch.randn(64, exact.in_features)
    with torch.inference_mode():
        expected, found = exact(values), layer(values)
        if not torch.equal(found[:17], layer(values[:17])):
            raise SystemExit("the int8 product of a row depends on the other rows")
    return float((found - expected).norm() / expected.norm())


def seconds(layer: Callable[[Tensor], Tensor], values: Tensor, again: int) -> float:
    """Of one product, the best of five measurements."""
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(again):
            layer(values)
        best = min(best, (time.perf_counter() - start) / again)
    return best


if __name__ == "__main__":
    main()
