"""Two-stage pipelines: some workers stage documents, others claim, embed and write them."""
