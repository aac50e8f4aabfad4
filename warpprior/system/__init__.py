"""What terms write into: the motion, its unknowns, their normal equations, and the energy on the tape."""
