"""`python -m videopath_hf`: the `videopath` command for launchers, which start modules, not commands."""

from videopath_hf.cli.main import main

if __name__ == "__main__":
    main()
