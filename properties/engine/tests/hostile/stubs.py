"""Is not written yet."""


class Mine:
    name = "mine"

    def selector(self, **sizes):
        raise NotImplementedError("selector is not written yet")

    pipeline = model = selector
