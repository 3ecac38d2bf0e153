"""Flattens the contract into the tables that src/contract/tables.hpp describes. Change both together."""
import json
from dataclasses import dataclass

from model import ERROR_SCHEMA
from pattern import PatternError, compile_pattern
from routes import RouteTree

NO_NODE = 0xFFFF
NO_FIELD = 0xFF
KINDS = ("null", "boolean", "number", "string", "array", "object")
NULLABLE, HAS_MIN, HAS_MAX, HAS_ENUM = 1, 2, 4, 8
REQUIRED, DEPRECATED, IGNORED, SECRET = 1, 2, 4, 8
_MAX_REQUIRED = 64
_MAX_FIELDS = 254
_U32 = 0xFFFFFFFF


def hash_name(name: bytes, seed: int) -> int:
    """The same function as hearth::contract::hash_name."""
    def word(at):
        return int.from_bytes(name[at:at + 4], "little")
    size = len(name)
    value = seed ^ size
    value = (value ^ word(0)) * 0x9E3779B1 & _U32
    value = (value ^ (value >> 15) ^ word(4 if size < 8 else size // 2)) * 0x85EBCA77 & _U32
    value = (value ^ (value >> 14) ^ word(size // 4)) * 0x27D4EB2F & _U32
    value = (value ^ (value >> 15) ^ word(size - size // 4)) * 0x165667B1 & _U32
    value = (value ^ (value >> 13) ^ word(0 if size < 4 else size - 4)) * 0xC2B2AE3D & _U32
    return value ^ (value >> 16)


def perfect_hash(names):
    """(seed, bits, slots): every name gets a slot of its own; slots hold indexes into `names`."""
    encoded = [name.encode() for name in names]
    bits = max(1, (len(names) * 2 - 1).bit_length())
    while True:
        mask = (1 << bits) - 1
        for seed in range(1, 400):
            slots = [NO_FIELD] * (1 << bits)
            for index, name in enumerate(encoded):
                slot = hash_name(name, seed) & mask
                if slots[slot] != NO_FIELD:
                    break
                slots[slot] = index
            else:
                return seed, bits, tuple(slots)
        bits += 1
        if bits > 12:
            raise TableError(f"no perfect hash for the fields {', '.join(names)}")


class TableError(Exception):
    pass


class Pool:
    """A growing array in which equal ranges are stored once."""

    def __init__(self):
        self.items = []
        self._ranges = {}

    def add(self, values):
        values = tuple(values)
        if values not in self._ranges:
            self._ranges[values] = len(self.items)
            self.items.extend(values)
        return self._ranges[values]


@dataclass(frozen=True)
class Node:
    kind: str = "any"
    flags: int = 0
    format: str = "none"
    slot_bits: int = 0
    first: int = 0
    count: int = 0
    inner: int = NO_NODE
    absent: int = NO_NODE
    required: int = 0
    one_of: int = 0
    one_of_count: int = 0
    pattern: int = 0
    hash_seed: int = 0
    slots: int = 0
    key_max: int = 0
    min: float = 0
    max: float = 0
    name: str = ""


class Tables:
    def __init__(self, contract, problems):
        self.contract = contract
        self.problems = problems
        self.schema_names = list(contract.schemas)
        self.nodes = [None] * len(self.schema_names)
        self._ids = {name: index for index, name in enumerate(self.schema_names)}
        self._interned = {}
        self._laid_over = {}
        self.fields, self.slots, self.arms = Pool(), Pool(), Pool()
        self.choices, self.values, self.one_of = Pool(), Pool(), Pool()
        self.patterns, self.defaults = [("", [])], [""]
        self.operation_fields = {}
        for name, type_ in contract.schemas.items():
            self.nodes[self._ids[name]] = self._make(contract.resolve(type_))
        for operation in contract.operations:
            self.operation_fields[operation.name] = (
                self._intern(self._object(operation.path_fields, None, operation.where)),
                self._intern(self._object(operation.query_fields, None, operation.where)))
        self._check_termination()
        self.routes = RouteTree(contract.operations)

    def schema_id(self, name):
        return self._intern(Node()) if name == "any" else self._ids[name]

    def event_schema(self, name):
        """As schema_id; a contract without a schema of errors has none for its error events either."""
        return self.error_schema if name == ERROR_SCHEMA else self.schema_id(name)

    @property
    def error_schema(self):
        return self._ids.get(ERROR_SCHEMA, NO_NODE)

    def _intern(self, node):
        if node not in self._interned:
            self._interned[node] = len(self.nodes)
            self.nodes.append(node)
        return self._interned[node]

    def index_of(self, type_):
        """The node of a type. A plain reference is the schema's own node; one with constraints is a copy with them."""
        if type_.form != "ref":
            return self._intern(self._make(type_))
        own = (type_.nullable, type_.min, type_.max, type_.pattern, type_.format, tuple(map(repr, type_.values)))
        if own == (False, None, None, "", "", ()):
            return self._ids[type_.name]
        key = (type_.name, own)
        if key not in self._laid_over:  # reserved first, because the schema may lead back here
            self._laid_over[key] = len(self.nodes)
            self.nodes.append(None)
            self.nodes[self._laid_over[key]] = self._make(self.contract.resolve(type_))
        return self._laid_over[key]

    def _make(self, type_):
        form = type_.form
        if type_.open_enum and form == "enum":
            return Node(kind_of(type_.values[0]), NULLABLE if type_.nullable else 0)
        if type_.values and not type_.open_enum:
            return self._enumerated(type_)
        if form == "union":
            return self._union(type_)
        flags = NULLABLE if type_.nullable else 0
        if form == "fields":
            extra = self.contract.extra_of(type_)
            node = self._object(self.contract.fields_of(type_), extra, type_.where, self.contract.one_of_of(type_))
            return replace_node(node, flags=node.flags | flags)
        if form == "object":
            return Node("map", flags, inner=self._intern(Node()))
        flags, low, high = self._bounds(type_, flags)
        if form == "array":
            return Node("array", flags, inner=self.index_of(type_.item), min=low, max=high)
        if form == "map":
            return Node("map", flags, inner=self.index_of(type_.item), min=low, max=high, key_max=type_.key_max or 0)
        if (type_.min is not None or type_.max is not None) and form not in ("integer", "number", "string"):
            self.problems.add(type_.where, f"'min' and 'max' have no meaning for {form}")
        return Node(form, flags, type_.format or "none", pattern=self._pattern(type_), min=low, max=high)

    @staticmethod
    def _bounds(type_, flags):
        if type_.min is not None:
            flags |= HAS_MIN
        if type_.max is not None:
            flags |= HAS_MAX
        return flags, type_.min or 0, type_.max or 0

    def _pattern(self, type_):
        if not type_.pattern:
            return 0
        for index, (text, _) in enumerate(self.patterns):
            if text == type_.pattern:
                return index
        try:
            self.patterns.append((type_.pattern, compile_pattern(type_.pattern)))
        except PatternError as error:
            self.problems.add(type_.where, f"pattern {type_.pattern}: {error}")
            return 0
        return len(self.patterns) - 1

    def _enumerated(self, type_):
        by_kind = {}
        for value in type_.values:
            by_kind.setdefault(kind_of(value), []).append(value)
        nullable = type_.nullable or "null" in by_kind
        by_kind.pop("null", None)
        flags = (NULLABLE if nullable else 0) | HAS_ENUM
        nodes = {}
        for kind, values in by_kind.items():
            rows = [(kind, value if kind == "string" else json.dumps(value), value if kind == "number" else 0)
                    for value in values]
            name = kind if kind != "number" else ("integer" if all(isinstance(v, int) for v in values) else "number")
            nodes[kind] = Node(name, flags, first=self.values.add(rows), count=len(rows))
        if not nodes:
            return Node("null")
        if len(nodes) == 1:
            return next(iter(nodes.values()))
        arms = [self._intern(replace_node(nodes[k], flags=HAS_ENUM)) if k in nodes else NO_NODE for k in KINDS]
        return Node("by_kind", NULLABLE if nullable else 0, first=self.arms.add(arms), count=len(arms))

    def _object(self, fields, extra, where, one_of=()):
        ordered = sorted(fields, key=lambda f: not f.required)
        required = sum(f.required for f in fields)
        if required > _MAX_REQUIRED or len(fields) > _MAX_FIELDS:
            self.problems.add(where, "the object has too many fields for the tables")
            return Node()
        places = {f.name: index for index, f in enumerate(ordered)}
        rows = []
        for own in ordered:
            type_ = self.contract.resolve(own.type)
            flags = REQUIRED if own.required else 0
            for flag, key in ((DEPRECATED, "deprecated"), (IGNORED, "ignored"), (SECRET, "secret")):
                flags |= flag if getattr(own.type, key) else 0
            rows.append((own.name, self.index_of(own.type), flags, places.get(own.type.requires, NO_FIELD),
                         self._default(own, type_)))
        seed, bits, slots = perfect_hash([f.name for f in ordered])
        return Node("object", slot_bits=bits, first=self.fields.add(rows), count=len(rows), required=required,
                    one_of=self.one_of.add(places[name] for name in one_of if name in places), one_of_count=len(one_of),
                    hash_seed=seed, slots=self.slots.add(slots), inner=NO_NODE if extra is None else self.index_of(extra))

    def _default(self, own, type_):
        if not own.type.has_default:
            return 0
        if not self._fits(own.type.default, type_):
            self.problems.add(own.where, f"the default of '{own.name}' is not one of its values")
        text = json.dumps(own.type.default)
        if text not in self.defaults:
            self.defaults.append(text)
        return self.defaults.index(text)

    def _fits(self, value, type_):
        """Whether a default is a value of its type; the insides of objects and arrays are taken on trust."""
        type_ = self.contract.resolve(type_)
        if value is None:
            return type_.nullable or type_.form in ("null", "any") or None in type_.values
        if type_.form == "union":
            return any(self._fits(value, arm) for arm in type_.arms)
        if type_.values and not type_.open_enum:
            return value in type_.values
        kind = kind_of(value)
        expected = {"fields": "object", "map": "object", "integer": "number", "const": kind, "enum": kind}
        if type_.form != "any" and expected.get(type_.form, type_.form) != kind:
            return False
        size = value if kind == "number" else len(value) if kind in ("string", "array", "object") else 0
        return (type_.min is None or size >= type_.min) and (type_.max is None or size <= type_.max)

    # Unions

    def _union(self, type_):
        arms, nullable = [], type_.nullable
        for arm in self._flat_arms(type_, ()):
            resolved = self.contract.resolve(arm)
            nullable |= resolved.nullable or resolved.form in ("null", "any") or None in resolved.values
            if resolved.form != "null":
                arms.append(arm)
        by_kind = {kind: [] for kind in KINDS}
        for arm in arms:
            for kind in self._kinds_of(self.contract.resolve(arm)):
                if kind != "null":
                    by_kind[kind].append(arm)
        nodes = []
        for kind in KINDS:
            candidates = by_kind[kind]
            if not candidates:
                nodes.append(NO_NODE)
            elif len(candidates) == 1:
                nodes.append(self.index_of(candidates[0]))
            elif kind == "object" and type_.by:
                nodes.append(self._intern(self._by_field(candidates, type_)))
            else:
                nodes.append(self._first_of([self.index_of(arm) for arm in candidates]))
        flags = NULLABLE if nullable else 0
        present = [node for node in nodes if node != NO_NODE]
        if len(set(present)) == 1 and self.nodes[present[0]] is not None and not self._accepts_more(arms):
            node = self.nodes[present[0]]
            return replace_node(node, flags=node.flags | flags)
        return Node("by_kind", flags, first=self.arms.add(nodes), count=len(nodes))

    def _accepts_more(self, arms):
        return any(len(self._kinds_of(self.contract.resolve(arm))) > 1 for arm in arms)

    def _flat_arms(self, type_, seen):
        for arm in type_.arms:
            resolved = self.contract.resolve(arm)
            if resolved.form != "union":
                yield arm
            elif arm.form == "ref" and arm.name in seen:
                self.problems.add(type_.where, f"the union '{arm.name}' contains itself")
            else:
                yield from self._flat_arms(resolved, seen + ((arm.name,) if arm.form == "ref" else ()))
                if resolved.nullable:
                    yield _null_arm(arm)

    @staticmethod
    def _kinds_of(type_):
        if type_.form == "any":
            return KINDS
        if type_.form in ("const", "enum"):
            return tuple(dict.fromkeys(kind_of(value) for value in type_.values))
        return ({"fields": "object", "map": "object", "integer": "number"}.get(type_.form, type_.form),)

    def _by_field(self, arms, type_):
        groups, absent, others = {}, [], []
        for arm in arms:
            resolved, index = self.contract.resolve(arm), self.index_of(arm)
            fields = {f.name: f for f in self.contract.fields_of(resolved)} if resolved.form == "fields" else {}
            own = fields.get(type_.by)
            if own is None or not own.required:
                absent.append(index)
            if own is None:
                if resolved.form != "fields" or self.contract.extra_of(resolved) is not None:
                    others.append(index)
                continue
            tag = self.contract.resolve(own.type)
            if tag.values and not tag.open_enum and all(isinstance(value, str) for value in tag.values):
                for value in tag.values:
                    groups.setdefault(value, []).append(index)
            else:
                others.append(index)
        if not groups:
            self.problems.add(type_.where, f"no arm of the union has a constant '{type_.by}'")
        rows = [(text, self._first_of(indexes)) for text, indexes in sorted(groups.items())]
        return Node("by_field", first=self.choices.add(rows), count=len(rows), name=type_.by,
                    inner=self._first_of(others), absent=self._first_of(absent))

    def _first_of(self, indexes):
        if not indexes:
            return NO_NODE
        if len(indexes) == 1:
            return indexes[0]
        return self._intern(Node("first_of", first=self.arms.add(indexes), count=len(indexes)))

    def _check_termination(self):
        """Unions may not lead to themselves without going into the value, nor be tried in order recursively."""
        for index, node in enumerate(self.nodes):
            if node.kind in ("by_kind", "by_field", "first_of") and self._reaches(index, self._arms_of):
                self.problems.add(self._place(index), "a union leads back to itself")
            if node.kind == "first_of" and self._reaches(index, self._children_of):
                self.problems.add(self._place(index), "a union without 'by' contains itself; give it a discriminator")

    def _reaches(self, start, step):
        queue, seen = list(step(start)), set()
        while queue:
            current = queue.pop()
            if current == start:
                return True
            if current not in seen:
                seen.add(current)
                queue += step(current)
        return False

    def _arms_of(self, index):
        node = self.nodes[index]
        if node.kind in ("by_kind", "first_of"):
            found = self.arms.items[node.first:node.first + node.count]
        elif node.kind == "by_field":
            found = [row[1] for row in self.choices.items[node.first:node.first + node.count]]
            found += [node.inner, node.absent]
        else:
            found = []
        return [item for item in found if item != NO_NODE]

    def _children_of(self, index):
        node = self.nodes[index]
        found = self._arms_of(index)
        if node.kind == "object":
            found += [row[1] for row in self.fields.items[node.first:node.first + node.count]]
        if node.kind in ("object", "map", "array") and node.inner != NO_NODE:
            found.append(node.inner)
        return found

    def _place(self, index):
        for schema, own in self._ids.items():
            if own == index or index in self._children_of(own):
                return f"{self.contract.schemas[schema].where} ({schema})"
        return "contract"


def kind_of(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def replace_node(node, **changes):
    return Node(**{**node.__dict__, **changes})


def _null_arm(arm):
    return type(arm)("null", arm.where)
