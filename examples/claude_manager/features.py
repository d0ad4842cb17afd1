"""What Claude Code Manager has behind feature flags, and what of it fails, for both variants."""

import json
import os
import random
import time

from greenlane.flags.reading.reader import Reader
from greenlane.flags.reading.sources import chosen_source
from greenlane.flags.sdk.manager import FeatureFlagManager

NAMESPACE = "Greenlane/Business"
MOST_VALUES = 100
"""Of one metric in one line; CloudWatch takes no more."""


class Features:
    """What a version has behind feature flags; `failing` are the shares that fail, by flag."""

    def __init__(self, service: str, failing: dict[str, float]) -> None:
        environ = {"FLAGS_TABLE": "greenlane-flags", **os.environ}
        seconds = float(environ.get("FLAGS_TTL_SECONDS", "5"))
        environment = environ.get("FLAGS_ENVIRONMENT", "production")
        reader = Reader(chosen_source(environ), environment, ttl_seconds=seconds)
        self.flags = FeatureFlagManager(reader)
        self.service, self.failing = service, failing
        self.values: dict[tuple[str, str], list[float]] = {}

    def visit(self, visitor: str) -> bool:
        """Whether the visit went well, in all that this visitor has."""
        well = True
        for flag, share in self.failing.items():
            has_it = self.flags.is_feature_enabled(flag, {"targetingKey": visitor})
            failed = has_it and random.random() < share
            values = self.values.setdefault((flag, "on" if has_it else "off"), [])
            values.append(float(failed))
            well = well and not failed
            if len(values) == MOST_VALUES:
                self.publish()
        return well

    def publish(self) -> None:
        """Write what there is, one line of the log for each flag and variant."""
        values, self.values = self.values, {}
        for (flag, variant), some in values.items():
            directive = {
                "Namespace": NAMESPACE,
                "Dimensions": [["Service", "Flag", "Variant"]],
                "Metrics": [{"Name": "flag_failures", "Unit": "None"}],
            }
            head = {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [directive]}
            about = {"Service": self.service, "Flag": flag, "Variant": variant}
            print(json.dumps({"_aws": head, **about, "flag_failures": some}), flush=True)
