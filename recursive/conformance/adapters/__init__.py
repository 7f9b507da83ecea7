"""Ports of the declaration, each an adapter for the runner."""
