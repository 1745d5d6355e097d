"""deploy/k8s as kubectl renders it: by the one that is installed, and by Debian's, whose kustomize is the oldest that the
files are for. k8s/README.md says how objects are validated."""

import functools
import glob
import json
import os
import shutil
import subprocess
import tempfile

import harness

FOLDER = os.path.join(harness.ROOT, "tests", "integration", "k8s")
DEPLOY = os.path.join(harness.ROOT, "deploy", "k8s")
OVERLAYS = ("minimal", "production", "hostnetwork", "external-redis")
SCALERS = ("cpu", "utilisation", "keda")
DEBIANS = "kubernetes-client"


@functools.lru_cache
def install():
    harness.npm_install(FOLDER, "kubernetes-models", "--ignore-scripts")


def _is_debians(kubectl):
    said = subprocess.run([kubectl, "version", "--client"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return "v1.20." in said.stdout


def _download(folder):
    """A new machine has no lists of packages yet."""
    for command in (["download", DEBIANS], ["update"], ["download", DEBIANS]):
        done = subprocess.run(["apt-get", "-q", *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        found = glob.glob(os.path.join(folder, "*.deb"))
        if found:
            return found[0]
    raise AssertionError(done.stdout)


@functools.lru_cache
def renderers():
    """{name: program}. Debian's package clashes with newer ones, so it is unpacked beside them."""
    installed = harness.tool("kubectl")
    if _is_debians(installed):
        return {"1.20": installed}
    kept = os.path.join(harness.MEDIA_DIR, "kubectl-1.20")
    if not os.path.exists(kept):
        os.makedirs(harness.MEDIA_DIR, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="headwater-test-") as folder:
            package = _download(folder)
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
            shutil.copy(os.path.join(folder, "usr", "bin", "kubectl"), f"{kept}.{os.getpid()}")
        os.rename(f"{kept}.{os.getpid()}", kept)
    return {"installed": installed, "1.20": kept}


def render(program, folder):
    """Text of YAML documents."""
    done = subprocess.run([program, "kustomize", os.path.join(DEPLOY, folder)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{program} kustomize {folder}: {done.stderr}")
    return done.stdout


def validate(text):
    """[(object, [what is wrong with it])]."""
    install()
    done = subprocess.run([harness.tool("node"), "validate.js"], cwd=FOLDER, input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return [(one["object"], one["errors"]) for one in json.loads(done.stdout)]


def matches(selector, labels):
    def holds(rule):
        value = labels.get(rule["key"])
        return {"In": value in rule.get("values", ()), "NotIn": value not in rule.get("values", ()),
                "Exists": value is not None, "DoesNotExist": value is None}[rule["operator"]]
    return (all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())
            and all(holds(rule) for rule in selector.get("matchExpressions", ())))


class Objects:
    """What one overlay makes."""

    def __init__(self, text):
        self.checked = validate(text)
        self.all = [one for one, _ in self.checked]

    def of(self, *kinds):
        return [one for one in self.all if one["kind"] in kinds]

    def named(self, kind, name):
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    def workloads(self):
        """[(name, object, pod's spec, pod's labels)]"""
        return [(one["metadata"]["name"], one, one["spec"]["template"]["spec"],
                 one["spec"]["template"]["metadata"]["labels"]) for one in self.of("Deployment", "StatefulSet")]

    def containers(self):
        return [(f"{name}/{c['name']}", c, spec) for name, _, spec, _ in self.workloads() for c in spec["containers"]]

    def config(self, spec):
        """The ConfigMap that a pod has at /etc/headwater: {file: text}."""
        [name] = [v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "config"]
        return self.named("ConfigMap", name)["data"]

    def environment(self, container):
        """The variables as a kubelet makes them; what comes from the pod itself is made up."""
        made_up = {"metadata.name": "edge-0", "status.podIP": "10.1.2.3"}
        env = {}
        for one in container.get("env", ()):
            source = one.get("valueFrom", {})
            value = one.get("value", "")
            for known, text in env.items():
                value = value.replace(f"$({known})", text)
            if "fieldRef" in source:
                value = made_up.get(source["fieldRef"]["fieldPath"], "")
            elif "configMapKeyRef" in source:
                ref = source["configMapKeyRef"]
                value = self.named("ConfigMap", ref["name"])["data"][ref["key"]]
            env[one["name"]] = value
        return env


@functools.lru_cache
def objects(renderer, overlay):
    return Objects(render(renderers()[renderer], os.path.join("overlays", overlay)))


@functools.lru_cache
def secret():
    """What secrets.sh makes."""
    done = subprocess.run([os.path.join(DEPLOY, "secrets.sh")], stdout=subprocess.PIPE, text=True, check=True)
    return Objects(done.stdout)
