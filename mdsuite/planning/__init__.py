"""What a campaign will cost, from short runs of its own, and how much of it is done."""
