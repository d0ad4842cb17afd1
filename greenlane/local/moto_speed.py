"""What moto works out anew for every request, worked out once: the answers stay the same.

moto lists its package's directory to find the service, inspects a class of hundreds of methods to
find the operation, tries up to ten names for each member of an answer, and builds a parser for each
JSON path of a state. Under the calls of a deployment, its watchers and its functions that is half
of what the local cloud uses of a processor.
"""

import inspect
from functools import cache
from typing import Any

from moto import backends
from moto.core import responses
from moto.core.serialize import (
    AttributePickerContext,
    ResponseSerializer,
    XFormedAttributePicker,
)
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.utils import json_path

from greenlane.local.patches import Patches

_NAMES = "greenlane_names"
_Names = tuple[str, ...]


class _Methods:
    """The names of a class's functions. Looked up when asked, for we put operations there."""

    def __init__(self, owner: type[Any]) -> None:
        """See the class."""
        self._owner = owner

    def __contains__(self, name: str) -> bool:
        """As for the list that moto makes of all of them."""
        return inspect.isfunction(getattr(self._owner, name, None))


def patch(patches: Patches) -> None:
    """Make moto quick until `patches` are undone."""
    modules = tuple(backends.list_of_moto_modules())
    patches.set(backends, "list_of_moto_modules", lambda: modules)
    # Some hundred regular expressions that depend on nothing but the host.
    find = DomainDispatcherApplication.get_backend_for_host
    found = cache(find)
    patches.set(
        DomainDispatcherApplication, "get_backend_for_host", lambda self, host: found(self, host)
    )
    patches.set(responses, "method_names_from_class", _Methods)
    patches.set(ResponseSerializer, "_serialize_structure_member", _serialize_member)
    for module in (json_path, result_path):
        patches.set(module, "parse", cache(vars(module)["parse"]))


def _serialize_member(
    serializer: ResponseSerializer, serialized: Any, value: Any, shape: Any, key: str
) -> None:
    """Add a structure's member to an answer, in the place of moto's method of this name."""
    picker = serializer._value_picker
    simple = type(value) is dict and type(picker) is XFormedAttributePicker
    names = _names_of(picker, shape, key) if simple and not picker.response_transformers else None
    if names is None:
        member = serializer.get_value(value, key, shape)
    else:
        member = next((value[name] for name in names if name in value), None)
    if member is not None:
        serializer._serialize(serialized, member, shape, key)


def _names_of(picker: XFormedAttributePicker, shape: Any, key: str) -> _Names | None:
    """Under which names a dictionary may hold a member, the first that is there counting.

    They follow from the member's shape and the structure that it belongs to; a shape object belongs
    to one structure, so they are kept on it. None where a name is a path of several.
    """
    known: dict[str, _Names | None] = shape.__dict__.setdefault(_NAMES, {})
    if key not in known:
        context = AttributePickerContext(obj={}, key=key, shape=shape)
        names = tuple(dict.fromkeys(picker.get_possible_keys(context)))
        known[key] = None if any("." in name for name in names) else names
    return known[key]
