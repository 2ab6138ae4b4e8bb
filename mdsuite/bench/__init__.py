"""Speed, measured beside peers: everything in one run, interleaved, and told as ratios with intervals."""
