"""The linear atomic cluster expansion: what it consists of, its basis, and a model of it."""
