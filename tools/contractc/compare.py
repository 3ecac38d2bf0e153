#!/usr/bin/env python3
"""Compares the contract with the official description and with contract/upstream/deviations.yaml.

    compare.py [SPEC.yaml]

All operations are compared by method, path, status and query names; those that say what they reply (the implemented
ones do) also by their parameters and, recursively, by the schemas of request, reply and stream; then the schemas of
replies that were not met on that way and have a namesake there. A difference that deviations.yaml does not list is a fault, and
so is a listed one that no longer occurs. Without SPEC.yaml only the list of operations is checked, against digest.yaml.
Exit status: 0 no fault, 1 faults (printed as entries to paste), 2 wrong use. Called by CI and `./dev contract`.

What is not a difference: a default inside a union arm or of a reply (neither can have effect), bounds, formats, values
or the presence of a member that our replies promise and the description leaves open, `format: unixtime` and `int64` (annotations), and `x[]` for an array
parameter `x` (the contract's language says that both spellings are read).
"""
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from model import ERROR_SCHEMA, names_in
from reader import load_contract

CONTRACT = Path(__file__).resolve().parents[2] / "contract"
PREFIX = "/v1"
_ANNOTATING_FORMATS = ("", "unixtime", "int64")
_ABSENT = object()
_ANY = "any"


@dataclass
class Shape:
    """What both sides are reduced to before they are compared."""
    kind: str                                   # string integer number boolean null any object array union
    name: str = ""                              # the schema's name in the contract; differences inside are placed there
    identity: int = 0                           # of the description's schema, so that a pair is compared once
    nullable: bool = False
    deprecated: bool = False
    default: object = _ABSENT
    enum: list = None
    facets: dict = field(default_factory=dict)  # open_enum, min, max, key_max, pattern, format
    item: "Shape" = None                        # array; for an object: what other members are
    fields: dict = field(default_factory=dict)  # name → (required, Shape)
    arms: list = field(default_factory=list)


class Ours:
    """Contract types → shapes."""

    def __init__(self, contract):
        self.contract = contract

    def schema(self, name):
        if name not in self.contract.schemas:
            return Shape(_ANY)
        shape = self.shape(self.contract.schemas[name])
        shape.name = name
        return shape

    def shape(self, type_):
        resolved = self.contract.resolve(type_)
        shape = self._bare(resolved)
        shape.name = type_.name if type_.min is None and type_.max is None else ""  # else it is a type of the place's own
        shape.nullable = resolved.nullable
        shape.deprecated = type_.deprecated or resolved.deprecated
        if resolved.has_default:
            shape.default = resolved.default
        if resolved.values:
            shape.enum = list(resolved.values)
        facets = {"open_enum": resolved.open_enum or None, "min": resolved.min, "max": resolved.max,
                  "key_max": resolved.key_max, "pattern": resolved.pattern or None, "format": resolved.format or None}
        shape.facets = {key: value for key, value in facets.items() if value is not None}
        return shape

    def _bare(self, type_):
        if type_.form in ("const", "enum"):
            return Shape(_kind_of_values(type_.values))
        if type_.form == "array":
            return Shape("array", item=self.shape(type_.item))
        if type_.form == "map":
            return Shape("object", item=self.shape(type_.item))
        if type_.form == "object":
            return Shape("object", item=Shape(_ANY))
        if type_.form == "fields":
            fields = {f.name: (f.required, _Later(self.shape, f.type)) for f in self.contract.fields_of(type_)}
            extra = self.contract.extra_of(type_)
            return Shape("object", fields=fields, item=self.shape(extra) if extra is not None else None)
        if type_.form == "union":
            return Shape("union", arms=[self.shape(arm) for arm in type_.arms])
        return Shape(type_.form)


