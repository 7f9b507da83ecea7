"""Ways to look into a recurrent container: traces, gradients, a table, and scripts."""
