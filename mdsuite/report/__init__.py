"""What a person reads and what a program reads of an assessment."""
