"""Scripts as PostgreSQL's own grammar reads them."""
