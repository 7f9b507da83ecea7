"""Layers, in the rooms where Keras 0.1.3 had them: core, embeddings, recurrent, containers."""
