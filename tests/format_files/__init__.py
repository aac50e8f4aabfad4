"""Files in the layouts of others, written here without the readers and writers of the package."""
