"""Packaging of recursive-rnn. See docs/dependencies.md for the reasons."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (HERE / "recursive" / "__init__.py").read_text(), re.M
)[1]

EXTRAS = {
    "c": ["scipy-openblas32>=0.3.27"],
    "jax": ["jax>=0.8"],
    "examples": ["scikit-learn>=1.4", "matplotlib>=3.9", "xarray>=2024.6"],
    "yaml": ["pyyaml>=6.0.1"],
    "tensorboard": ["tensorboardX>=2.6.2"],
    "test": [
        "pytest>=8.0",
        "pytest-xdist>=3.6",
        "ruff>=0.17,<0.18",
        "pyyaml>=6.0.1",
        "hypothesis>=6.100",
        "jsonschema>=4.18",
        "tensorboardX>=2.6.2",
    ],
    "notebooks": ["jupytext>=1.16", "nbmake>=1.5", "pytest>=8.0", "matplotlib>=3.9"],
    "docs": [
        "sphinx>=7.3",
        "myst-parser>=3.0",
        "furo>=2024.8.6",
        "scikit-learn>=1.4",
    ],
    "bench": ["keras>=3.8", "matplotlib>=3.9", "torch>=2.8"],
}
EXTRAS["all"] = sorted(
    {package for packages in EXTRAS.values() for package in packages}
)

setup(
    name="recursive-rnn",
    version=VERSION,
    description="Recurrent networks declared as graphs of inputs, states and nodes",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["recursive", "recursive.*"]),
    package_data={
        "recursive": [
            "py.typed",
            "conformance/cases/*.json",
            "conformance/cases/*/*/*/*",
            "conformance/v1.*/*.json",
            "conformance/v1.*/*/*.json",
            "conformance/v1.*/cases/*/*/*",
            "conformance/adapters/*.js",
        ]
    },
    install_requires=[
        "pytensor>=3.0.7,<4",
        "numpy>=2.0",
        "scipy>=1.13",
        "tqdm>=4.66",
        "h5py>=3.11",
        "safetensors>=0.4.3",
        "threadpoolctl>=3.5",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["recursive = recursive.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
