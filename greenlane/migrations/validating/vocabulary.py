"""Names that PostgreSQL and its own extensions bring: types, and functions by volatility."""


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "int8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "decimal": "numeric",
    "varchar": "character varying",
    "bpchar": "character",
    "varbit": "bit varying",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}
"""Names in a tree, and how `format_type` prints them."""

BUILTIN_TYPES = frozenset(ALIASES.values()) | words("""
    "char" bigint bit box bytea cidr circle citext cstring date datemultirange daterange hstore inet
    int4multirange int4range int8multirange int8range interval json jsonb jsonpath line lseg
    macaddr macaddr8 money name nummultirange numrange oid path pg_lsn pg_snapshot point polygon
    regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc
    regprocedure regrole regtype text tsmultirange tsquery tsrange tstzmultirange tstzrange
    tsvector txid_snapshot uuid xid xml ltree vector geometry geography
""")

VOLATILE = words("""
    clock_timestamp currval gen_random_uuid lastval nextval random random_normal setseed setval
    timeofday uuidv4 uuidv7 pg_sleep set_config current_query gen_random_bytes gen_salt
    uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4
""")
"""Of PostgreSQL 18, and of pgcrypto and uuid-ossp; what makes sense in a default."""

NOT_VOLATILE = words("""
    abbrev abs acldefault acos acosd acosh age area array_append array_cat array_dims array_fill
    array_length array_lower array_ndims array_position array_positions array_prepend array_remove
    array_replace array_reverse array_sort array_to_json array_to_string array_to_tsvector
    array_upper ascii asin asind asinh atan atan2 atan2d atand atanh bit bit_count bit_length bool
    box bpchar broadcast btrim cardinality casefold cbrt ceil ceiling center char char_length
    character_length chr cidr circle concat concat_ws convert convert_from convert_to cos cosd
    cosh cot cotd crypt current_database current_schema current_schemas current_setting
    current_user date date_add date_bin date_part date_subtract date_trunc datemultirange
    daterange decode degrees diagonal diameter digest div dlog10 encode enum_first enum_last
    enum_range exp extract factorial family float4 float8 floor format format_type gcd get_bit
    get_byte get_current_ts_config getpgusername hashtext hashtextextended height hmac host
    hostmask initcap int2 int4 int4multirange int4range int8 int8multirange int8range interval
    is_normalized isclosed isempty isfinite ishorizontal isopen isparallel isperp isvertical
    json_array_length json_build_array json_build_object json_object json_populate_record
    json_scalar json_strip_nulls json_to_record json_to_tsvector json_typeof jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_insert jsonb_object jsonb_path_exists
    jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query_array
    jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz
    jsonb_populate_record jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record
    jsonb_to_tsvector jsonb_typeof justify_days justify_hours justify_interval lcm left length
    like like_escape line ln log log10 lower lower_inc lower_inf lpad lseg ltrim macaddr macaddr8
    macaddr8_set7bit make_date make_interval make_time make_timestamp make_timestamptz makeaclitem
    masklen md5 min_scale mod money multirange mxid_age name netmask network normalize notlike now
    npoints num_nonnulls num_nulls numeric numeric_div_trunc numeric_exp numeric_ln numeric_log
    numeric_sqrt nummultirange numnode numrange octet_length oid oidvectortypes overlaps overlay
    parse_ident path pg_backend_pid pg_get_serial_sequence pg_postmaster_start_time pg_size_pretty
    pg_typeof phraseto_tsquery pi plainto_tsquery point polygon position pow power querytree
    quote_ident quote_literal quote_nullable radians radius range_merge regclass regexp_count
    regexp_instr regexp_like regexp_match regexp_replace regexp_split_to_array regexp_substr
    repeat replace reverse right round row_security_active row_to_json rpad rtrim
    satisfies_hash_partition scale session_user set_bit set_byte set_masklen setweight sha224
    sha256 sha384 sha512 sign similar_escape similar_to_escape similarity sin sind sinh slope
    split_part sqrt statement_timestamp string_to_array strip strpos substr substring tan tand
    tanh text time timestamp timestamptz timetz timezone to_ascii to_bin to_char to_date to_hex
    to_json to_jsonb to_number to_oct to_regclass to_regcollation to_regnamespace to_regoper
    to_regoperator to_regproc to_regprocedure to_regrole to_regtype to_timestamp to_tsquery
    to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_headline ts_rank
    tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array txid_current
    txid_current_if_assigned txid_current_snapshot txid_snapshot_xmax txid_snapshot_xmin
    txid_visible_in_snapshot unaccent unistr upper upper_inc upper_inf uuid_extract_timestamp
    uuid_extract_version uuid_generate_v3 uuid_generate_v5 uuid_nil uuid_ns_dns uuid_ns_url varbit
    varchar version websearch_to_tsquery width width_bucket xid xml xml_is_well_formed
    xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists xmlvalidate xpath
    xpath_exists
""")
"""Stable and immutable functions of `pg_proc` of PostgreSQL 15 to 18 and its own extensions."""