class Theirs:
    """OpenAPI 3.0 schemas → shapes."""

    def __init__(self, document):
        self.document = document

    def shape(self, schema):
        schema, overlay = self._follow(schema)
        if "allOf" in schema:
            schema = self._merge(schema)
        shape = self._bare(schema)
        shape.identity = id(schema)
        shape.nullable = shape.nullable or bool(overlay.get("nullable", schema.get("nullable", False)))
        shape.deprecated = bool(overlay.get("deprecated", schema.get("deprecated", False)))
        for holder in (schema, overlay):
            if "default" in holder:
                shape.default = holder["default"]
        return shape

    def _follow(self, schema):
        overlay = {}
        while "$ref" in schema:
            overlay = {**{k: v for k, v in schema.items() if k != "$ref"}, **overlay}
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema, overlay

    def _merge(self, schema):
        merged = {"type": "object", "properties": {}, "required": []}
        for part in schema["allOf"]:
            part, _ = self._follow(part)
            if "allOf" in part:
                part = self._merge(part)
            merged["properties"].update(part.get("properties", {}))
            merged["required"] += part.get("required", [])
        return merged

    def _bare(self, schema):
        arms = schema.get("oneOf") or schema.get("anyOf")
        if arms:
            return self._union([self.shape(arm) for arm in arms])
        kind = schema.get("type") or ("object" if "properties" in schema else _ANY)
        keys = {"array": ("minItems", "maxItems"), "string": ("minLength", "maxLength"),
                "object": ("minProperties", "maxProperties")}.get(kind, ("minimum", "maximum"))
        facets = {"min": schema.get(keys[0]), "max": schema.get(keys[1]), "pattern": schema.get("pattern"),
                  "format": schema.get("format")}
        shape = Shape(kind, enum=schema.get("enum"), facets={k: v for k, v in facets.items() if v is not None})
        if kind == "array":
            shape.item = self.shape(schema["items"])
        if kind == "object":
            required = schema.get("required", [])
            shape.fields = {self._own_name(name, value): (name in required, _Later(self.shape, value))
                            for name, value in schema.get("properties", {}).items()}
            extra = schema.get("additionalProperties", None)
            if isinstance(extra, dict):
                shape.item = self.shape(extra)
            elif extra is True or (extra is None and not shape.fields):
                shape.item = Shape(_ANY)
        return shape

    @staticmethod
    def _own_name(name, value):
        """Forms write `x[]` for an array, as queries do."""
        return name.removesuffix("[]") if value.get("type") == "array" else name

    def _union(self, arms):
        nullable = any(arm.nullable for arm in arms)
        if len(arms) == 1:
            result = arms[0]
        elif all(arm.kind == "string" for arm in arms) and sum(arm.enum is None for arm in arms) == 1:
            listed = next(arm.enum for arm in arms if arm.enum)  # "these, or any other text"
            result = Shape("string", enum=listed, facets={"open_enum": True})
        else:
            result = Shape("union", arms=arms)
        result.nullable = nullable
        return result


class _Later:
    """A field's shape, made when it is looked at: schemas may contain themselves."""

    def __init__(self, make, source):
        self.make = make
        self.source = source

    def shape(self):
        return self.make(self.source)


