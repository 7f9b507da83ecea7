"""Ports, each as a page of code: what the runner is given."""
