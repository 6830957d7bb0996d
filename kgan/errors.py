"""The one exception whose text is meant for users: what was wrong, where, and what to do."""


class UserError(ValueError):
    """Something the user can mend. Commands print its sentence and exit with 2; other errors keep their traceback."""
