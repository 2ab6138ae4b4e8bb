"""What a user can put right."""


class InputError(Exception):
    """Bad input: what was wanted, what came, what to do. Nothing has been started."""
