"""What a run was asked to do: the configuration snapshot and the readers of foreign configs."""
