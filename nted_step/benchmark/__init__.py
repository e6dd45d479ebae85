"""How fast the model runs here."""
