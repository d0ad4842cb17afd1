"""What can go wrong with the local cloud itself (AWS's own errors stay AWS's).

LocalCloudError
├── DirectoryInUse        the directory holds files that are not a local cloud's
├── NotRunning            no local cloud runs in the directory
├── PostgresMissing       this machine has no PostgreSQL that can be started
├── PostgresFailed        PostgreSQL, or a program of it, did not do what it was started for
└── DeploymentFailed      a template could not be brought into the local cloud
    └── UnknownResourceType   a template has a resource type that the local cloud does not know
"""


class LocalCloudError(Exception):
    """Something about the local cloud; the message says what to do."""


class DirectoryInUse(LocalCloudError):
    """The directory holds files that are not a local cloud's, so it is not emptied."""


class NotRunning(LocalCloudError):
    """No local cloud runs in the directory."""


class PostgresMissing(LocalCloudError):
    """This machine has no PostgreSQL that can be started; says where it was looked for."""


class PostgresFailed(LocalCloudError):
    """PostgreSQL, or a program of it, failed; the message ends with what it said last."""


class DeploymentFailed(LocalCloudError):
    """A template could not be brought into the local cloud; names the stack and the resource."""


class UnknownResourceType(DeploymentFailed):
    """A template has a resource type that the local cloud does not know."""
