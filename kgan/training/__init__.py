"""Training: one loop for every system, on either engine, that can be stopped anywhere and goes on bit for bit."""

from kgan.training.config import Config, Training

__all__ = ["Config", "Training"]
