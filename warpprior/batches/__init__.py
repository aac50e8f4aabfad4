"""Many clips: refined in processes of their own, each into a folder of its own, with one table of what came out."""
