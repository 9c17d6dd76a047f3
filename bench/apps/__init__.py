"""The apps that every server runs; copied to a scratch folder, never run from here."""
