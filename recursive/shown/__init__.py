"""A recurrent container shown: what every step computed, where everything runs, and the same network as a script."""
