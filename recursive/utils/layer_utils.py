"""Layers from their configurations, in the module where Keras 0.1 had them."""

from recursive.layers.config import layer_from_config

__all__ = ["layer_from_config"]
