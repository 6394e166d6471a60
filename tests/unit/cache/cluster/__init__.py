"""The Aerospike store on a cluster that is well."""
