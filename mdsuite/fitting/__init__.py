"""Who makes models: distillation of a student from a teacher."""
