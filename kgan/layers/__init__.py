"""Layers of the five systems, on `keras.ops` alone; importing this registers them for `keras.models.load_model`."""

from kgan.layers import addons
from kgan.layers.attention import CAM, Heatmap
from kgan.layers.normalization import LIN, AdaIN, AdaLIN, InstanceNormalization
from kgan.layers.resampling import NearestUpsampling2D, ReflectionPadding2D
from kgan.layers.spectral import SpectralNormalization

__all__ = [
    "CAM",
    "LIN",
    "AdaIN",
    "AdaLIN",
    "Heatmap",
    "InstanceNormalization",
    "NearestUpsampling2D",
    "ReflectionPadding2D",
    "SpectralNormalization",
    "addons",
]
