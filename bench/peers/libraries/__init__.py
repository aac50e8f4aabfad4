"""One file per library, found by listing this folder; each has ``LIBRARY`` and imports what it measures when used."""
