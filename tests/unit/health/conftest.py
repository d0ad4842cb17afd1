"""Every test here gets the same kinds of account."""

from tests.aws_account import applied as applied
from tests.aws_account import aws as aws
from tests.aws_account import greenlane as greenlane
from tests.aws_account import live_workload as live_workload
from tests.aws_account import machines as machines
from tests.aws_account import workload as workload
