"""How often checks find what is wrong, and how often they find something where nothing is."""
