"""Is the data in the form that it is taken for?  What the evidence of a scene tells before anything is estimated."""
