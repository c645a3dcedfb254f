"""The exceptions that a caller may want to catch. Their text is the sentence that a command prints."""


class UserError(Exception):
    """Something that the user can mend: the message names the file, the value and the fix. Exit code 2."""


class JobError(Exception):
    """Something went wrong that the user did not cause and that a sentence explains. Exit code 1."""


class StorageError(JobError):
    """A bucket that cannot be reached, or refuses."""


class LostError(JobError):
    """Images and records do not add up; nothing is published."""
