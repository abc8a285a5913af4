"""Elasticsearch store: one index per document type and generation."""
