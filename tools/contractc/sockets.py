"""Operations that are sockets: reading and judging `socket:`, and what the outputs say of it."""
import re
from dataclasses import dataclass, field

from yaml_source import Map, Seq

_KEYS = {"client", "server", "subprotocols", "message_limit"}
_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\Z")
_SUBPROTOCOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_DISCRIMINATOR = "type"     # the member of every event that names it
ERROR_EVENT = "error"       # a server's event about a client's event that is wrong


@dataclass
class Socket:
    where: str
    client: dict = field(default_factory=dict)          # name of an event → schema
    server: dict = field(default_factory=dict)
    subprotocols: list = field(default_factory=list)    # those served, the best first
    message_limit: int = 1 << 20                        # bytes of a client's event

    @property
    def schemas(self):
        return [*self.client.values(), *self.server.values()]


def read_socket(entry, operation, read_size, problems):
    """The `socket` of an operation's entry; None when it has none. `read_size` reads a size such as 4MiB."""
    value, where = entry.get("socket"), entry.at("socket")
    if value is None:
        return None
    socket = Socket(where)
    if not isinstance(value, Map):
        problems.add(where, f"'socket' of {operation.name} holds: {', '.join(sorted(_KEYS))}")
        return socket
    for key in value:
        if key not in _KEYS:
            problems.add(value.at(key), f"'{key}' is not known in a socket")
    if operation.method != "GET":
        problems.add(where, f"{operation.name}: a socket begins with a GET request")
    for key in ("body", "multipart", "reply", "events"):
        if key in entry:
            problems.add(entry.at(key), f"{operation.name} is a socket, which has no '{key}'")
    for side in ("client", "server"):
        getattr(socket, side).update(_read_events(value, side, operation, problems))
    subprotocols = value.get("subprotocols", [])
    if isinstance(subprotocols, list) and all(isinstance(own, str) and _SUBPROTOCOL.match(own) for own in subprotocols):
        socket.subprotocols = list(subprotocols)
    else:
        problems.add(value.at("subprotocols"), "'subprotocols' must be a list of names")
    socket.message_limit = read_size(value, "message_limit", socket.message_limit)
    return socket


def _read_events(value, side, operation, problems):
    events = value.get(side)
    if not isinstance(events, Map) or not events:
        problems.add(value.at(side), f"'{side}' of the socket {operation.name} maps an event's name to a schema")
        return {}
    for name in events:
        if not isinstance(name, str) or not _EVENT.match(name):
            problems.add(events.at(name), f"'{name}' is not the name of an event")
    return {str(name): str(schema) for name, schema in events.items()}


def check_socket(operation, contract, problems):
    """Every event is an object whose `type` is its name, and the server can say what was wrong with a client's."""
    socket = operation.socket
    for name, schema in [*socket.client.items(), *socket.server.items()]:
        type_ = contract.resolve(contract.schemas[schema]) if schema in contract.schemas else None
        if type_ is None or type_.form != "fields":
            problems.add(socket.where, f"{operation.name}: the event '{name}' needs an object schema, not '{schema}'")
            continue
        own = next((own for own in contract.fields_of(type_) if own.name == _DISCRIMINATOR), None)
        if own is None or not own.required or contract.resolve(own.type).values != [name]:
            problems.add(socket.where, f"{operation.name}: '{_DISCRIMINATOR}!' of {schema} must be the constant {name}")
    if ERROR_EVENT not in socket.server:
        problems.add(socket.where, f"{operation.name}: the server's events must hold '{ERROR_EVENT}'")


def describe_socket(socket, named):
    """The member x-hearth-socket of the OpenAPI document, which has no words for sockets."""
    sides = {side: {name: named(schema) for name, schema in getattr(socket, side).items()} for side in ("client", "server")}
    return {"subprotocols": socket.subprotocols, "messageLimit": socket.message_limit, **sides}
