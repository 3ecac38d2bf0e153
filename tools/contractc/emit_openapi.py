"""Writes the OpenAPI 3.1 document that the server offers at /openapi.json."""
import json

from model import ERROR_SCHEMA
from sockets import describe_socket
from tables import kind_of

_FORMATS = {"unixtime": "unixtime", "uri": "uri", "base64": "byte", "binary": "binary"}
_BOUNDS = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems"),
           "map": ("minProperties", "maxProperties"), "integer": ("minimum", "maximum"), "number": ("minimum", "maximum")}
_SCHEMES = {"key": "ApiKey", "admin_key": "AdminKey", "ephemeral": "EphemeralKey"}


def openapi_text(contract):
    exporter = _Exporter(contract)
    return json.dumps(exporter.document(), ensure_ascii=False, separators=(",", ":"))


class _Exporter:
    def __init__(self, contract):
        self.contract = contract

    def document(self):
        paths = {}
        for operation in self.contract.operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = self._operation(operation)
        schemas = {name: self._schema(type_) for name, type_ in self.contract.schemas.items()}
        if ERROR_SCHEMA not in schemas:
            schemas[ERROR_SCHEMA] = {"type": "object"}
        bearer = {"type": "http", "scheme": "bearer"}
        return {
            "openapi": "3.1.0",
            "info": {"title": "Hearth", "version": "1", "description": "The OpenAI REST API, answered by Hearth."},
            "servers": [{"url": "/"}],
            "tags": [{"name": group} for group in self.contract.groups],
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": {
                "ApiKey": {**bearer, "description": "A project key."},
                "AdminKey": {**bearer, "description": "An admin key of the organization."},
                "EphemeralKey": {**bearer, "description": "A short-lived key of a realtime session."}}},
        }

    def _operation(self, operation):
        result = {"operationId": operation.name, "summary": operation.summary, "tags": [operation.group]}
        if operation.planned:
            result["x-hearth-status"] = "planned"
        if operation.deprecated:
            result["deprecated"] = True
        result["security"] = [{_SCHEMES[operation.auth]: []}] if operation.auth != "none" else []
        if operation.auth in ("key", "admin_key"):
            result["x-hearth-role"] = operation.role
        if operation.limited != "none":
            result["x-hearth-limited"] = operation.limited
        result["x-hearth-cancel"] = operation.cancel
        parameters = [self._parameter(own, "path") for own in operation.path_fields]
        parameters += [self._parameter(own, "query") for own in operation.query_fields]
        if parameters:
            result["parameters"] = parameters
        if operation.body_kind != "none":
            media = "application/json" if operation.body_kind == "json" else "multipart/form-data"
            result["requestBody"] = {"required": True, "content": {media: {"schema": self._named(operation.body)}}}
        if operation.socket:
            result["x-hearth-socket"] = describe_socket(operation.socket, self._named)
        result["responses"] = self._responses(operation)
        return result

    def _parameter(self, own, place):
        schema = self._schema(own.type)
        result = {"name": own.name, "in": place, "required": place == "path" or own.required, "schema": schema}
        kind = self.contract.resolve(own.type).form
        if place == "query" and kind in ("map", "fields", "object"):
            result["style"], result["explode"] = "deepObject", True
        if kind == "array":
            result["name"] += "[]"
        for key in ("description", "deprecated"):
            if key in schema:
                result[key] = schema.pop(key)
        return result

    def _responses(self, operation):
        responses = {"101": {"description": "The connection is a WebSocket; see x-hearth-socket."}} if operation.socket else {}
        for reply in operation.replies:
            entry = responses.setdefault(str(reply.status), {"description": "Success"})
            content = {"json": ("application/json", self._named(reply.schema)) if reply.kind == "json" else None,
                       "text": ("text/plain", {"type": "string"}),
                       "bytes": None, "empty": None}[reply.kind]
            if content:
                entry.setdefault("content", {})[content[0]] = {"schema": content[1]}
            if reply.kind == "bytes":
                for media in reply.media or ["*/*"]:
                    entry.setdefault("content", {})[media] = {"schema": {"type": "string", "format": "binary"}}
        if operation.events:
            entry = responses.setdefault("200", {"description": "Success"})
            arms = [self._named(schema) for schema in dict.fromkeys(operation.events.values())]
            schema = arms[0] if len(arms) == 1 else {"oneOf": arms}
            entry.setdefault("content", {})["text/event-stream"] = {
                "schema": schema, "x-hearth-events": operation.events,
                "x-hearth-error-event": dict([operation.error_event]),
                "x-hearth-end": {"none": "", "done": "[DONE]", "done_event": "event: done"}[operation.stream_end]}
        described = "An error."
        if operation.planned:
            described = "501: planned, not served by this version."
        elif operation.errors:
            described = f"An error; beside the common codes: {', '.join(operation.errors)}."
        responses["default"] = {"description": described,
                                "content": {"application/json": {"schema": self._named(ERROR_SCHEMA)}}}
        return responses

    @staticmethod
    def _named(name):
        return {} if name == "any" else {"$ref": f"#/components/schemas/{name}"}

    def _schema(self, type_):
        result = self._bare(type_)
        if type_.nullable:
            result = _or_null(result)
        if type_.doc:
            result["description"] = type_.doc
        if type_.deprecated:
            result["deprecated"] = True
        if type_.ignored:
            result["x-hearth-ignored"] = True
        if type_.requires:
            result["x-hearth-requires"] = type_.requires
        if type_.has_default:
            result["default"] = type_.default
        return result

    def _bare(self, type_):
        form = type_.form
        if form == "ref":
            return self._reference(type_)
        if form in ("const", "enum"):
            return self._values(type_)
        if form == "union":
            return self._union(type_)
        if form == "fields":
            return self._object(type_)
        if form == "any":
            return {}
        result = {"type": "object" if form == "map" else form}
        if form == "array":
            result["items"] = self._schema(type_.item)
        if form == "map":
            result["additionalProperties"] = self._schema(type_.item)
            if type_.key_max is not None:
                result["propertyNames"] = {"maxLength": type_.key_max}
        return self._constrain(result, type_, form)

    def _reference(self, type_):
        target = self._named(type_.name)
        return self._constrain(target, type_, self.contract.resolve(type_).form)

    @staticmethod
    def _constrain(result, type_, form):
        for key, word in zip(("min", "max"), _BOUNDS.get(form, ())):
            if getattr(type_, key) is not None:
                result[word] = getattr(type_, key)
        if type_.pattern:
            result["pattern"] = type_.pattern
        if type_.format:
            result["format"] = _FORMATS[type_.format]
        if type_.values and form not in ("const", "enum"):
            if type_.open_enum:
                result["examples"] = type_.values
            else:
                result["enum"] = type_.values
        return result

    @staticmethod
    def _values(type_):
        kinds = list(dict.fromkeys(kind_of(value) for value in type_.values))
        if type_.open_enum:
            return {"type": kinds[0], "examples": type_.values}
        kinds = ["integer" if k == "number" and all(isinstance(v, int) for v in type_.values) else k for k in kinds]
        result = {"type": kinds[0] if len(kinds) == 1 else kinds}
        result.update({"const": type_.values[0]} if type_.form == "const" else {"enum": type_.values})
        return result

    def _union(self, type_):
        result = {"oneOf" if type_.by else "anyOf": [self._schema(arm) for arm in type_.arms]}
        if type_.by and all(arm.form == "ref" for arm in type_.arms):
            result["discriminator"] = {"propertyName": type_.by}
        return result

    def _object(self, type_):
        result = {"type": "object"}
        fields = self.contract.fields_of(type_)
        if fields:
            result["properties"] = {own.name: self._schema(own.type) for own in fields}
        required = [own.name for own in fields if own.required]
        if required:
            result["required"] = required
        one_of = self.contract.one_of_of(type_)
        if one_of:
            result["oneOf"] = [{"required": [name]} for name in one_of]
        extra = self.contract.extra_of(type_)
        result["additionalProperties"] = False if extra is None else self._schema(extra)
        return result


def _or_null(schema):
    if set(schema) == {"type"} or ("type" in schema and "enum" not in schema and "const" not in schema):
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": kinds + ["null"] if "null" not in kinds else kinds}
    if "enum" in schema and "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        values = schema["enum"] + ([None] if None not in schema["enum"] else [])
        return {**schema, "type": kinds + ([] if "null" in kinds else ["null"]), "enum": values}
    if "anyOf" in schema:
        return {"anyOf": schema["anyOf"] + [{"type": "null"}]}
    return {} if not schema else {"anyOf": [schema, {"type": "null"}]}
