"""Who makes models: students of a teacher, or of frames that are labelled already."""