class Comparison:
    """Walks pairs of shapes and collects differences as {(at, kind): (ours, theirs)}."""

    def __init__(self):
        self.found = {}
        self.fields_compared = 0
        self._seen = set()

    def differs(self, at, kind, ours, theirs):
        self.found[(at, kind)] = (ours, theirs)

    def met(self, name):
        return any(seen == name for seen, _, _ in self._seen)

    def schema(self, at, ours, theirs, is_reply):
        """One place where a value of shape `ours` stands: what belongs to the place, then the shape itself."""
        if ours.nullable != theirs.nullable:
            self.differs(at, "nullable", ours.nullable, theirs.nullable)
        if not is_reply:
            absent_default = (None if ours.nullable and theirs.nullable else _ABSENT)
            mine = absent_default if ours.default is _ABSENT else ours.default
            other = absent_default if theirs.default is _ABSENT else theirs.default
            if mine is not other and (mine != other or isinstance(mine, bool) != isinstance(other, bool)):
                self.differs(at, "default", _shown(ours.default), _shown(theirs.default))
        if ours.name:
            pair = (ours.name, theirs.identity, is_reply)
            if theirs.identity and pair in self._seen:
                return
            self._seen.add(pair)
            at = ours.name
        self._structure(at, ours, theirs, is_reply)

    def _structure(self, at, ours, theirs, is_reply):
        if "union" in (ours.kind, theirs.kind):
            self._arms(at, ours, theirs, is_reply)
            return
        if ours.kind != theirs.kind:
            self.differs(at, "type", ours.kind, theirs.kind)
            return
        only_promised = is_reply and theirs.enum is None and not ours.facets.get("open_enum")
        only_suggested = ours.enum is None and theirs.facets.get("open_enum")  # is the difference "open_enum"
        if _sorted(ours.enum) != _sorted(theirs.enum) and not only_suggested and not only_promised:
            self.differs(at, "enum", ours.enum, theirs.enum)
        self._facets(at, ours, theirs, is_reply)
        if ours.kind == "array":
            self.schema(at + "[]", _without_default(ours.item), _without_default(theirs.item), is_reply)
        if ours.kind == "object":
            self._members(at, ours, theirs, is_reply)

    def _facets(self, at, ours, theirs, is_reply):
        for key in sorted(ours.facets.keys() | theirs.facets.keys()):
            mine, other = ours.facets.get(key), theirs.facets.get(key)
            if mine == other or (is_reply and other is None):
                continue
            if key == "format" and (mine or "") in _ANNOTATING_FORMATS and (other or "") in _ANNOTATING_FORMATS:
                continue
            self.differs(at, key, mine, other)

    def _members(self, at, ours, theirs, is_reply):
        for name in [*ours.fields, *(n for n in theirs.fields if n not in ours.fields)]:
            place = f"{at}.{name}"
            if name not in theirs.fields:
                self.differs(place, "field", "present", "absent")
            elif name not in ours.fields:
                self.differs(place, "field", "absent", "present")
            else:
                self.fields_compared += 1
                (needed, mine), (their_needed, other) = ours.fields[name], theirs.fields[name]
                if needed != their_needed and not (is_reply and needed):
                    self.differs(place, "required", needed, their_needed)
                mine, other = mine.shape(), other.shape()
                if mine.deprecated != other.deprecated:
                    self.differs(place, "deprecated", mine.deprecated, other.deprecated)
                self.schema(place, mine, other, is_reply)
        if (ours.item is None) != (theirs.item is None):
            self.differs(at, "extra", ours.item is not None, theirs.item is not None)
        elif ours.item is not None:
            self.schema(at + "{}", ours.item, theirs.item, is_reply)

    def _arms(self, at, ours, theirs, is_reply):
        mine = {_arm_key(arm): arm for arm in _flat(ours)}
        other = {_arm_key(arm): arm for arm in _flat(theirs)}
        for key in [*mine, *(k for k in other if k not in mine)]:
            if key not in other or key not in mine:
                sides = ("present", "absent") if key in mine else ("absent", "present")
                self.differs(f"{at}|{key}", "arm", *sides)
                continue
            arm, their_arm = _without_default(mine[key]), _without_default(other[key])
            arm.nullable = their_arm.nullable  # compared at the union, where it is written
            self.schema(f"{at}|{key}", arm, their_arm, is_reply)


def _flat(shape):
    return [inner for arm in shape.arms for inner in _flat(arm)] if shape.kind == "union" else [shape]


def _arm_key(shape):
    """What tells an arm from its siblings: its constant, else its JSON kind."""
    if shape.kind == "array":
        return "array of " + "/".join(_arm_key(arm) for arm in _flat(shape.item))
    if shape.kind == "object":
        for name in ("role", "type"):
            if name in shape.fields:
                values = shape.fields[name][1].shape().enum
                if values and len(values) == 1:
                    return str(values[0])
    return shape.kind


def _without_default(shape):
    shape.default = _ABSENT
    return shape


