"""Feature flags: who gets what, decided the same everywhere.

Everything that a lookup needs (`engine`, `bucketing`, `conditions`, `schedule`, `reader`,
`dynamo_http`, `telemetry`) imports only the standard library's lightest modules: its cold start is
a feature. What services use is imported from here, and only when it is asked for.
"""

TYPE_CHECKING = False  # `typing` itself costs more to import than all of a lookup
if TYPE_CHECKING:
    from greenlane.flags.contexts import set_user_context, user_context
    from greenlane.flags.decorator import feature_flag
    from greenlane.flags.manager import FeatureFlagManager, use_manager

__all__ = [
    "FeatureFlagManager",
    "feature_flag",
    "set_user_context",
    "use_manager",
    "user_context",
]

_HOMES = {
    "FeatureFlagManager": "manager",
    "feature_flag": "decorator",
    "set_user_context": "contexts",
    "use_manager": "manager",
    "user_context": "contexts",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
