"""The exceptions that a caller may want to catch. Their text is the sentence that a command prints."""

import errno

_MENDED_BY = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EROFS: "choose another place",
    errno.EISDIR: "move the folder away: a file is to be there",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "give this user permission, or choose another place"),
}


class UserError(Exception):
    """Something that the user can mend: the message names the file, the value and the fix. Exit code 2."""


class JobError(Exception):
    """Something went wrong that the user did not cause and that a sentence explains. Exit code 1."""


class StorageError(JobError):
    """A bucket that cannot be reached, or refuses."""


class LostError(JobError):
    """Images and records do not add up; nothing is published."""


def refusal(error: OSError) -> Exception:
    """Returns what a file system refused, as a UserError where the user can mend it, and else as a JobError."""
    place = error.filename2 or error.filename  # of a rename, what it was to become
    said = f"{error.strerror}: {place}" if place else str(error.strerror)
    mended_by = _MENDED_BY.get(error.errno or 0) if place else None
    return UserError(f"{said}; {mended_by}") if mended_by else JobError(said)
