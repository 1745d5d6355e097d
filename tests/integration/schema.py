"""As much of JSON Schema (2020-12) as the description of the API uses. A keyword that is not known here is
an error, so that none goes unchecked."""

import re

TYPES = {"object": dict, "array": list, "string": str, "null": type(None)}
SILENT = {"description", "default"}


def _is_type(value, name):
    if name == "boolean":
        return isinstance(value, bool)
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


class Checker:
    """root holds what $ref points into."""

    def __init__(self, root):
        self.root = root

    def resolve(self, node):
        while "$ref" in node:
            target = self.root
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def faults(self, value, schema, path="body"):
        """Texts on what does not fit; [] when all does."""
        found = []
        for key, rule in self.resolve(schema).items():
            if key not in SILENT:
                found += getattr(self, f"_{key}")(value, rule, path, self.resolve(schema))
        return found

    def _type(self, value, rule, path, _):
        names = rule if isinstance(rule, list) else [rule]
        return [] if any(_is_type(value, n) for n in names) else [f"{path}: {value!r} is no {rule}"]

    def _enum(self, value, rule, path, _):
        return [] if value in rule else [f"{path}: {value!r} is none of {rule}"]

    def _required(self, value, rule, path, _):
        return [f"{path}: {key} is missing" for key in rule if isinstance(value, dict) and key not in value]

    def _properties(self, value, rule, path, _):
        return [fault for key, schema in rule.items() if isinstance(value, dict) and key in value
                for fault in self.faults(value[key], schema, f"{path}.{key}")]

    def _additionalProperties(self, value, rule, path, schema):
        rest = set(value if isinstance(value, dict) else ()) - set(schema.get("properties", ()))
        if isinstance(rule, dict):
            return [fault for key in rest for fault in self.faults(value[key], rule, f"{path}.{key}")]
        return [] if rule else [f"{path}.{key}: not described" for key in sorted(rest)]

    def _items(self, value, rule, path, _):
        return [fault for i, item in enumerate(value if isinstance(value, list) else ())
                for fault in self.faults(item, rule, f"{path}[{i}]")]

    def _oneOf(self, value, rule, path, _):
        fitting = [schema for schema in rule if not self.faults(value, schema, path)]
        return [] if len(fitting) == 1 else [f"{path}: {value!r} fits {len(fitting)} of {len(rule)} forms"]

    def _minimum(self, value, rule, path, _):
        return [f"{path}: {value} < {rule}"] if isinstance(value, int) and value < rule else []

    def _maximum(self, value, rule, path, _):
        return [f"{path}: {value} > {rule}"] if isinstance(value, int) and value > rule else []

    def _minItems(self, value, rule, path, _):
        return [f"{path}: fewer than {rule}"] if isinstance(value, list) and len(value) < rule else []

    def _maxItems(self, value, rule, path, _):
        return [f"{path}: more than {rule}"] if isinstance(value, list) and len(value) > rule else []

    def _maxLength(self, value, rule, path, _):
        return [f"{path}: longer than {rule}"] if isinstance(value, str) and len(value) > rule else []

    def _pattern(self, value, rule, path, _):
        return [f"{path}: {value!r} is not {rule}"] if isinstance(value, str) and not re.search(rule, value) else []

    def _format(self, value, rule, path, _):
        shape = {"date-time": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}[rule]
        return [] if re.search(shape, value) else [f"{path}: {value!r} is no {rule}"]
