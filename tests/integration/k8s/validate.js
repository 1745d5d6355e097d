// Objects of Kubernetes on standard input, as YAML, against the models of its API: one line of JSON with what is wrong
// with each, and what it has that the API does not know, which servers drop without a word; and the object itself.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

const require = createRequire(import.meta.url);
const MODULES = { // of an apiVersion
  "keda.sh/v1alpha1": "@kubernetes-models/keda/keda.sh/v1alpha1",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
};

function modelOf(object) {
  const path = MODULES[object.apiVersion] ?? `kubernetes-models/${object.apiVersion}`;
  return require(path)[object.kind];
}

// A view of an object that remembers which of its keys were asked for: a validator asks for those it knows.
function watched(value, place, asked) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key, receiver) {
      const found = Reflect.get(target, key, receiver);
      if (typeof key === "symbol" || !Object.hasOwn(target, key)) return found;
      asked.add(`${place}.${key}`);
      return watched(found, `${place}.${key}`, asked);
    },
  });
}

function* keysOf(value, place) {
  if (value === null || typeof value !== "object") return;
  for (const [key, inner] of Object.entries(value)) {
    yield `${place}.${key}`;
    yield* keysOf(inner, `${place}.${key}`);
  }
}

function check(object) {
  const what = { object, errors: [] };
  const Model = modelOf(object);
  const asked = new Set();
  if (!Model) return { ...what, errors: [`no ${object.kind} in ${object.apiVersion}`] };
  const model = new Model(object);
  try {
    model.validate.call(watched(model, "", asked));
  } catch (error) {
    what.errors.push(error.message);
  }
  for (const key of keysOf(object, ""))
    if (!asked.has(key)) what.errors.push(`${key} is not known`);
  return what;
}

const documents = parseAllDocuments(readFileSync(0, "utf8"));
const results = documents.map((d) => {
  if (d.errors.length) throw d.errors[0];
  return d.toJS();
}).filter((o) => o).map(check);
console.log(JSON.stringify(results));
