"""Feature flags: who gets what, decided the same everywhere.

The rooms: `definitions` (what people write), `evaluating` (what a flag is for a user), `storing`
(how a change is kept), `reading` (how a process comes by its snapshot), `sdk` (Python services),
`api` (HTTP), `ramps` (rollouts that watch themselves) and `lifecycle` (flags nobody needs).

`evaluating` and `reading` are all that a lookup needs and import only the standard library's
lightest modules: its cold start is a feature. What services use is imported from here, and only
when it is asked for.
"""

TYPE_CHECKING = False  # `typing` itself costs more to import than all of a lookup
if TYPE_CHECKING:
    from greenlane.flags.sdk.contexts import set_user_context, user_context
    from greenlane.flags.sdk.decorator import feature_flag
    from greenlane.flags.sdk.manager import FeatureFlagManager, use_manager
    from greenlane.flags.sdk.provider import GreenlaneProvider

__all__ = [
    "FeatureFlagManager",
    "GreenlaneProvider",
    "feature_flag",
    "set_user_context",
    "use_manager",
    "user_context",
]

_HOMES = {
    "FeatureFlagManager": "sdk.manager",
    "GreenlaneProvider": "sdk.provider",
    "feature_flag": "sdk.decorator",
    "set_user_context": "sdk.contexts",
    "use_manager": "sdk.manager",
    "user_context": "sdk.contexts",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
