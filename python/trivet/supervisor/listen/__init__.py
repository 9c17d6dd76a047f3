"""Listening sockets: opening them, and what is said where one cannot be had."""
