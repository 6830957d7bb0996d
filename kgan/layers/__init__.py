"""Layers of systems, on `keras.ops` alone; importing this registers them for `keras.models.load_model`."""

from kgan.layers import addons
from kgan.layers.attention import CAM, Heatmap
from kgan.layers.batch import BatchNormalization, Dropout
from kgan.layers.equalized import EqualizedConv2D, EqualizedDense
from kgan.layers.labels import AppendLabel
from kgan.layers.normalization import LIN, AdaIN, AdaLIN, InstanceNormalization, PixelNormalization
from kgan.layers.resampling import Blur2D, DepthToSpace2D, NearestUpsampling2D, ReflectionPadding2D
from kgan.layers.spectral import SpectralNormalization
from kgan.layers.style import Bias, Fade, LearnedConstant, MinibatchDeviation, Noise, Style, Truncation

__all__ = [
    "CAM",
    "LIN",
    "AdaIN",
    "AdaLIN",
    "AppendLabel",
    "BatchNormalization",
    "Bias",
    "Blur2D",
    "DepthToSpace2D",
    "Dropout",
    "EqualizedConv2D",
    "EqualizedDense",
    "Fade",
    "Heatmap",
    "InstanceNormalization",
    "LearnedConstant",
    "MinibatchDeviation",
    "NearestUpsampling2D",
    "Noise",
    "PixelNormalization",
    "ReflectionPadding2D",
    "SpectralNormalization",
    "Style",
    "Truncation",
    "addons",
]
