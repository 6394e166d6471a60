"""What the gateway knows and does about whole namespaces: markers, jobs, scans, lists."""
