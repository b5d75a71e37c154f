"""A custom resource checked against its definition as an API server would: defaults, strict schema, keys, CEL rules.

The order is the server's: defaults are filled in first, then unknown fields and wrong types are refused, then the rules
written in CEL are run. Rules that compare with the object before an update (`oldSelf`) have nothing to compare here.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import yaml
from jsonschema import Draft202012Validator

from k8s.check.manifests import Document

Schema = dict[str, Any]
Place = tuple[str | int, ...]

# Kubernetes' own annotations of a schema, and words JSON Schema would read differently.
_NOT_JSON_SCHEMA = ("default", "description", "nullable", "format")


class CustomResourceDefinition:
    """One CRD; knows what is wrong with the objects it defines."""

    def __init__(self, definition: Document) -> None:
        spec = definition["spec"]
        self._kind: str = spec["names"]["kind"]
        self._group: str = spec["group"]
        self._schemas: dict[str, Schema] = {
            version["name"]: version["schema"]["openAPIV3Schema"] for version in spec["versions"] if version["served"]
        }

    @classmethod
    def from_file(cls, path: Path) -> CustomResourceDefinition:
        """Read a CRD; the C loader where there is one, for such files run to a megabyte."""
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return cls(yaml.load(path.read_text(), Loader=loader))

    def problems(self, document: Document) -> Iterator[str]:
        """Why an API server would refuse the object, one sentence per reason; nothing if it would not."""
        group, _, version = document["apiVersion"].rpartition("/")
        if document["kind"] != self._kind:
            yield f"kind: the definition given is that of {self._kind}, not of {document['kind']}"
            return
        if group != self._group or version not in self._schemas:
            yield f"apiVersion: {document['apiVersion']} is not served; there are: {', '.join(sorted(self._schemas))}"
            return
        schema = _with_free_metadata(self._schemas[version])
        value = copy.deepcopy(document)
        fill_in_defaults(schema, value)
        for error in Draft202012Validator(strict(schema)).iter_errors(value):
            yield _sentence(tuple(error.absolute_path), error.message)
        for node_schema, node, path in _walk(schema, value, ()):
            for rule in (_broken_cel_rules, _repeated_list_keys):
                yield from (_sentence(path, message) for message in rule(node_schema, node))


def fill_in_defaults(schema: Schema, value: Any) -> None:
    """Put the schema's defaults into `value`, in place, from the outside in."""
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name not in value and "default" in child:
                value[name] = copy.deepcopy(child["default"])
    for child_schema, child, _ in _children(schema, value):
        fill_in_defaults(child_schema, child)


def strict(schema: Schema) -> Schema:
    """The structural schema as a JSON schema that refuses unknown fields."""
    result = {
        key: value
        for key, value in schema.items()
        if key not in _NOT_JSON_SCHEMA and not key.startswith("x-kubernetes-")
    }
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("anyOf", None)
        result["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in schema:
        result["type"] = [schema["type"], "null"]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            result[key] = strict(schema[key])
    if "properties" in schema:
        result["properties"] = {name: strict(child) for name, child in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            result.setdefault("additionalProperties", False)
    return result


def _with_free_metadata(schema: Schema) -> Schema:
    """Metadata is the server's own type, which definitions leave empty."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {**schema, "properties": {**schema["properties"], "metadata": free}}


def _children(schema: Schema, value: Any) -> Iterator[tuple[Schema, Any, str | int]]:
    """The parts of a value that the schema describes, each with its own schema and its place."""
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, child in value.items():
            child_schema = properties.get(name, others)
            if isinstance(child_schema, dict):
                yield child_schema, child, name
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, child in enumerate(value):
            yield schema["items"], child, index


def _walk(schema: Schema, value: Any, path: Place) -> Iterator[tuple[Schema, Any, Place]]:
    """Every described part of a value, the whole first."""
    yield schema, value, path
    for child_schema, child, place in _children(schema, value):
        yield from _walk(child_schema, child, (*path, place))


def _broken_cel_rules(schema: Schema, value: Any) -> Iterator[str]:
    for validation in schema.get("x-kubernetes-validations", []):
        rule = validation["rule"]
        if "oldSelf" in rule:
            continue
        try:
            holds = cel.evaluate(rule, {"self": value})
        except (ValueError, LookupError, RuntimeError, TypeError) as error:
            yield f"the rule {rule!r} could not be run: {error}"
            continue
        if holds is not True:
            yield validation.get("message", f"the rule {rule!r} does not hold")


def _repeated_list_keys(schema: Schema, value: Any) -> Iterator[str]:
    """Lists that are maps by some fields, such as containers by name, hold each key once."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(value, list):
        return
    seen = [tuple(entry.get(key) for key in keys) for entry in value if isinstance(entry, dict)]
    for entry in sorted({entry for entry in seen if seen.count(entry) > 1}, key=str):
        named = ", ".join(f"{key}={part}" for key, part in zip(keys, entry, strict=True))
        yield f"two entries have {named}"


def _sentence(path: Place, message: str) -> str:
    return f"{'.'.join(map(str, path)) or '(the object)'}: {message[:200]}"
