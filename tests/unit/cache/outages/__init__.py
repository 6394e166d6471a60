"""The Aerospike store on a cluster that fails."""
