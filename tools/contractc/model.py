"""The contract in memory. The language is defined in contract/README.md; reader.py makes a `Contract` of the YAML."""
from dataclasses import dataclass, field, replace

PRIMITIVES = ("string", "integer", "number", "boolean", "any", "object", "null")
LIST_IDS = ("nullable", "text", "none")  # first_id and last_id of a list: null when it is empty, never null, not there
PAGE_ORDERS = ("none", "asc", "desc")    # the default of a list's `order`; none: it has no such parameter
FORMATS = ("unixtime", "uri", "base64", "binary")
AUTHS = ("key", "admin_key", "ephemeral", "none")
ROLES = {  # by auth: who may call an operation; the first is what an operation that says nothing has, "" = must say it
    "key": ("member", "owner"),
    "admin_key": ("", "reader", "owner", "project_member", "project_owner"),
    "ephemeral": ("member",),
    "none": ("member",),
}
LIMITS = ("requests", "tokens", "images", "audio")
USAGES = ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions",
          "code_interpreter_sessions")
IMAGE_SOURCES = ("image.generation", "image.edit", "image.variation")
CANCELS = ("when_client_leaves", "never")
STREAM_ENDS = ("done", "done_event")
STREAM_ERROR_MEMBERS = ("message", "type", "param", "code", "sequence_number")  # what src/contract/stream_error.cpp fills in
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PAGE_LIMIT_SCHEMA = "PageLimit"  # the type of `limit` in every list that is read page by page, from 1 to 100
ERROR_SCHEMA = "ErrorResponse"  # the body of every error; checked by the gate, shown in the export

_ABSENT = object()


@dataclass
class Field:
    name: str
    required: bool
    type: "Type"
    where: str


@dataclass
class Type:
    """One type expression. `form` is a primitive, or ref, const, enum, array, map, fields, union."""
    form: str
    where: str
    name: str = ""                                  # ref: the schema
    item: "Type" = None                             # array, map
    fields: list = field(default_factory=list)      # fields
    extends: list = field(default_factory=list)
    extra: "Type" = None
    one_of: list = field(default_factory=list)      # fields: exactly one of these members is present
    arms: list = field(default_factory=list)        # union
    by: str = ""
    values: list = field(default_factory=list)      # const, enum, or the enum of a constrained type
    open_enum: bool = False
    min: float = None
    max: float = None
    key_max: int = None
    pattern: str = ""
    format: str = ""
    nullable: bool = False
    default: object = _ABSENT
    doc: str = ""
    deprecated: bool = False
    ignored: bool = False
    secret: bool = False
    requires: str = ""

    @property
    def has_default(self):
        return self.default is not _ABSENT


@dataclass
class Reply:
    status: int
    kind: str       # json, bytes, text, empty
    schema: str = ""
    media: list = field(default_factory=list)   # of bytes: the content types; empty = any


@dataclass
class Operation:
    name: str
    group: str
    method: str
    path: str
    where: str
    summary: str = ""
    auth: str = ""
    role: str = "member"
    limited: str = "none"        # none, or one of LIMITS
    usage: str = ""              # one of USAGES, or nothing
    usage_source: str = ""       # of images: one of IMAGE_SOURCES
    cancel: str = "never"        # one of CANCELS
    planned: bool = False
    deprecated: bool = False
    takes_rest: bool = False     # the last {parameter} spans slashes
    path_fields: list = field(default_factory=list)
    query_fields: list = field(default_factory=list)
    body_kind: str = "none"      # none, json, multipart
    body: str = ""
    body_limit: int = 1 << 20
    file_limit: int = 0
    memory: int = 4
    replies: list = field(default_factory=list)
    events: dict = field(default_factory=dict)      # event name → schema
    error_event: tuple = ("", ERROR_SCHEMA)         # name, schema
    names_error: bool = False                       # whether the contract wrote the error event
    stream_end: str = "none"     # none, or one of STREAM_ENDS
    socket: object = None        # a sockets.Socket, or nothing
    errors: list = field(default_factory=list)


@dataclass
class Contract:
    operations: list
    schemas: dict       # name → Type, in file order
    groups: list        # file stems of operations/, sorted

    def fields_of(self, type_, seen=()):
        """All fields of an object type, inherited ones first; a redeclared one keeps its base's place."""
        merged = {}
        for base in type_.extends:
            if base in seen:
                continue
            for inherited in self.fields_of(self.schemas[base], seen + (base,)):
                merged[inherited.name] = inherited
        for own in type_.fields:
            merged[own.name] = own
        return list(merged.values())

    def extra_of(self, type_, seen=()):
        """What members beyond the fields may be, inherited where not said; None when there may be none."""
        if type_.extra is not None:
            return type_.extra
        for base in type_.extends:
            if base not in seen:
                inherited = self.extra_of(self.schemas[base], seen + (base,))
                if inherited is not None:
                    return inherited
        return None

    def one_of_of(self, type_, seen=()):
        """The members of which exactly one must be there, inherited where not said."""
        if type_.one_of:
            return type_.one_of
        for base in type_.extends:
            if base not in seen:
                inherited = self.one_of_of(self.schemas[base], seen + (base,))
                if inherited:
                    return inherited
        return []

    def resolve(self, type_):
        """Follows references: the type itself with the constraints written along the way laid over it."""
        if type_.form != "ref":
            return type_
        target = self.resolve(self.schemas[type_.name])
        changes = {"nullable": target.nullable or type_.nullable}
        for key in ("min", "max", "pattern", "format", "key_max"):
            if getattr(type_, key) not in (None, ""):
                changes[key] = getattr(type_, key)
        if type_.values:
            changes["values"], changes["open_enum"] = type_.values, type_.open_enum
        if type_.has_default:
            changes["default"] = type_.default
        return replace(target, **changes)


def names_in(type_):
    """The schema names that a type mentions."""
    found = ([type_.name] if type_.form == "ref" else []) + list(type_.extends)
    for inner in [type_.item, type_.extra, *type_.arms, *[f.type for f in type_.fields]]:
        if inner is not None:
            found += names_in(inner)
    return found
