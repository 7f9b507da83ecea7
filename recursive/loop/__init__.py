"""The plan made symbolic: one step, the scan that repeats it, and the states it starts from."""
