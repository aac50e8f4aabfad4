"""Contact refinement on simulated grasps, by ContactOpt's protocol."""
