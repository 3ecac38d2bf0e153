"""The route tree: what src/contract/router.cpp walks, segment by segment."""
import re


class RouteTree:
    """One node per path segment; static segments are tried before a parameter."""

    def __init__(self, operations):
        self.nodes = [self._new()]
        for operation in operations:
            current = self.nodes[0]
            for segment in operation.path.split("/")[1:]:
                if segment.startswith("{"):
                    current["param"] = current["param"] or self._grow()
                    current = self.nodes[current["param"]]
                else:
                    if segment not in current["children"]:
                        current["children"][segment] = self._grow()
                    current = self.nodes[current["children"][segment]]
            current["methods"].append((operation.method, operation.name))
            current["rest"] = current["rest"] or operation.takes_rest

    @staticmethod
    def _new():
        return {"children": {}, "param": 0, "methods": [], "rest": False}

    def _grow(self):
        self.nodes.append(self._new())
        return len(self.nodes) - 1


def path_names(operation):
    return re.findall(r"\{([^}/]*)\}", operation.path)
