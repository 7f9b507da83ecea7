"""Random compositions of layers, held to relations such as nested = flat."""
