"""Plays the same AMQP 0-9-1 scripts against two brokers and compares what they answer. See ../README.md."""
