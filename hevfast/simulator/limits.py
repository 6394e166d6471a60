"""Bounds of the simulated service, with their units; documented upstream unless said otherwise."""

# Bytes, before and after decompression. The service documents 512 MB; which size it compares is
# unconfirmed, so both are held to it.
BODY_BYTES_MAX = 512 * 1024 * 1024

# Bodies and answers above this many bytes are parsed, rendered and compressed in a thread, so
# that other requests go on meanwhile. Our own choice: below it the hand-over costs more.
INLINE_BYTES_MAX = 64 * 1024

# Bytes. Answers above this size are compressed when the client allows it. The real threshold is
# unconfirmed.
GZIP_BYTES_MIN = 1024

NAMESPACE_NAME_BYTES_MAX = 128
ATTRIBUTE_NAME_BYTES_MAX = 128
ATTRIBUTES_MAX = 1024
ID_BYTES_MAX = 64
VALUE_BYTES_MAX = 8 * 1024 * 1024
DOCUMENT_BYTES_MAX = 64 * 1024 * 1024
FILTERABLE_VALUE_BYTES_MAX = 4 * 1024
DIMENSIONS_MAX = 10_752
SPARSE_NON_ZEROS_MAX = 1024
VECTOR_COLUMNS_MAX = 8
SHARDS_MAX = 256

PATCH_BY_FILTER_ROWS_MAX = 50_000
DELETE_BY_FILTER_ROWS_MAX = 5_000_000

# Bytes of a namespace from which on it is indexed, which is when its approximate size is known.
# That there is such a bound is seen in official tests; where it lies is our own guess.
INDEXED_BYTES_MIN = 64 * 1024

# Above this many bytes that are not indexed, writes and strong queries are refused.
UNINDEXED_BYTES_MAX = 2_000_000_000

# Per namespace: rows and bytes written a second, slots of concurrent queries, how many slots a
# nearest-neighbour query and an aggregation take, and milliseconds that one may wait for them.
WRITE_ROWS_PER_S = 10_000
WRITE_BYTES_PER_S = 32_000_000
QUERY_SLOTS_MAX = 16
NEAREST_SLOTS = 2
AGGREGATION_SLOTS = 4
QUERY_WAIT_MS_MAX = 800

QUERIES_MAX = 16
ROWS_MAX = 10_000
GROUPS_MAX = 10_000
ORDER_KEYS_MAX = 8
# Rows when a query names no limit. The documents require one; older behaviour was ten
# (unconfirmed).
ROWS_DEFAULT = 10

# Characters of a full-text query, attributes computed for a row, fragments of a highlight.
QUERY_CHARS_MAX = 8192
COMPUTED_MAX = 256
FRAGMENTS_MAX = 1024

PAGE_SIZE_MAX = 1000
PAGE_SIZE_DEFAULT = 100

# Nesting of And, Or and Not, and characters of a glob or regular expression. Both our own.
FILTER_DEPTH_MAX = 64
PATTERN_CHARS_MAX = 1024

UINT_MAX = 2**64 - 1
INT_MAX = 2**63 - 1
INT_MIN = -(2**63)

# Every query is billed as if it had read at least this many bytes (seen in the official tests).
QUERIED_BYTES_MIN = 256_000_000

# Characters of an error text. Our own choice.
ERROR_CHARS_MAX = 2000

# Finished asynchronous copies that can still be polled. Our own choice.
OPERATIONS_MAX = 1000
