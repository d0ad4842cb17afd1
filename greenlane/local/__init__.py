"""The local cloud: the production templates on one machine, in compressed time.

`LocalCloud` starts an AWS endpoint (moto) in this process and mends what moto lacks: functions
run in processes of their own, EventBridge delivers, Step Functions stops and times out as in AWS.
`greenlane.local.deploy` puts synthesized templates into it.
"""

from greenlane.local.cloud import LocalCloud
from greenlane.local.context import ACCOUNT_ID, ApiCall, LocalContext

__all__ = ["ACCOUNT_ID", "ApiCall", "LocalCloud", "LocalContext"]
