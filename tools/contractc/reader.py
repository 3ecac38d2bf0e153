"""Reads the YAML of contract/ into the dataclasses of model.py and names each fault by file and line."""
import re
from dataclasses import replace
from pathlib import Path

from checker import Checker
from model import (AUTHS, CANCELS, FORMATS, IMAGE_SOURCES, LIMITS, LIST_IDS, METHODS, PAGE_LIMIT_SCHEMA, PAGE_ORDERS, PRIMITIVES, ROLES, STREAM_ENDS, USAGES, Contract,
                   Field, Operation, Reply, Type)
from sockets import read_socket
from yaml_source import Map, Problems, Seq, load

_ANNOTATIONS = {"doc", "deprecated", "ignored", "requires", "secret", "default", "nullable"}
_FORM_KEYS = {
    "type": {"min", "max", "pattern", "enum", "format", "open_enum"},
    "const": set(),
    "enum": {"open_enum"},
    "array": {"min", "max"},
    "map": {"min", "max", "key_max"},
    "fields": {"extends", "extra", "one_of"},
    "list": {"ids"},
    "deleted": set(),
    "union": {"by"},
}
_OPERATION_KEYS = {"op", "http", "summary", "doc", "auth", "role", "limited", "usage", "cancel", "status", "path", "query", "page", "body",
                   "multipart", "body_limit", "file_limit", "memory", "reply", "events", "socket", "errors", "deprecated"}
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*\Z")
_SNAKE = re.compile(r"[a-z][a-z0-9_]*\Z")
_SCHEMA_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
_SIZE = re.compile(r"([0-9]+) ?(KiB|MiB|GiB|KB|MB|GB|B)?\Z")
_UNITS = {None: 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def load_contract(folder: Path):
    """Reads and checks the contract below `folder`. Returns it with the problems found (it is whole when there are none)."""
    problems = Problems()
    reader = _Reader(problems)
    shown_root = folder.name
    for kind in ("schemas", "operations"):
        for path in sorted((folder / kind).glob("*.yaml")):
            shown = f"{shown_root}/{kind}/{path.name}"
            document = load(path, shown, problems)
            if document is None:
                continue
            if not isinstance(document, Map):
                problems.add(f"{shown}:1", "the file must be a mapping")
                continue
            reader.known(document, {kind}, "a contract file")
            if kind == "schemas":
                reader.read_schemas(document.get("schemas"), document.at("schemas"))
            else:
                reader.read_operations(document.get("operations"), document.at("operations"), path.stem)
    contract = Contract(reader.operations, reader.schemas, sorted({op.group for op in reader.operations}))
    Checker(contract, problems).run()
    return contract, problems


class _Reader:
    """YAML → dataclasses. Names are resolved later, by the checker."""

    def __init__(self, problems):
        self.problems = problems
        self.schemas = {}
        self.operations = []
        self._operation_places = {}

    def known(self, mapping, allowed, what):
        for key in mapping:
            if key not in allowed:
                self.problems.add(mapping.at(key), f"'{key}' is not known in {what}")

    def read_schemas(self, mapping, where):
        if not isinstance(mapping, Map):
            self.problems.add(where, "'schemas' must be a mapping")
            return
        for name, value in mapping.items():
            place = mapping.at(name)
            if not isinstance(name, str) or not _SCHEMA_NAME.match(name):
                self.problems.add(place, f"'{name}' is not a schema name (PascalCase)")
            elif name in self.schemas:
                self.problems.add(place, f"schema '{name}' is already at {self.schemas[name].where}")
            else:
                self.schemas[name] = replace(self.read_type(value, place), where=place)

    def read_fields(self, mapping, where):
        if not isinstance(mapping, Map):
            self.problems.add(where, "a field list must be a mapping")
            return []
        fields = []
        for key, value in mapping.items():
            place = mapping.at(key)
            if key is None or isinstance(key, bool):
                key = {None: "null", True: "true", False: "false"}[key]
            key = str(key)
            required = key.endswith("!")
            name = key[:-1] if required else key
            if not name or any(ord(c) <= 32 for c in name):
                self.problems.add(place, f"'{key}' is not a field name")
                continue
            if any(f.name == name for f in fields):
                self.problems.add(place, f"field '{name}' is written twice")
                continue
            fields.append(Field(name, required, self.read_type(value, place), place))
        return fields

    def read_type(self, value, where):
        if value is None:
            return Type("null", where)
        if isinstance(value, str):
            nullable = value.endswith("?")
            word = value[:-1] if nullable else value
            if word in PRIMITIVES:
                return Type(word, where, nullable=nullable)
            if _SCHEMA_NAME.match(word):
                return Type("ref", where, name=word, nullable=nullable)
            self.problems.add(where, f"'{value}' is not a type")
            return Type("any", where)
        if isinstance(value, Seq):
            if len(value) != 1:
                self.problems.add(where, "an array type holds exactly one type: [T]")
                return Type("any", where)
            return Type("array", where, item=self.read_type(value[0], value.where))
        if isinstance(value, Map):
            return self._read_mapping(value, where)
        self.problems.add(where, f"'{value}' is not a type")
        return Type("any", where)

    def _read_mapping(self, value, where):
        forms = [form for form in ("type", "const", "array", "map", "fields", "union", "list", "deleted") if form in value]
        if not forms and "enum" in value:
            forms = ["enum"]
        if not forms and ("extends" in value or "extra" in value):
            forms = ["fields"]
        if len(forms) != 1:
            self.problems.add(where, "a type has exactly one of: type, const, enum, array, map, fields, union, list, deleted")
            return Type("any", where)
        form = forms[0]
        self.known(value, _ANNOTATIONS | _FORM_KEYS[form] | {form}, f"a type written with '{form}'")
        result = self._read_form(form, value, where)
        for key in ("min", "max", "key_max"):
            if key in value:
                if isinstance(value[key], (int, float)) and not isinstance(value[key], bool):
                    setattr(result, key, value[key])
                else:
                    self.problems.add(value.at(key), f"'{key}' must be a number")
        for key in ("doc", "requires", "pattern", "format"):
            if key in value:
                if isinstance(value[key], str):
                    setattr(result, key, value[key])
                else:
                    self.problems.add(value.at(key), f"'{key}' must be text")
        for key in ("deprecated", "ignored", "secret", "open_enum", "nullable"):
            if key in value:
                if isinstance(value[key], bool):
                    setattr(result, key, value[key] or getattr(result, key))
                else:
                    self.problems.add(value.at(key), f"'{key}' must be true or false")
        if "default" in value:
            result.default = value["default"]
        if result.format and result.format not in FORMATS:
            self.problems.add(value.at("format"), f"'{result.format}' is not a format ({', '.join(FORMATS)})")
        return result

    def _read_form(self, form, value, where):
        inner, place = value.get(form), value.at(form)
        if form == "type":
            result = replace(self.read_type(inner, place), where=where)
            if "enum" in value:
                result.values = self._read_values(value["enum"], value.at("enum"))
            return result
        if form == "const":
            return Type("const", where, values=[inner])
        if form == "enum":
            return Type("enum", where, values=self._read_values(inner, place))
        if form in ("array", "map"):
            return Type(form, where, item=self.read_type(inner, place))
        if form == "fields":
            result = Type("fields", where)
            if "fields" in value and inner is not None:
                result.fields = self.read_fields(inner, place)
            extends = value.get("extends", [])
            if isinstance(extends, str):
                extends = [extends]
            if not isinstance(extends, list) or not all(isinstance(base, str) for base in extends):
                self.problems.add(value.at("extends"), "'extends' must be a list of schema names")
                extends = []
            result.extends = list(extends)
            if "extra" in value:
                result.extra = self.read_type(value["extra"], value.at("extra"))
            result.one_of = self._read_names(value, "one_of")
            return result
        if form == "list":
            return self._read_list(value, where)
        if form == "deleted":
            members = (("object", Type("const", where, values=[inner])), ("id", Type("string", where)), ("deleted", Type("boolean", where)))
            return Type("fields", where, fields=[Field(name, True, type_, where) for name, type_ in members])
        if not isinstance(inner, Seq) or not inner:
            self.problems.add(place, "'union' must be a list of types")
            return Type("any", where)
        by = value.get("by", "")
        if not isinstance(by, str):
            self.problems.add(value.at("by"), "'by' must be a field name")
            by = ""
        return Type("union", where, arms=[self.read_type(arm, inner.where) for arm in inner], by=by)

    def _read_list(self, value, where):
        """A page of a list, as the API writes it."""
        ids = value.get("ids", "nullable")
        if ids not in LIST_IDS:
            self.problems.add(value.at("ids"), f"'ids' is one of: {', '.join(LIST_IDS)}")
        members = [("object", Type("const", where, values=["list"])),
                   ("data", Type("array", where, item=self.read_type(value["list"], value.at("list"))))]
        if ids != "none":
            members += [(name, Type("string", where, nullable=ids == "nullable")) for name in ("first_id", "last_id")]
        members.append(("has_more", Type("boolean", where)))
        return Type("fields", where, fields=[Field(name, True, type_, where) for name, type_ in members])

    def _read_names(self, value, key):
        names = value.get(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            self.problems.add(value.at(key), f"'{key}' must be a list of different names")
            return []
        return list(names)

    def _read_values(self, values, where):
        if not isinstance(values, Seq) or not values:
            self.problems.add(where, "'enum' must be a list of values")
            return []
        if any(isinstance(v, (Map, Seq)) for v in values) or len(set(map(repr, values))) != len(values):
            self.problems.add(where, "the values of 'enum' must be different words or numbers")
            return []
        return list(values)

    def read_operations(self, entries, where, group):
        if not isinstance(entries, Seq):
            self.problems.add(where, "'operations' must be a list")
            return
        for entry in entries:
            if isinstance(entry, Map):
                self._read_operation(entry, group)
            else:
                self.problems.add(where, "an operation must be a mapping")

    def _read_operation(self, entry, group):
        self.known(entry, _OPERATION_KEYS, "an operation")
        name, http = entry.get("op"), entry.get("http")
        if not isinstance(name, str) or not _SNAKE.match(name):
            self.problems.add(entry.where, "'op' must be a snake_case name")
            return
        if name in self._operation_places:
            self.problems.add(entry.at("op"), f"operation '{name}' is already at {self._operation_places[name]}")
            return
        method, _, path = http.partition(" ") if isinstance(http, str) else ("", "", "")
        if method not in METHODS or not path.startswith("/") or " " in path:
            self.problems.add(entry.at("http"), f"'http' of {name} must be METHOD /path")
            return
        self._operation_places[name] = entry.at("op")
        operation = Operation(name, group, method, path.removesuffix("+}") + "}" if path.endswith("+}") else path, entry.at("op"))
        operation.takes_rest = path.endswith("+}")
        operation.summary = entry.get("summary") or ""
        if not operation.summary:
            self.problems.add(entry.where, f"{name} has no 'summary'")
        operation.auth = entry.get("auth")
        if operation.auth not in AUTHS:
            self.problems.add(entry.at("auth"), f"{name} must spell out 'auth': {', '.join(AUTHS)}")
            operation.auth = "key"
        self._read_access(entry, operation)
        self._read_usage(entry, operation)
        if entry.get("status", "planned") != "planned":
            self.problems.add(entry.at("status"), "'status' is 'planned' or left out")
        operation.planned = "status" in entry
        operation.deprecated = entry.get("deprecated") is True
        if "path" in entry:
            operation.path_fields = [replace(f, required=True) for f in self.read_fields(entry["path"], entry.at("path"))]
        if "query" in entry:
            operation.query_fields = self.read_fields(entry["query"], entry.at("query"))
        if "page" in entry:
            self._read_page(entry["page"], entry.at("page"), operation)
        operation.socket = read_socket(entry, operation, self._read_size, self.problems)
        self._read_body(entry, operation)
        self._read_replies(entry, operation)
        errors = entry.get("errors", [])
        if isinstance(errors, list) and all(isinstance(code, str) and _SNAKE.match(code) for code in errors):
            operation.errors = list(errors)
        else:
            self.problems.add(entry.at("errors"), "'errors' must be a list of codes")
        self.operations.append(operation)

    def _read_access(self, entry, operation):
        """The callers that are allowed, and the limits of the project that a call uses."""
        roles = ROLES[operation.auth]
        operation.role = entry.get("role", roles[0])
        if operation.role not in roles or operation.role == "":
            place = entry.at("role") if "role" in entry else entry.at("op")
            must = "must spell out 'role'" if "role" not in entry else f"has a 'role' that auth {operation.auth} does not know"
            self.problems.add(place, f"{operation.name} {must}: {', '.join(role for role in roles if role)}")
            operation.role = "member"
        if "limited" in entry:
            if operation.auth != "key":
                self.problems.add(entry.at("limited"), f"{operation.name}: only an operation with auth key can be 'limited'")
            elif entry["limited"] in LIMITS:
                operation.limited = entry["limited"]
            else:
                self.problems.add(entry.at("limited"), f"'limited' of {operation.name} is one of: {', '.join(LIMITS)}")

    def _read_page(self, page, where, operation):
        """The query parameters of a list that is read page by page."""
        if not isinstance(page, Map):
            self.problems.add(where, "'page' is a mapping: { order, before, limit, max }, each of them or none")
            return
        self.known(page, {"order", "before", "limit", "max"}, "'page'")
        order, limit, most = page.get("order", "none"), page.get("limit", 20), page.get("max", 100)
        if order not in PAGE_ORDERS:
            self.problems.add(page.at("order"), f"'order' is one of: {', '.join(PAGE_ORDERS)}")
        if not isinstance(limit, int) or not isinstance(most, int) or not 1 <= limit <= most:
            self.problems.add(where, "'limit' (the default) and 'max' are whole numbers, and the first is not above the second")
        if page.get("before", False) not in (True, False):
            self.problems.add(page.at("before"), "'before' is true or left out")
        added = [("limit", Type("ref", where, name=PAGE_LIMIT_SCHEMA, max=most if most != 100 else None, default=limit))]
        if order != "none":
            added.append(("order", Type("enum", where, values=["asc", "desc"], default=order, doc="By the time of creation.")))
        added.append(("after", Type("string", where, doc="The id of the entry that the page follows.")))
        if page.get("before") is True:
            added.append(("before", Type("string", where, doc="The id of the entry that the page precedes.")))
        for name, type_ in added:
            if any(own.name == name for own in operation.query_fields):
                self.problems.add(where, f"'page' of {operation.name} has '{name}', and so has 'query'")
            else:
                operation.query_fields.append(Field(name, False, type_, where))

    def _read_usage(self, entry, operation):
        """As what it counts, and whether its work stops when the client leaves."""
        usage = entry.get("usage")
        if isinstance(usage, Map) and len(usage) == 1:
            (usage, operation.usage_source), = usage.items()
        if usage in USAGES:
            operation.usage = usage
        elif usage is not None:
            self.problems.add(entry.at("usage"), f"'usage' of {operation.name} is one of: {', '.join(USAGES)}")
        if operation.usage and operation.auth != "key":
            self.problems.add(entry.at("usage"), f"{operation.name}: only an operation with auth key has a 'usage'")
        if (operation.usage == "images") != bool(operation.usage_source) or \
                operation.usage_source not in ("", *IMAGE_SOURCES):
            sources = ", ".join(IMAGE_SOURCES)
            self.problems.add(entry.at("usage"), f"'usage' of images, and of nothing else, names a source: {{ images: one of {sources} }}")
        operation.cancel = entry.get("cancel", "when_client_leaves" if operation.method == "GET" else "never")
        if operation.cancel not in CANCELS:
            self.problems.add(entry.at("cancel"), f"'cancel' of {operation.name} is one of: {', '.join(CANCELS)}")

    def _read_body(self, entry, operation):
        if "body" in entry and "multipart" in entry:
            self.problems.add(entry.at("multipart"), f"{operation.name} has 'body' and 'multipart'; one is allowed")
        for key, kind in (("body", "json"), ("multipart", "multipart")):
            if key in entry:
                operation.body_kind, operation.body = kind, str(entry[key])
        operation.body_limit = self._read_size(entry, "body_limit", operation.body_limit)
        operation.file_limit = self._read_size(entry, "file_limit", operation.body_limit)
        if "file_limit" in entry and (operation.body_kind != "multipart" or operation.file_limit > operation.body_limit):
            self.problems.add(entry.at("file_limit"), "'file_limit' is for a multipart body, and not above its 'body_limit'")
        if "memory" in entry:
            if isinstance(entry["memory"], int) and 1 <= entry["memory"] <= 64:
                operation.memory = entry["memory"]
            else:
                self.problems.add(entry.at("memory"), "'memory' must be a whole number from 1 to 64")

    def _read_size(self, entry, key, default):
        if key not in entry:
            return default
        match = _SIZE.match(str(entry[key]))
        if not match:
            self.problems.add(entry.at(key), f"'{key}' must be a size such as 4MiB")
            return default
        return int(match[1]) * _UNITS[match[2]]

    def _read_replies(self, entry, operation):
        replies = entry.get("reply")
        if replies is None:
            replies = Map(entry.where)
        if not isinstance(replies, Map):
            self.problems.add(entry.at("reply"), "'reply' maps a status to a schema")
            replies = Map(entry.where)
        for status, value in replies.items():
            if not isinstance(status, int) or not 200 <= status <= 299:
                self.problems.add(replies.at(status), f"'{status}' is not a status of success")
                continue
            for word in value if isinstance(value, Seq) else [value]:
                operation.replies.append(self._read_reply(status, word, replies.at(status)))
        if not operation.planned and not operation.replies and not operation.socket:
            self.problems.add(entry.where, f"{operation.name} is implemented but has no 'reply'")
        self._read_events(entry, operation)

    def _read_reply(self, status, word, where):
        if word is None or word == "text":
            return Reply(status, word or "empty")
        if not isinstance(word, Map) and word != "bytes":
            return Reply(status, "json", str(word))
        media = word.get("bytes") if isinstance(word, Map) and set(word) == {"bytes"} else None
        if media == "any":
            return Reply(status, "bytes")
        if not isinstance(media, Seq) or not media or not all(_MEDIA_TYPE.match(str(own)) for own in media):
            self.problems.add(where, "a reply of bytes is { bytes: any } or { bytes: [type/subtype, …] }")
            media = []
        return Reply(status, "bytes", media=list(media))

    def _read_events(self, entry, operation):
        events = entry.get("events")
        if events is None:
            return
        if not isinstance(events, Map):
            self.problems.add(entry.at("events"), "'events' maps an event's name to a schema")
            return
        for name, schema in events.items():
            if name == "end":
                operation.stream_end = schema
                if schema not in STREAM_ENDS:
                    self.problems.add(events.at(name), f"'end' is one of: {', '.join(STREAM_ENDS)}")
            elif name == "error":
                operation.names_error = isinstance(schema, Map) and len(schema) == 1
                if operation.names_error:
                    (own, named), = schema.items()
                    operation.error_event = (own or "", str(named))
                else:
                    self.problems.add(events.at(name), "'error' of 'events' is { event's name: schema }")
            else:
                operation.events[name or ""] = str(schema)
