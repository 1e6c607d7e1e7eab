#!/usr/bin/env python3
"""Timings of PyTorch for comparison, on the CPU or with --device cuda on a GPU: PGD, forward, training and adversarial training.

    python3 pytorch_bench.py --threads 2 --widths 16,32,64 --blocks 3,3,3
    python3 pytorch_bench.py --weights model.safetensors --folded --json out.json
    python3 pytorch_bench.py --timm vit_small_patch16_224 --height 224 --width 224

Weights are a model file of the program (assets/models/*.safetensors, say), or in torchvision's
naming with the metadata that make_fixtures.py writes. Medians of
--runs runs after --warmup runs, eager mode, float32, on random pictures in [0,1].

Rows:
    pgd_b1               PGD in the l2 ball on one picture: --steps times forward, input gradient
                         and step, then the forward of the final evaluation
    forward_bN           forward in eval mode, no autograd
    train_bN             forward in train mode, cross-entropy, backward, SGD with momentum
    adversarial_train_bN one input gradient in train mode and a sign step, then train_bN
    gradient_b1, _bN     forward in eval mode and input gradient
    invert20_b1          twenty steps of representation inversion: forward to the pooled features,
                         relative distance to a target's, input gradient, step of length 1, clamp
    ig50_b1              captum's integrated gradients of one logit, 50 Gauss-Legendre steps from
                         black, in its default single batch; only where captum is installed

Parameters are frozen in pgd and gradient. --folded merges BatchNorm into the convolutions for
all but the two training rows. Of a network of timm, with random weights, there are pgd_b1 and
gradient_b1; --export writes it as an ONNX file for the program's bench.
"""
# Requirement: pip install torch numpy safetensors (captum, timm)

import argparse
import copy
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.fx.experimental.optimization
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

try:
    from captum.attr import IntegratedGradients
except ImportError:
    IntegratedGradients = None

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "fixtures"))
from make_fixtures import BLOCKS, ResNet, input_gradient, l2_norm, pgd_step  # noqa: E402


def from_manifest(text):
    """Untrained network as the manifest inside a model file of the program describes it."""
    manifest = json.loads(text)
    shape, normalizer = manifest["architecture"], manifest["normalizer"]
    return ResNet(shape["stem"], shape["block"], shape["widths"], shape["blocks"], shape["classes"],
                  tuple(normalizer["mean"]), tuple(normalizer["std"]))


