#!/usr/bin/env bash
# The self-test of the graphics adapter and the benchmark of every way to run models on it, in one table, with PyTorch beside
# it where one with CUDA is installed.
#
#     benches/gpu.sh [FILE]
#
# FILE, gpu.txt without one, has adapter, driver and versions. What a person chose in the window is not changed.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-gpu.txt}
runs=${RUNS:-20}
models=cifar10-standard,cifar10-robust,photographs-robust
EPSILOSCOPE_HOME=$(mktemp -d)
export EPSILOSCOPE_HOME
trap 'rm -rf "$EPSILOSCOPE_HOME"' EXIT

cargo build --release
program=${CARGO_TARGET_DIR:-target}/release/epsiloscope

{
    date -u '+%Y-%m-%d %H:%M UTC'
    uname -sr
    echo "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
    echo
    "$program" graphics --test
    for way in shaders matrix-product burn; do
        echo
        echo "=== $way"
        "$program" graphics --use "$way" >/dev/null
        for rows in pgd gradient forward; do
            "$program" bench --backend wgpu --runs "$runs" --only "$rows" --models "$models"
        done
    done
    echo
    echo "=== cpu"
    for rows in pgd gradient forward; do
        "$program" bench --backend cpu --runs "$runs" --only "$rows" --models "$models"
    done
    if python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
        for name in cifar10-standard cifar10-robust; do
            echo
            echo "=== PyTorch, $name"
            python3 benches/pytorch_bench.py --device cuda --runs "$runs" --weights "assets/models/$name.safetensors" |
                sed '/^{/,$d'
        done
    else
        echo
        echo "PyTorch: none with CUDA is installed."
    fi
} | tee "$out"
echo "Written to $out."
