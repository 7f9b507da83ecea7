"""How fast the library starts and trains, compared between two checkouts."""
