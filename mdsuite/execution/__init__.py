"""Where and how runs are carried out."""
