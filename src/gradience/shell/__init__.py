"""The imperative shell: files, clocks and the trainer; it reads, calls core, writes."""
