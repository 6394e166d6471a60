"""What the document cache relies on of Aerospike, stated through the unmodified client.

The tests run against the stand-in, or against a real server if `HEVFAST_TEST_AEROSPIKE=host:port`
is set: of version 8, one node, with the namespaces `hevlayer` (`default-ttl 3600`,
`nsup-period 2`) and `hevlayer_registry` (`default-ttl 0`, `nsup-period 0`). Tests that need
faults are then not collected.
"""
