"""What was declared and what follows from it: pure data, standard library only, no tensor in sight."""
