"""What every part needs and no part is about: errors, devices, ranges, progress, recorded launches."""
