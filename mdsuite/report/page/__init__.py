"""report.html: the same evidence in one file that needs no network."""
