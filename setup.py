"""Packages of kgan: `kgan/`, and the top-level folders `export/` and `configs/` as kgan.export and kgan.configs."""

from pathlib import Path

from setuptools import find_packages, setup

packages = ["kgan", *(f"kgan.{name}" for name in find_packages("kgan")), "kgan.configs"]
packages += ["kgan.export", *(f"kgan.export.{name}" for name in find_packages("export"))]

setup(
    name="kgan",
    version="0.1.0",
    description="From two folders of pictures to a photo-to-anime filter on a phone: image translation with Keras 3",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.13",
    packages=packages,
    package_dir={"kgan.export": "export", "kgan.configs": "configs"},
    package_data={"kgan": ["assets/*", "serve/page/**/*"], "kgan.filters": ["*.keras", "*.tflite", "*.json"]},
    install_requires=[
        # tensorflow and not tensorflow-cpu: the extra `compress` needs the distribution of this name.
        "tensorflow>=2.21,<2.22",
        "keras>=3.15,<3.16",
        "numpy>=2",
        "pillow>=11",
        "h5py>=3.11",  # models of tf.keras 2; Keras brings it too
        "absl-py>=1.4,<2",
        "ml_collections>=1.1",
        "ai-edge-litert==2.3.0",
        "ai-edge-quantizer==0.10.0",  # static 8-bit recipes; pins ai-edge-litert
        "tensorboard>=2.20",  # also writes scalars and images where TensorFlow is absent
        "tqdm>=4.66",
    ],
    extras_require={
        "compress": ["tensorflow-model-optimization==0.8.1"],
        # End of life since May 2024: only the parity tests of kgan.layers.addons use it.
        "addons": ['tensorflow-addons==0.23.0; python_version < "3.12"', "tf_keras>=2.21,<2.22"],
        "metrics": ["scikit-learn>=1.5"],  # linear separability of StyleGAN's latents: its SVM and its classifiers
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "jax": ["jax>=0.10", "jaxlib>=0.10"],
        "dev": [
            *("pytest>=8", "pytest-timeout>=2.3", "pytest-xdist>=3.6", "ruff>=0.17", "mypy>=2"),
            *("setuptools>=70.1", "scikit-learn>=1.5"),
        ],
    },
    entry_points={"console_scripts": ["kgan = kgan.__main__:main"]},
)
