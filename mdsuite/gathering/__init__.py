"""Results of campaigns of any size: one record for each run, tables of them, and a report in bounded memory."""
