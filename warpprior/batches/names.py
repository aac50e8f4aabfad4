"""What lies in the folder of a batch beside the result folders: no clip can be called that."""

JOURNAL_FOLDER = "journal"
LOG_FOLDER = "logs"
CSV_FILE, PARQUET_FILE = "summary.csv", "summary.parquet"
INDEX_FILE = "index.html"
RESERVED = (JOURNAL_FOLDER, LOG_FOLDER, CSV_FILE, PARQUET_FILE, INDEX_FILE)
