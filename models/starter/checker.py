"""Says whether an answer holds a fact: the command, field or number that a right answer cannot do without."""


def folded(text):
    return " ".join(text.lower().split())


def holds(must, answer):
    """Every item of `must` stands in the answer; a list among them is alternatives. Case and white space do not count."""
    answer = folded(answer)
    return all(any(folded(alternative) in answer for alternative in ([item] if isinstance(item, str) else item)) for item in must)
