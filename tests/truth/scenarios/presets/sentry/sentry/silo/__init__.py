from enum import Enum


class SiloMode(Enum):
    CONTROL = "CONTROL"
    MONOLITH = "MONOLITH"
    REGION = "REGION"

    def __str__(self):
        return self.value
