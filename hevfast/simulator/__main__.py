"""Run the simulator alone: `python -m hevfast.simulator`."""

from .command import simulate

if __name__ == "__main__":
    simulate()
