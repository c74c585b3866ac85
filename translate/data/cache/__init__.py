"""Where resized images stay: in memory, in files shared by all runs, or on the device."""
