"""Judges a contract that was read whole: names, routes, inheritance, what nobody uses."""
import re

from model import ERROR_SCHEMA, STREAM_ERROR_MEMBERS, Type, names_in
from sockets import check_socket


class Checker:
    """What can only be judged with every file read: names, routes, defaults, discriminators."""

    def __init__(self, contract, problems):
        self.contract = contract
        self.problems = problems

    def run(self):
        for name, type_ in list(self.contract.schemas.items()):
            self._check_type(type_)
            self._check_cycle(name)
        for operation in self.contract.operations:
            self._check_operation(operation)
        self._check_routes()

    def _need(self, name, where):
        if name != "any" and name not in self.contract.schemas:
            self.problems.add(where, f"there is no schema '{name}'")
            self.contract.schemas.setdefault(name, Type("any", where))  # so that one fault is named once

    def _check_cycle(self, name):
        """A schema that is only another name for itself, or inherits from itself, has no meaning."""
        for pick in (lambda t: [t.name] if t.form == "ref" else [], lambda t: t.extends):
            queue, seen = list(pick(self.contract.schemas[name])), set()
            while queue:
                current = queue.pop()
                if current == name:
                    self.problems.add(self.contract.schemas[name].where, f"schema '{name}' is defined by itself")
                    self.contract.schemas[name] = Type("any", self.contract.schemas[name].where)
                    return
                if current not in seen and current in self.contract.schemas:
                    seen.add(current)
                    queue += pick(self.contract.schemas[current])

    def _check_type(self, type_):
        if type_.form == "ref":
            self._need(type_.name, type_.where)
        for base in list(type_.extends):
            if base not in self.contract.schemas or self.contract.schemas[base].form != "fields":
                self.problems.add(type_.where, f"'extends' names '{base}', which is not an object schema")
                type_.extends.remove(base)
        for inner in [type_.item, type_.extra, *type_.arms]:
            if inner is not None:
                self._check_type(inner)
        self._check_fields(type_)
        if type_.min is not None and type_.max is not None and type_.min > type_.max:
            self.problems.add(type_.where, f"min {type_.min} is above max {type_.max}")
        if type_.open_enum and not type_.values:
            self.problems.add(type_.where, "'open_enum' without 'enum'")

    def _check_fields(self, type_):
        for name in type_.one_of:
            own = next((f for f in self.contract.fields_of(type_) if f.name == name), None)
            if own is None or own.required or own.type.has_default:
                self.problems.add(type_.where, f"'one_of' names '{name}', which is not an optional field here without a default")
        if len(type_.one_of) == 1:
            self.problems.add(type_.where, "'one_of' names at least two fields")
        for own in type_.fields:
            self._check_type(own.type)
            if own.type.requires and all(f.name != own.type.requires for f in self.contract.fields_of(type_)):
                self.problems.add(own.where, f"'{own.name}' requires '{own.type.requires}', which is not a field here")
            if own.required and own.type.has_default:
                self.problems.add(own.where, f"'{own.name}' is required, so its default can never be used")

    def _check_operation(self, operation):
        names = re.findall(r"\{([^}/]*)\}", operation.path)
        declared = [f.name for f in operation.path_fields]
        for name in names:
            if name not in declared:
                self.problems.add(operation.where, f"{operation.name}: path parameter '{name}' is not declared in 'path'")
        for name in declared:
            if name not in names:
                self.problems.add(operation.where, f"{operation.name}: 'path' declares '{name}', which the route lacks")
        for segment in operation.path.split("/")[1:]:
            if not re.match(r"([A-Za-z0-9_.-]+|\{[a-z][a-z0-9_]*\})\Z", segment):
                self.problems.add(operation.where, f"{operation.name}: '{segment}' is not a route segment")
        if operation.role.startswith("project_") and "project_id" not in declared:
            self.problems.add(operation.where, f"{operation.name}: role {operation.role} needs a path parameter 'project_id'")
        holder = Type("fields", operation.where, fields=operation.path_fields + operation.query_fields)
        self._check_fields(holder)
        if operation.limited != "none" and not operation.usage:
            self.problems.add(operation.where, f"{operation.name} is 'limited', so it must say its 'usage'")
        if operation.body:
            self._need(operation.body, operation.where)
        for reply in operation.replies:
            if reply.kind == "json":
                self._need(reply.schema, operation.where)
        for schema in operation.events.values():
            self._need(schema, operation.where)
        if operation.names_error:
            self._check_error_event(operation)
        if operation.socket:
            for schema in operation.socket.schemas:
                self._need(schema, operation.where)
            check_socket(operation, self.contract, self.problems)

    def _check_error_event(self, operation):
        """The pipeline must be able to fill it in: the error's own members, a number, or a constant."""
        name, schema = operation.error_event
        self._need(schema, operation.where)
        type_ = self.contract.resolve(self.contract.schemas[schema])
        if name in operation.events:
            self.problems.add(operation.where, f"{operation.name}: '{name}' is an event and the error event")
        if schema == ERROR_SCHEMA:
            return
        for own in self.contract.fields_of(type_):
            if own.required and own.name in ("param", "code") and not self.contract.resolve(own.type).nullable:
                self.problems.add(operation.where, f"{operation.name}: '{own.name}' of an error event may be null or absent")
            if own.required and own.name not in STREAM_ERROR_MEMBERS and self.contract.resolve(own.type).form != "const":
                self.problems.add(operation.where, f"{operation.name}: nothing is known to put into '{own.name}' of an error event")

    def _check_routes(self):
        seen = {}
        for operation in self.contract.operations:
            key = (operation.method, re.sub(r"\{[^}]*\}", "{}", operation.path))
            if key in seen:
                self.problems.add(operation.where, f"{operation.name} has the same route as {seen[key]}")
            seen.setdefault(key, operation.name)


def unused_schemas(contract):
    """Schemas that no operation reaches: dead weight, which `contractc check` refuses."""
    reached, queue = set(), [ERROR_SCHEMA] if ERROR_SCHEMA in contract.schemas else []
    for op in contract.operations:
        queue += [op.body] if op.body else []
        queue += [r.schema for r in op.replies if r.kind == "json"] + list(op.events.values())
        queue += [op.error_event[1]] if op.names_error else []
        queue += op.socket.schemas if op.socket else []
        queue += [n for f in op.path_fields + op.query_fields for n in names_in(f.type)]
    while queue:
        name = queue.pop()
        if name not in reached and name in contract.schemas:
            reached.add(name)
            queue += names_in(contract.schemas[name])
    return [name for name in contract.schemas if name not in reached]
