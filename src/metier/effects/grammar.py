"""What SQL statements may have. What is not listed here is refused; see statements.py.

Nodes and their arguments have the names that sqlglot gives them. Functions compute and do nothing else: no
randomness, no files, no network, no settings, no waiting, and none that makes much of little (repeat, lpad, zeroblob).
"""

from __future__ import annotations

from typing import Final

QUERIES: Final = frozenset({"Select", "Union", "Except", "Intersect"})
STATEMENTS: Final = QUERIES | {"Insert", "Update", "Delete"}

_BINARY = """
    EQ NEQ GT GTE LT LTE And Or Add Sub Mul Div IntDiv Mod Like ILike Glob Escape Is DPipe NullSafeEQ NullSafeNEQ
    BitwiseAnd BitwiseOr BitwiseLeftShift BitwiseRightShift Collate
"""
_UNARY = "Paren Not Neg BitwiseNot Exists Where Having From Offset DataTypeParam"
_LISTS = "Tuple Rollup Cube GroupingSets Returning"
_SET = "with_ this expression distinct order limit offset"
_OTHERS = {
    "Select": "with_ expressions from_ joins where group having windows order limit offset distinct",
    "Union": _SET,
    "Except": _SET,
    "Intersect": _SET,
    "Insert": "with_ this expression returning conflict default",
    "Update": "with_ this expressions from_ where returning",
    "Delete": "with_ this using where returning",
    "With": "expressions recursive",
    "CTE": "this alias materialized",
    "Subquery": "this alias with_ order limit offset",
    "Values": "expressions alias",
    "Table": "this db alias",
    "TableAlias": "this columns",
    "Schema": "this expressions",
    "OnConflict": "conflict_keys action expressions where",
    "Join": "this on using side kind method",
    "Group": "expressions rollup cube grouping_sets",
    "Order": "this expressions",
    "Ordered": "this desc nulls_first",
    "Limit": "expression",
    "Distinct": "expressions on",
    "Alias": "this alias",
    "Column": "this table",
    "Identifier": "this quoted",
    "Star": "",
    "Literal": "this is_string",
    "Boolean": "this",
    "Null": "",
    "Var": "this",
    "Placeholder": "this jdbc",
    "Between": "this low high",
    "In": "this expressions query",
    "Case": "this ifs default",
    "If": "this true",
    "Cast": "this to",
    "DataType": "this expressions nested",
    "Extract": "this expression",
    "Interval": "this unit",
    "Anonymous": "this expressions",
    "Filter": "this expression",
    "Window": "this partition_by order spec alias over",
    "WindowSpec": "kind start start_side end end_side exclude",
    "Is": "this expression negate",
    "JSONExtract": "this expression only_json_types",
    "JSONExtractScalar": "this expression only_json_types",
    "DPipe": "this expression safe",
    "Div": "this expression typed safe",
}
NODES: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(_BINARY.split(), frozenset({"this", "expression"})),
    **dict.fromkeys(_UNARY.split(), frozenset({"this", "expression"})),
    **dict.fromkeys(_LISTS.split(), frozenset({"expressions"})),
    **{name: frozenset(arguments.split()) for name, arguments in _OTHERS.items()},
}
"""Each node that a statement may have, with the arguments that it may have."""

UNITS = frozenset("YEAR QUARTER MONTH WEEK DAY HOUR MINUTE SECOND DOW DOY ISODOW ISOYEAR EPOCH DECADE CENTURY".split())
WORDS: Final[dict[tuple[str, str | None], frozenset[str]]] = {
    ("OnConflict", "action"): frozenset({"DO NOTHING", "DO UPDATE"}),
    ("WindowSpec", "exclude"): frozenset({"CURRENT ROW", "GROUP", "TIES", "NO OTHERS"}),
    ("Extract", "this"): UNITS,
    ("Interval", "unit"): UNITS | {unit + "S" for unit in UNITS},
    ("Collate", "expression"): frozenset({"NOCASE", "BINARY", "RTRIM"}),
}
"""Bare words, by the node and the argument where they may stand."""

_BOTH = """
    count sum avg min max abs round floor ceil ceiling sign sqrt power exp ln log mod
    lower upper length trim ltrim rtrim substr substring replace coalesce nullif concat concat_ws
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value string_agg
    sin cos tan asin acos atan atan2 degrees radians pi trunc
"""
_SQLITE = """
    total group_concat ifnull iif instr unicode char hex typeof like glob pow
    date time datetime julianday strftime unixepoch timediff
    json json_array json_array_length json_extract json_object json_type json_valid json_quote
    json_group_array json_group_object
"""
_POSTGRESQL = """
    greatest least left right strpos starts_with split_part reverse initcap char_length octet_length ascii md5
    btrim translate to_char to_date to_timestamp to_number date_trunc date_part age make_date
    bool_and bool_or every array_agg stddev stddev_pop stddev_samp variance var_pop var_samp corr
    json_agg jsonb_agg json_object_agg jsonb_object_agg json_build_object jsonb_build_object
    json_array_length jsonb_array_length json_typeof jsonb_typeof
    json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text
"""
FUNCTIONS: Final[dict[str, frozenset[str]]] = {
    "sqlite": frozenset((_BOTH + _SQLITE).split()),
    "postgresql": frozenset((_BOTH + _POSTGRESQL).split()),
}
SQLITE_OWN_FUNCTIONS: Final = FUNCTIONS["sqlite"] | frozenset(
    """-> ->> current_timestamp current_date current_time random randomblob printf format
    likelihood likely unlikely""".split()
)
"""What the database may call for itself besides, in defaults, checks, indexes, views and triggers of its schema."""

NEEDLES: Final = {"instr": 1, "replace": 1, "trim": 1, "ltrim": 1, "rtrim": 1, "like": 0, "glob": 0}
"""Functions that compare one argument, at this place, with another one everywhere."""

CLOCKS: Final[dict[str, dict[str, int]]] = {
    "sqlite": dict.fromkeys(("date", "time", "datetime", "julianday", "unixepoch"), 1) | {"strftime": 2},
    "postgresql": {"age": 2},
}
"""Functions that tell the time when they have fewer arguments."""

_TYPES = "INT BIGINT SMALLINT TINYINT TEXT VARCHAR DECIMAL DOUBLE FLOAT BOOLEAN DATE TIME TIMESTAMP JSON"
TYPES: Final[dict[str, frozenset[str]]] = {
    "sqlite": frozenset(f"{_TYPES} BLOB VARBINARY DATETIME".split()),
    "postgresql": frozenset(f"{_TYPES} TIMESTAMPTZ TIMETZ INTERVAL UUID JSONB".split()),
}

SYSTEM_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "sqlite": ("sqlite_", "pragma_", "metier_commits"),
    "postgresql": ("pg_",),
}
"""Beginnings of names of what belongs to the database itself. No permission opens it."""
