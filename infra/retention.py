"""How long logs are kept, as the CDK says it."""

from aws_cdk import aws_logs as logs

from infra.settings import Settings


def log_retention(settings: Settings) -> logs.RetentionDays:
    """The retention of every log group."""
    return {
        1: logs.RetentionDays.ONE_DAY,
        7: logs.RetentionDays.ONE_WEEK,
        14: logs.RetentionDays.TWO_WEEKS,
        30: logs.RetentionDays.ONE_MONTH,
        90: logs.RetentionDays.THREE_MONTHS,
        180: logs.RetentionDays.SIX_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
        731: logs.RetentionDays.TWO_YEARS,
    }[settings.log_retention_days]