def _kind_of_values(values):
    if all(isinstance(v, bool) for v in values):
        return "boolean"
    if all(isinstance(v, int) for v in values):
        return "integer"
    return "number" if all(isinstance(v, (int, float)) for v in values) else "string"


def _sorted(values):
    return None if values is None else sorted(values, key=repr)


def _shown(default):
    return "none" if default is _ABSENT else default


def compare_operations(contract, document, comparison):
    """Every operation of both sides, in whole where it is implemented."""
    ours, theirs = Ours(contract), Theirs(document)
    described = {f"{method.upper()} {PREFIX}{path}": operation
                 for path, methods in document["paths"].items() for method, operation in methods.items()}
    declared = {f"{op.method} {op.path}": op for op in contract.operations}
    for route in described.keys() - declared.keys():
        comparison.differs(route, "operation", "absent", "present")
    for route in declared.keys() - described.keys():
        comparison.differs(route, "operation", "present", "absent")
    for route in sorted(described.keys() & declared.keys()):
        _compare_operation(declared[route], described[route], ours, theirs, comparison)
    error = document["components"]["schemas"][ERROR_SCHEMA]
    comparison.schema(ERROR_SCHEMA, ours.schema(ERROR_SCHEMA), theirs.shape(error), is_reply=True)
    for name in _reply_schemas(contract):
        if name in document["components"]["schemas"] and not comparison.met(name):
            comparison.schema(name, ours.schema(name), theirs.shape(document["components"]["schemas"][name]), is_reply=True)


def _reply_schemas(contract):
    """The names of the schemas that replies hold, in the order in which they are found."""
    queue = [reply.schema for op in contract.operations for reply in op.replies if reply.kind == "json"]
    found = {}
    while queue:
        name = queue.pop(0)
        if name not in found and name in contract.schemas:
            found[name] = True
            queue += names_in(contract.schemas[name])
    return list(found)


def _compare_operation(op, described, ours, theirs, comparison):
    statuses = sorted({reply.status for reply in op.replies}) or [200]
    replies = {int(status): reply for status, reply in described["responses"].items() if status.startswith("2")}
    if statuses != sorted(replies):
        comparison.differs(op.name, "status", statuses, sorted(replies))
    _compare_query(op, described, ours, theirs, comparison)
    if not _is_whole(op):
        return
    content = described.get("requestBody", {}).get("content", {})
    kind = {"application/json": "json", "multipart/form-data": "multipart"}.get(next(iter(content), ""), "none")
    if op.body_kind != kind:
        comparison.differs(op.name, "body", op.body_kind, kind)
    elif op.body:
        body = next(iter(content.values()))["schema"]
        comparison.schema(op.name, ours.schema(op.body), theirs.shape(body), is_reply=False)
    for reply in op.replies:
        content = replies.get(reply.status, {}).get("content", {})
        if reply.kind != "json" or "application/json" not in content:
            if not _is_raw_alike(reply, content):
                place = op.name if reply.kind == "json" else f"{op.name}|{reply.kind}"
                comparison.differs(place, "reply", reply.kind, sorted(content))
            continue
        described_reply = content["application/json"]["schema"]
        comparison.schema(op.name, ours.schema(reply.schema), theirs.shape(described_reply), is_reply=True)
        described_events = content.get("text/event-stream", {}).get("schema")
        if bool(op.events) != bool(described_events):
            comparison.differs(op.name, "stream", bool(op.events), bool(described_events))
        for schema in op.events.values():
            chunk = theirs.shape(described_events or described_reply)
            comparison.schema(op.name, ours.schema(schema), chunk, is_reply=True)


def _is_raw_alike(reply, content):
    """Whether a reply that is no JSON is described as we have it."""
    if reply.kind == "empty":
        return not content
    if reply.kind == "text":
        return "text/plain" in content
    binary = {media for media, own in content.items() if own.get("schema", {}).get("format") == "binary"}
    return reply.kind == "bytes" and bool(binary) and binary == set(reply.media or binary)


def _is_whole(op):
    """A planned operation may be written before it is implemented; one that names no schema of a reply is not yet."""
    return not op.planned or any(reply.schema not in ("", _ANY) for reply in op.replies)


