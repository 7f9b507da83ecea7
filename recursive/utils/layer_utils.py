"""Layers from their configurations, where Keras 0.1 had them: ``keras.utils.layer_utils``."""

from recursive.layers.config import layer_from_config

__all__ = ["layer_from_config"]
