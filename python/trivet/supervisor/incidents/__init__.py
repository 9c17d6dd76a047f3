"""The black box: `recorder` puts an incident together, `store` keeps it, `folder` on disk too."""
