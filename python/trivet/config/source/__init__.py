"""Where values come from: file, environment, machine."""
