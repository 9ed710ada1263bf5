"""`python -m auditor`: the command, by the Python that it is installed in."""

from auditor.cli.main import main

if __name__ == "__main__":
    main()
