from typing import Any

class Variant:
    signature: str
    value: Any
    def __init__(self, signature: str, value: Any) -> None: ...
