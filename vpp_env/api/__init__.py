"""The environment's faces: PettingZoo (parallel and AEC), Gymnasium (central and vector)."""
