"""Pictures of posed bodies: labels, depth, silhouettes."""
