"""What a new database takes over from the old one, as RDS describes that. Pure; no I/O.

RDS itself takes over little. A restored cluster has the default security group and no instances; a
restored instance has the default security group, subnet group and parameter group, and one zone
(RDS API reference, RestoreDBClusterToPointInTime and RestoreDBInstanceToPointInTime). So all that
decides who reaches a database, how it behaves and how it is kept is named in the call.

What needs a role to be passed, and what people should choose anew, is not taken over but told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Described = Mapping[str, Any]
"""A `DBCluster` or `DBInstance` of RDS's API."""

RESTORE_TAG = "greenlane:restore"

AURORA = "aurora-postgresql"
_LEAST_GP3_WITH_IOPS_GIB = 400
"""Below, RDS takes no Iops and no StorageThroughput for gp3 (RDS user guide, storage types)."""


def cluster_settings(old: Described, restore: str) -> dict[str, Any]:
    """The arguments of a cluster's restore besides where from and its name.

    Performance Insights and enhanced monitoring are left out: RDS refuses them here for all but
    Aurora Limitless clusters. So is the key: without one RDS takes the old one's.

    Args:
        old: the cluster as RDS describes it.
        restore: the id, for the tag by which the new one is known.
    """
    found = _present(
        old,
        Port="Port",
        DBSubnetGroupName="DBSubnetGroup",
        DBClusterParameterGroupName="DBClusterParameterGroup",
        EnableIAMDatabaseAuthentication="IAMDatabaseAuthenticationEnabled",
        EnableCloudwatchLogsExports="EnabledCloudwatchLogsExports",
        DeletionProtection="DeletionProtection",
        CopyTagsToSnapshot="CopyTagsToSnapshot",
        NetworkType="NetworkType",
        BackupRetentionPeriod="BackupRetentionPeriod",
    )
    if old["Engine"] == AURORA:
        found |= _present(old, StorageType="StorageType")
        if scaling := old.get("ServerlessV2ScalingConfiguration"):
            found["ServerlessV2ScalingConfiguration"] = dict(scaling)
    else:
        names = ("DBClusterInstanceClass", "StorageType", "Iops", "PubliclyAccessible")
        found |= _present(old, **{name: name for name in names})
    return found | {"VpcSecurityGroupIds": _groups(old), "Tags": tags(old, restore)}


def instance_settings(old: Described, restore: str) -> dict[str, Any]:
    """The arguments of an instance's restore besides where from and its name.

    Args:
        old: the instance as RDS describes it.
        restore: the id.
    """
    found = _present(
        old,
        DBInstanceClass="DBInstanceClass",
        MultiAZ="MultiAZ",
        PubliclyAccessible="PubliclyAccessible",
        AutoMinorVersionUpgrade="AutoMinorVersionUpgrade",
        EnableIAMDatabaseAuthentication="IAMDatabaseAuthenticationEnabled",
        EnableCloudwatchLogsExports="EnabledCloudwatchLogsExports",
        DeletionProtection="DeletionProtection",
        CopyTagsToSnapshot="CopyTagsToSnapshot",
        MaxAllocatedStorage="MaxAllocatedStorage",
        NetworkType="NetworkType",
        CACertificateIdentifier="CACertificateIdentifier",
        BackupRetentionPeriod="BackupRetentionPeriod",
    )
    if port := (old.get("Endpoint") or {}).get("Port"):
        found["Port"] = port
    if group := (old.get("DBSubnetGroup") or {}).get("DBSubnetGroupName"):
        found["DBSubnetGroupName"] = group
    if groups := old.get("DBParameterGroups"):
        found["DBParameterGroupName"] = groups[0]["DBParameterGroupName"]
    options = [one["OptionGroupName"] for one in old.get("OptionGroupMemberships", ())]
    if options and not options[0].startswith("default:"):
        found["OptionGroupName"] = options[0]
    found |= _storage(old)
    return found | {"VpcSecurityGroupIds": _groups(old), "Tags": tags(old, restore)}


def member_settings(old: Described, restore: str, tier: int | None) -> dict[str, Any]:
    """The arguments with which an instance of a new Aurora cluster is made, besides its names.

    Security groups, subnets and backups are the cluster's.

    Args:
        old: the instance of the old cluster that it stands for.
        restore: the id.
        tier: its place among those that may become the writer.
    """
    found = _present(
        old,
        DBInstanceClass="DBInstanceClass",
        PubliclyAccessible="PubliclyAccessible",
        AutoMinorVersionUpgrade="AutoMinorVersionUpgrade",
        CACertificateIdentifier="CACertificateIdentifier",
    )
    if groups := old.get("DBParameterGroups"):
        found["DBParameterGroupName"] = groups[0]["DBParameterGroupName"]
    if tier is not None:
        found["PromotionTier"] = tier
    return found | {"Engine": old["Engine"], "Tags": tags(old, restore)}