def _compare_query(op, described, ours, theirs, comparison):
    parameters = {p["name"].removesuffix("[]"): p for p in described.get("parameters", []) if p["in"] == "query"}
    fields = {f.name: f for f in op.query_fields}
    for name in sorted(fields.keys() ^ parameters.keys()):
        sides = ("present", "absent") if name in fields else ("absent", "present")
        comparison.differs(f"{op.name}?{name}", "query", *sides)
    for name in sorted(fields.keys() & parameters.keys()):
        place, field_, parameter = f"{op.name}?{name}", fields[name], parameters[name]
        if field_.required != bool(parameter.get("required")):
            comparison.differs(place, "required", field_.required, bool(parameter.get("required")))
        if _is_whole(op):
            comparison.schema(place, ours.shape(field_.type), theirs.shape(parameter["schema"]), is_reply=False)


def check_digest(contract, document):
    """Faults between digest.yaml, the contract and (where given) the description."""
    digest = yaml.safe_load((CONTRACT / "upstream" / "digest.yaml").read_text(encoding="utf-8"))
    listed = digest["operations"]
    faults = [f"digest.yaml lists {route} twice" for route in sorted({r for r in listed if listed.count(r) > 1})]
    sides = {"the contract": {f"{op.method} {op.path}" for op in contract.operations}}
    if document is not None:
        sides["the description"] = {f"{method.upper()} {PREFIX}{path}"
                                    for path, methods in document["paths"].items() for method in methods}
    for side, routes in sides.items():
        faults += [f"digest.yaml lists {route}, which {side} lacks" for route in sorted(set(listed) - routes)]
        faults += [f"digest.yaml lacks {route}, which {side} has" for route in sorted(routes - set(listed))]
    return faults


def load_deviations():
    """The listed differences by (at, kind), and the faults of the list itself."""
    path = CONTRACT / "upstream" / "deviations.yaml"
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["deviations"]
    listed, faults = {}, []
    for entry in entries:
        if set(entry) != {"at", "kind", "ours", "theirs", "reason"} or not re.match(r"\w", str(entry["reason"])):
            faults.append(f"deviations.yaml: an entry needs at, kind, ours, theirs and a reason: {entry}")
            continue
        key = (entry["at"], entry["kind"])
        if key in listed:
            faults.append(f"deviations.yaml lists {key[0]} ({key[1]}) twice")
        listed[key] = (entry["ours"], entry["theirs"])
    return listed, faults


def judge(found, listed):
    """Differences that are not listed, listed otherwise than they are, or listed and gone."""
    faults = []
    for (at, kind), (ours, theirs) in found.items():
        if listed.get((at, kind)) != (ours, theirs):
            values = json.dumps({"ours": ours, "theirs": theirs}, ensure_ascii=False)[1:-1]
            faults.append(f'not in deviations.yaml: - {{ at: "{at}", kind: {kind}, {values}, reason:  }}')
    for at, kind in listed.keys() - found.keys():
        faults.append(f"deviations.yaml: {at} ({kind}) no longer differs; remove the entry")
    return faults


def main(arguments):
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(__doc__, file=sys.stderr)
        return 2
    contract, problems = load_contract(CONTRACT)
    if problems.items:
        print("\n".join(problems.items))
        return 1
    listed, faults = load_deviations()
    document = None
    if arguments:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        document = yaml.load(Path(arguments[0]).read_text(encoding="utf-8"), Loader=loader)
    faults += check_digest(contract, document)
    summary = f"{len(contract.operations)} operations equal to the digest"
    if document is not None:
        comparison = Comparison()
        compare_operations(contract, document, comparison)
        faults += judge(comparison.found, listed)
        summary = (f"{len(contract.operations)} operations and {comparison.fields_compared} fields compared, "
                   f"{len(comparison.found)} differences, {len(listed)} of them listed with a reason")
    for fault in faults:
        print(fault)
    print(f"contract: {summary}, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
