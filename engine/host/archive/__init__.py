"""A backup's ZIP, byte for byte: what it looks like, writing it, reading it with nothing taken on trust."""
