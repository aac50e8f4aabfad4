"""One file per topic; every file here is imported by the harness and registers its cases."""
