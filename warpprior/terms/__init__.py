"""What makes a motion right: one file per term of the least-squares problem and of the energy."""
