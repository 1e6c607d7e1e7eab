#!/usr/bin/env python3
"""Time and accuracy of AutoAttack by its authors' program, for comparison with `epsiloscope evaluate --attack auto`.

    pip install torch safetensors numpy pillow git+https://github.com/fra31/auto-attack
    python3 autoattack_bench.py --weights ../assets/models/cifar10-robust.safetensors --folder cifar10/test \\
        --limit 64 --norm L2 --eps 0.5 --threads 2
    epsiloscope evaluate --data cifar10 --limit 64 --models cifar10-robust --attack l2:0.5:auto --backend cpu

FOLDER has a folder of pictures for each class. Both programs take the same pictures, evenly spaced among all in
alphabetical order. Prints seconds, the share of right predictions and the share that withstands all four attacks.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from autoattack import AutoAttack
from pytorch_bench import fold, load


def pictures(folder, limit):
    """`[n, 3, h, w]` in [0, 1] and the numbers of their classes."""
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = [(path, number) for number, name in enumerate(classes) for path in sorted((folder / name).iterdir())]
    files = [files[at * len(files) // limit] for at in range(limit)]
    pixels = [np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255 for path, _ in files]
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
    return x, torch.tensor([number for _, number in files])


def main():
    """Times one run of the standard sequence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--norm", choices=["L2", "Linf"], default="L2")
    parser.add_argument("--eps", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folded", action="store_true", help="merge BatchNorm into the convolutions")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load(args.weights).eval().requires_grad_(False)
    model = fold(model) if args.folded else model
    x, y = pictures(args.folder, args.limit)
    clean = (model(x).argmax(1) == y).float().mean().item()
    attack = AutoAttack(model, norm=args.norm, eps=args.eps, version="standard", device="cpu", seed=0)
    begun = time.perf_counter()
    attacked = attack.run_standard_evaluation(x, y, bs=64)
    seconds = time.perf_counter() - begun
    robust = (model(attacked).argmax(1) == y).float().mean().item()
    print(f"{seconds:.1f} s, {clean:.1%} right, {robust:.1%} withstand AutoAttack")


if __name__ == "__main__":
    main()
