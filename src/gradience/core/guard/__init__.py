"""The guard's decisions: when to drop a step, to go back, to give up."""
