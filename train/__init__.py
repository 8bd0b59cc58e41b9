"""The training stack of `restore`. `restore` itself never imports it, except for the `train` command."""
