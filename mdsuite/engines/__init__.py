"""Who integrates. Each engine advances one run and records it; forces come from a driver over a socket."""
