"""Features, pictures, reports, benchmarks and probes of collections and models."""