def tags(old: Described, restore: str) -> list[dict[str, str]]:
    """The old one's tags, without those that AWS keeps for itself, and the one of the restore."""
    kept = [
        {"Key": one["Key"], "Value": one.get("Value", "")}
        for one in old.get("TagList", ())
        if not one["Key"].startswith("aws:") and one["Key"] != RESTORE_TAG
    ]
    return [*kept, {"Key": RESTORE_TAG, "Value": restore}]


def restored_by(new: Described) -> str | None:
    """Which restore a database is of, by its tag; None for none."""
    for one in new.get("TagList", ()):
        if one["Key"] == RESTORE_TAG:
            return str(one.get("Value", ""))
    return None


def differences(new: Described, old: Described) -> tuple[str, ...]:
    """What decides who reaches a database, and is not as in the old one."""
    found = []
    if missing := sorted(set(_groups(old)) - set(_groups(new))):
        found.append(f"security groups: without {', '.join(missing)}")
    if more := sorted(set(_groups(new)) - set(_groups(old))):
        found.append(f"security groups: with {', '.join(more)}")
    if _subnets(new) != _subnets(old):
        found.append(f"subnet group: {_subnets(new)}, not {_subnets(old)}")
    return tuple(found)


_SETTINGS = (
    *("BackupRetentionPeriod", "DeletionProtection", "IAMDatabaseAuthenticationEnabled", "MultiAZ"),
    *("DBInstanceClass", "DBClusterInstanceClass", "DBClusterParameterGroup", "StorageEncrypted"),
    *("MaxAllocatedStorage", "CopyTagsToSnapshot", "EngineVersion"),
)


def unlike(new: Described, old: Described) -> tuple[str, ...]:
    """What else is not as in the old one, for people to see to before they decide."""
    return tuple(
        f"{name} is {new.get(name)}, not {old[name]}"
        for name in _SETTINGS
        if old.get(name) is not None and new.get(name) != old[name]
    )


def not_copied(old: Described, members: Sequence[Described] = ()) -> tuple[str, ...]:
    """What the old database has and the new one will not, for people to see to.

    Args:
        old: the cluster or instance.
        members: the instances of an Aurora cluster.
    """
    every = (old, *members)
    found = {
        "roles for S3 or Lambda (AssociatedRoles)": any(
            one.get("AssociatedRoles") for one in every
        ),
        "enhanced monitoring": any(one.get("MonitoringInterval") for one in every),
        "Performance Insights": any(one.get("PerformanceInsightsEnabled") for one in every),
        "read replicas": any(
            one.get(f"ReadReplica{kind}Identifiers")
            for one in every
            for kind in ("", "DBInstance", "DBCluster")
        ),
        "custom endpoints": bool(old.get("CustomEndpoints")),
        "its place in the global database": bool(old.get("GlobalClusterIdentifier")),
        "the activity stream": old.get("ActivityStreamStatus") in ("started", "starting"),
        "the Data API": bool(old.get("HttpEndpointEnabled")),
        "the secret of the master user that RDS keeps": bool(old.get("MasterUserSecret")),
        "domain memberships": bool(old.get("DomainMemberships")),
        "backups in another Region": bool(old.get("DBInstanceAutomatedBackupsReplications")),
    }
    return tuple(name for name, there in found.items() if there)


def _storage(old: Described) -> dict[str, Any]:
    kind = old.get("StorageType")
    if kind in ("io1", "io2"):
        return _present(old, StorageType="StorageType", Iops="Iops")
    if kind == "gp3":
        # Without a type RDS chooses gp3; with it, it wants the Iops that a small one may not name.
        if old.get("AllocatedStorage", 0) < _LEAST_GP3_WITH_IOPS_GIB:
            return {}
        names = ("StorageType", "Iops", "StorageThroughput")
        return _present(old, **{name: name for name in names})
    return _present(old, StorageType="StorageType")


def _groups(one: Described) -> list[str]:
    return [group["VpcSecurityGroupId"] for group in one.get("VpcSecurityGroups", ())]


def _subnets(one: Described) -> str | None:
    group = one.get("DBSubnetGroup")
    return group.get("DBSubnetGroupName") if isinstance(group, Mapping) else group


def _present(old: Described, **names: str) -> dict[str, Any]:
    """Arguments by the fields that they come from, without those that are not there."""
    return {
        argument: old[field]
        for argument, field in names.items()
        if old.get(field) is not None and old[field] != []
    }
