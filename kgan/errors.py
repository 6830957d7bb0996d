"""What is meant for users: the exception and the warning whose texts say what was wrong, where, and what to do."""


class UserError(ValueError):
    """Something the user can mend. Commands print its sentence and exit with 2; other errors keep their traceback."""


class Remark(UserWarning):
    """Something the user should know and that stops nothing. Commands print its sentence alone."""
