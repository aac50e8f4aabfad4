"""One file per kind of wrong evidence; each registers its rows."""
