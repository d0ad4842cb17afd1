"""Which function judges which node."""

from collections.abc import Callable, Mapping

from greenlane.migrations.sql.parsing import Node
from greenlane.migrations.validating.judging import (
    code,
    going,
    making,
    objects,
    renaming,
    rows,
    upkeep,
)
from greenlane.migrations.validating.judging.altering import alter_table
from greenlane.migrations.validating.verdict import Verdict

Handler = Callable[[Verdict, Node], None]

_SERVER_WIDE = (
    "alter_database_refresh_coll_stmt alter_database_set_stmt alter_database_stmt "
    "alter_event_trig_stmt alter_fdw_stmt alter_foreign_server_stmt alter_publication_stmt "
    "alter_role_set_stmt alter_role_stmt alter_subscription_stmt alter_system_stmt "
    "alter_table_space_options_stmt alter_user_mapping_stmt check_point_stmt create_am_stmt "
    "create_event_trig_stmt create_fdw_stmt create_foreign_server_stmt create_plang_stmt "
    "create_publication_stmt create_role_stmt create_subscription_stmt create_table_space_stmt "
    "create_user_mapping_stmt createdb_stmt drop_role_stmt drop_subscription_stmt "
    "drop_table_space_stmt drop_user_mapping_stmt dropdb_stmt grant_role_stmt "
    "import_foreign_schema_stmt load_stmt alter_table_move_all_stmt"
)

_HARMLESS = (
    "alter_op_family_stmt alter_operator_stmt alter_stats_stmt create_cast_stmt "
    "create_conversion_stmt create_extension_stmt create_op_class_stmt create_op_family_stmt "
    "create_range_stmt create_schema_stmt create_transform_stmt define_stmt listen_stmt "
    "notify_stmt unlisten_stmt variable_show_stmt"
)

HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys(_SERVER_WIDE.split(), objects.server_wide),
    **dict.fromkeys(_HARMLESS.split(), objects.harmless),
    "alter_default_privileges_stmt": objects.default_rights,
    "alter_domain_stmt": objects.change_domain,
    "alter_enum_stmt": objects.change_enum,
    "alter_extension_stmt": objects.extension,
    "alter_extension_contents_stmt": objects.extension,
    "alter_function_stmt": objects.change_function,
    "alter_object_schema_stmt": renaming.set_schema,
    "alter_owner_stmt": renaming.owner,
    "alter_policy_stmt": making.change_policy,
    "alter_seq_stmt": objects.sequence,
    "alter_table_stmt": alter_table,
    "call_stmt": rows.call,
    "cluster_stmt": upkeep.cluster,
    "comment_stmt": objects.comment,
    "sec_label_stmt": objects.comment,
    "composite_type_stmt": objects.composite,
    "copy_stmt": rows.copy,
    "create_domain_stmt": objects.domain,
    "create_enum_stmt": objects.enum,
    "create_foreign_table_stmt": making.foreign_table,
    "create_function_stmt": objects.function,
    "create_policy_stmt": making.policy,
    "create_seq_stmt": objects.sequence,
    "create_stats_stmt": making.statistics,
    "create_stmt": making.table,
    "create_table_as_stmt": making.table_as,
    "create_trig_stmt": making.trigger,
    "delete_stmt": rows.delete,
    "constraints_set_stmt": objects.setting,
    "discard_stmt": objects.setting,
    "do_stmt": code.do,
    "drop_owned_stmt": objects.owned,
    "reassign_owned_stmt": objects.owned,
    "drop_stmt": going.drop,
    "grant_stmt": objects.grant,
    "index_stmt": making.index,
    "insert_stmt": rows.insert,
    "lock_stmt": upkeep.lock,
    "merge_stmt": rows.merge,
    "refresh_mat_view_stmt": upkeep.refresh,
    "reindex_stmt": upkeep.reindex,
    "rename_stmt": renaming.rename,
    "rule_stmt": making.rule,
    "select_stmt": rows.select,
    "transaction_stmt": code.transaction,
    "truncate_stmt": rows.truncate,
    "update_stmt": rows.update,
    "vacuum_stmt": upkeep.vacuum,
    "variable_set_stmt": objects.setting,
    "view_stmt": making.view,
}