def load(path):
    """Network from a safetensors file with metadata."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    model = from_manifest(metadata["epsiloscope"]) if "epsiloscope" in metadata else ResNet.from_metadata(metadata)
    result = model.load_state_dict(load_file(path), strict=False)
    missing = [k for k in result.missing_keys if not k.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        raise SystemExit(f"{path}: missing {missing}, unexpected {result.unexpected_keys}")
    return model


def fold(model):
    """Copy of an eval-mode network with every BatchNorm merged into its convolution."""
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        for i in "123":
            if hasattr(module, f"bn{i}"):
                fused = fuse_conv_bn_eval(getattr(module, f"conv{i}"), getattr(module, f"bn{i}"))
                setattr(module, f"conv{i}", fused)
                setattr(module, f"bn{i}", nn.Identity())
        if isinstance(getattr(module, "downsample", None), nn.Sequential):
            module.downsample = fuse_conv_bn_eval(*module.downsample)
    return model


def timed(action, runs, warmup):
    """Median, smallest and largest milliseconds of the action, until a GPU has done its work."""
    def finish():
        if torch.get_default_device().type == "cuda":
            torch.cuda.synchronize()

    for _ in range(warmup):
        action()
    finish()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        finish()
        times.append(1e3 * (time.perf_counter() - start))
    return {"median_ms": statistics.median(times), "min_ms": min(times), "max_ms": max(times)}


def pgd(frozen, x, y, args):
    """PGD in the l2 ball, with the forward of the final evaluation."""
    x_adv = x
    for _ in range(args.steps):
        grad = input_gradient(frozen, x_adv, y)
        x_adv = pgd_step(x_adv, x, grad, "l2", args.eps, args.step)
    with torch.inference_mode():
        return frozen(x_adv).argmax(1)


def frozen_actions(frozen, args):
    """The timed actions of any network, on one picture."""
    x, y = torch.rand(1, 3, args.height, args.width), torch.zeros(1, dtype=torch.long)
    return {
        "pgd_b1": lambda: pgd(frozen, x, y, args),
        "gradient_b1": lambda: input_gradient(frozen, x, y),
    }


def actions(model, args):
    """The timed actions by name."""
    classes = model.config["classes"]
    batch = args.batch
    x = torch.rand(batch, 3, args.height, args.width)
    y = torch.randint(classes, (batch,))
    x1, y1 = x[:1].clone(), y[:1].clone()

    plain = copy.deepcopy(model).eval().requires_grad_(False)
    frozen = fold(plain) if args.folded else plain
    with torch.no_grad():
        expected = plain(x1)
        error = (frozen(x1) - expected).abs().max() / expected.abs().max()
    if error > 1e-3:
        raise SystemExit(f"folding changed the logits by {error:.1e}")
    trained = copy.deepcopy(model).train().requires_grad_(True)
    # a tiny rate keeps the weights finite over many runs and costs the same
    sgd = torch.optim.SGD(trained.parameters(), lr=1e-5, momentum=0.9, weight_decay=5e-4)

    def embed(pixels):
        return frozen.features(pixels).mean((2, 3))

    with torch.no_grad():
        target = embed(x[-1:])
        length = target.norm()
    inverted = [torch.full_like(x1, 0.5) + torch.rand_like(x1) / 20]

    def invert():
        for _ in range(20):
            pixels = inverted[0].requires_grad_()
            loss = (embed(pixels) - target).norm() / length
            (grad,) = torch.autograd.grad(loss, pixels)
            loss.item()  # it is plotted
            inverted[0] = (pixels.detach() - grad / l2_norm(grad).clamp_min(1e-12)).clamp(0, 1)

    def forward():
        with torch.inference_mode():
            return frozen(x)

    def train(inputs=x):
        sgd.zero_grad(set_to_none=True)
        F.cross_entropy(trained(inputs), y).backward()
        sgd.step()

    def adversarial_train():
        grad = input_gradient(trained, x, y)  # computes no parameter gradients
        train(pgd_step(x, x, grad, "linf", 8 / 255, 8 / 255))

    def integrated_gradients():
        return captum_ig.attribute(x1, torch.zeros_like(x1), 0, n_steps=50, method="gausslegendre")

    captum_rows = {}
    if IntegratedGradients is not None:
        captum_ig = IntegratedGradients(frozen)
        captum_rows["ig50_b1"] = integrated_gradients
    return {
        **captum_rows,
        "pgd_b1": lambda: pgd(frozen, x1, y1, args),
        "invert20_b1": invert,
        f"forward_b{batch}": forward,
        f"train_b{batch}": train,
        f"adversarial_train_b{batch}": adversarial_train,
        "gradient_b1": lambda: input_gradient(frozen, x1, y1),
        f"gradient_b{batch}": lambda: input_gradient(frozen, x, y),
    }


def arguments():
    """Command line."""
    ints = lambda text: [int(v) for v in text.split(",")]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--weights", type=Path, help="safetensors; without it, a random network")
    parser.add_argument("--timm", metavar="NAME", help="a network of timm with random weights")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the network of timm as ONNX")
    parser.add_argument("--stem", choices=["cifar", "cifar-half", "imagenet"], default="cifar")
    parser.add_argument("--block", choices=sorted(BLOCKS), default="basic")
    parser.add_argument("--widths", type=ints, default=[16, 32, 64])
    parser.add_argument("--blocks", type=ints, default=[3, 3, 3])
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--folded", action="store_true", help="merge BatchNorm outside training")
    parser.add_argument("--height", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--eps", type=float, default=0.5)
    parser.add_argument("--step", type=float, default=0.1)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--only", help="only rows whose name starts with this")
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    return parser.parse_args()


def main():
    """Time everything, print a table and JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.set_default_device(args.device)
    if args.timm:
        import timm
        model = timm.create_model(args.timm).eval().requires_grad_(False)
        if args.export:
            shape = (1, 3, args.height, args.width)
            axes = {"x": {0: "n"}, "y": {0: "n"}}
            torch.onnx.export(model, torch.rand(shape), args.export, dynamo=False, input_names=["x"],
                              output_names=["y"], dynamic_axes=axes)
        if args.folded:
            model = torch.fx.experimental.optimization.fuse(model)
        model = model.to(args.device)
        network, timed_actions = args.timm, frozen_actions(model, args)
    else:
        if args.weights:
            model = load(args.weights)
        else:
            model = ResNet(args.stem, args.block, args.widths, args.blocks, args.classes)
        model = model.to(args.device)
        network, timed_actions = model.metadata(), actions(model, args)
    results = {
        name: timed(action, args.runs, args.warmup)
        for name, action in timed_actions.items()
        if not args.only or name.startswith(args.only)
    }
    report = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if args.device == "cuda" else "cpu",
        "threads": args.threads,
        "network": network,
        "parameters": sum(p.numel() for p in model.parameters()),
        "input": [args.height, args.width],
        "folded": args.folded,
        "steps": args.steps,
        "runs": args.runs,
        "results": results,
    }
    folded = ", BatchNorm folded outside training" if args.folded else ""
    print(f"PyTorch {torch.__version__}, {args.threads} threads, "
          f"{report['parameters']} parameters, {args.height}x{args.width}{folded}")
    print(f"{'':24}{'median':>10}{'min':>10}{'max':>10}  ms")
    for name, row in results.items():
        print(f"{name:24}{row['median_ms']:10.2f}{row['min_ms']:10.2f}{row['max_ms']:10.2f}")
    text = json.dumps(report, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
