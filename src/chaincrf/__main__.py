"""``python -m chaincrf`` is the command ``chaincrf``."""

from chaincrf.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
