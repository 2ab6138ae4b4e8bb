"""The checks checked: every defect of the zoo must be found, and no clean twin may be suspected."""
