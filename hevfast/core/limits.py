"""Bounds that are not settings, each with its unit and its reason."""

# Bytes. Most that is decoded, copied or sent in one go before the event loop gets a turn: about
# a millisecond of work, so that a large request does not delay small ones.
SLICE_BYTES = 256 * 1024

# Bytes. Compressed input given to the decompressor at once. It bounds the copies zlib makes of
# what it has not used yet, which would be quadratic for input made of many tiny members.
GZIP_INPUT_BYTES = 16 * 1024

# Members in one gzip body. Real multi-member files have thousands; millions of empty members
# would be a way to burn processor time with a small upload.
GZIP_MEMBERS_MAX = 65_536

# Bytes. A request body up to this size is read whole before it is passed on: one write instead
# of a generator. Queries are a few KiB.
PASS_WHOLE_BYTES_MAX = 64 * 1024

# Bytes. An upstream answer up to this size is held until it is complete, so that one cut short
# becomes a clean 502. Larger ones are streamed.
ANSWER_WHOLE_BYTES_MAX = 8 * 1024 * 1024

# Bytes. The same for answers to writes: an acknowledgement that cannot be trusted to be complete
# is no acknowledgement, and one with affected ids of a large batch can be tens of MiB.
WRITE_ANSWER_WHOLE_BYTES_MAX = 64 * 1024 * 1024

# Bytes. Longest status line and longest header field of an upstream answer.
ANSWER_LINE_BYTES_MAX = 16 * 1024
ANSWER_FIELD_BYTES_MAX = 64 * 1024

# Bytes and fields. Longest head of an upstream answer, interim answers before it included, and
# longest stretch of an answer that is not body: chunk lines, trailers.
ANSWER_HEAD_BYTES_MAX = 128 * 1024
ANSWER_FIELDS_MAX = 256

# Bytes. A streamed answer of which this much is held for a slow client is not read further.
STREAM_HELD_BYTES_MAX = 2 * SLICE_BYTES

# Bytes. As SLICE_BYTES, under TLS: enciphering takes several times as long as copying.
TLS_SLICE_BYTES = 128 * 1024

# Seconds. Bounds of the period in which exchanges with upstream are looked at for being late.
SWEEP_S_MIN = 0.01
SWEEP_S_MAX = 0.25

# Seconds. Idle upstream connections are closed after this. Below the 60 s that load balancers
# commonly allow, so that the gateway and not the other side ends them.
UPSTREAM_KEEP_ALIVE_S = 30.0

# Seconds. How long a resolved upstream address is believed.
DNS_TTL_S = 30

# Milliseconds. How long an idle client connection is kept. Official clients keep theirs for
# 60 s; closing sooner would race their next request.
CLIENT_KEEP_ALIVE_MS = 75_000

# Connections. Waiting to be accepted, and open at once in one worker (idle ones included).
BACKLOG_CONNECTIONS = 2048
WORKER_CONNECTIONS_MAX = 8192

# Files. Asked of the system for one worker: its connections on both sides, and some to spare.
OPEN_FILES = 32_768

# Seconds. Pause between the start of a worker's replacement and the end of the old one.
RESPAWN_S = 0.1

# Seconds. A worker that has not finished its requests by then is killed. Below the 30 s that
# Kubernetes waits by default before it kills everything.
SHUTDOWN_S = 25

# Rows and ids. Most in one write: the packed offsets take 16 bytes each, 64 MiB at the most.
# Upstream takes 10,000 rows a second and namespace, so this is several minutes' worth.
ROWS_MAX = 4 * 1024 * 1024

# Bytes. A body up to this size is scanned on the event loop: 25 microseconds as a rule, half a
# millisecond for the most hostile one. A larger one goes to a thread, which costs some 60.
SCAN_INLINE_BYTES_MAX = 256 * 1024

# Bytes. Body of one staged document, and of many staged at once: a document's chunks are some KiB,
# and a store keeps them in one piece.
PIPELINE_DOCUMENT_BYTES_MAX = 16 * 1024 * 1024
PIPELINE_BATCH_BYTES_MAX = 64 * 1024 * 1024

# Bytes. Body of one document's vectors; larger jobs write rows directly and then complete it.
PIPELINE_VECTORS_BYTES_MAX = 64 * 1024 * 1024

# Bytes. Body that names documents or sets something: 10,000 ids of 1024 bytes, and room for JSON.
PIPELINE_CALL_BYTES_MAX = 16 * 1024 * 1024

# Bytes. A query up to this size is read for what it asks: half a millisecond. Layer's form needs no
# more: a vector of the most dimensions takes 215 KiB.
QUERY_READ_BYTES_MAX = 256 * 1024

# Bytes. The answer to a query in Layer's form up to this size is read for where its page ends, a
# millisecond; a larger one is streamed as it comes.
QUERY_ROWS_BYTES_MAX = 512 * 1024

# Group commit. Rows, bytes and writes of one group: a group as large as upstream likes batches
# would make every one of its callers wait for all of it.
GROUP_ROWS_MAX = 1000
GROUP_BYTES_MAX = 1024 * 1024
GROUP_WRITES_MAX = 512

# Bytes. A stamped body larger than this goes alone, as does one whose keys beside the rows take
# more than the second.
GROUP_MEMBER_BYTES_MAX = 64 * 1024
GROUP_FRAME_BYTES_MAX = 4 * 1024

# Writes and bytes that wait to be sent together, for one namespace; writes for all of them. The
# bytes of all are a setting.
GROUP_QUEUE_WRITES_MAX = 4096
GROUP_QUEUE_BYTES_MAX = 16 * 1024 * 1024
GROUP_QUEUES_WRITES_MAX = 16_384

# Refused parts of one group that are sent again in two halves. Enough to find two bad writes among
# hundreds; with more of them the rest goes one by one, so a group of n costs n + 33 at the most.
GROUP_HALVINGS_MAX = 16

# Seconds. Groups that would start closer together than this need no pause between them.
GROUP_PAUSE_S_MIN = 0.002

# Writes of a group that are answered before other requests have their turn.
GROUP_TOLD_AT_ONCE = 64

# Seconds. Groups still under way when the worker stops are given up after this, so that what they
# hold can be closed within SHUTDOWN_S.
GROUP_DRAIN_S = 20.0
