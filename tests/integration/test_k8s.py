"""deploy/k8s: every overlay renders with an old and a current kubectl, every object is one that the API knows, and what the
files say to each other, to conf/ and to the programs is so."""

import ipaddress
import json
import os
import re
import subprocess
import tempfile
import unittest

import harness
import k8s

CLOSING_S = 15  # drain.c: records, hooks and the last words to schedulers


def listens(defaults, config, env, key):
    """The port of a listen key, from the environment, the file or the defaults."""
    node = env.get("HEADWATER_" + key.replace(".", "__").upper())
    for source in (config, defaults):
        value = source
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        node = value if node is None else node
    return int(node.rsplit(":", 1)[1]) if node else None


def without_comments(text):
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.M))


def defaults_of(program):
    with open(os.path.join(harness.ROOT, "conf", f"{program}.json"), encoding="utf-8") as file:
        return without_comments(file.read())


class Case(unittest.TestCase):
    def each(self):
        for renderer in k8s.renderers():
            for overlay in k8s.OVERLAYS:
                with self.subTest(overlay=overlay, kubectl=renderer):
                    yield overlay, k8s.objects(renderer, overlay)

    def each_container(self, *names):
        for _, made in self.each():
            for name, container, spec in made.containers():
                if not names or container["name"] in names:
                    with self.subTest(container=name):
                        yield made, container, spec


class RenderTest(Case):
    def test_every_object_is_valid(self):
        for overlay, made in self.each():
            self.assertGreater(len(made.all), 15, overlay)
            self.assertEqual([(o["kind"], o["metadata"]["name"], errors) for o, errors in made.checked if errors], [])

    def test_every_autoscaler_is_valid_and_scales_the_edges(self):
        with open(os.path.join(harness.ROOT, "conf", "k8s", "scheduler.json"), encoding="utf-8") as file:
            bounds = without_comments(file.read())["autoscale"]["edge"]
        for renderer, program in k8s.renderers().items():
            for scaler in k8s.SCALERS:
                with self.subTest(scaler=scaler, kubectl=renderer):
                    made = k8s.Objects(k8s.render(program, os.path.join("autoscale", scaler)))
                    self.assertEqual([errors for _, errors in made.checked if errors], [])
                    [scales] = made.of("HorizontalPodAutoscaler", "ScaledObject")
                    self.assertEqual(scales["spec"]["scaleTargetRef"]["name"], "headwater-edge")
                    spec = scales["spec"]
                    least, most = spec.get("minReplicas", spec.get("minReplicaCount")), spec.get("maxReplicas", spec.get("maxReplicaCount"))
                    self.assertEqual({"min": least, "max": most}, bounds)
                    self.assertIn("headwater-edge", [o["metadata"]["name"] for o in
                                                     k8s.objects(renderer, "minimal").of("Deployment")])

    def test_what_is_wrong_is_seen(self):
        broken = ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {selecter: {a: b}, ports: [{port: x}]}\n---\n"
                  "apiVersion: policy/v1\nkind: PodDisruptionBudgets\nmetadata: {name: y}\n")
        service, budget = (errors for _, errors in k8s.validate(broken))
        self.assertIn(".spec.selecter is not known", service)
        self.assertTrue(any("port must be" in error for error in service), service)
        self.assertEqual(budget, ["no PodDisruptionBudgets in policy/v1"])

    def test_secret_is_valid_and_new_each_time(self):
        made = k8s.secret()
        self.assertEqual([errors for _, errors in made.checked], [[]])
        again = subprocess.run([os.path.join(k8s.DEPLOY, "secrets.sh")], stdout=subprocess.PIPE, text=True, check=True).stdout
        for value in made.all[0]["stringData"].values():
            self.assertNotIn(value, again)


class PodTest(Case):
    def test_no_pod_has_rights(self):
        for made, container, spec in self.each_container():
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertGreater(spec["securityContext"]["runAsUser"], 0)
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertEqual(container["securityContext"], {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
            if "serviceAccountName" not in spec:
                self.assertFalse(spec["automountServiceAccountToken"])

    def test_every_container_has_a_release_and_sizes(self):
        for _, container, _ in self.each_container():
            self.assertRegex(container["image"], r":[0-9][\w.-]+$")
            self.assertIn("memory", container["resources"]["limits"])
            self.assertEqual(set(container["resources"]["requests"]), {"cpu", "memory"})

    def test_names_of_services_stay_out_of_the_environment(self):
        for _, _, spec in self.each_container():
            self.assertIs(spec["enableServiceLinks"], False)

    def test_variables_are_known_before_they_are_used(self):
        for _, container, _ in self.each_container():
            known = set()
            for one in container.get("env", ()):
                self.assertLessEqual(set(re.findall(r"\$\((\w+)\)", one.get("value", ""))), known, one)
                self.assertFalse("value" in one and "valueFrom" in one, one)
                known.add(one["name"])

    def test_probes_ask_what_they_should(self):
        for _, container, _ in self.each_container("node", "scheduler"):
            ports = {port["name"] for port in container["ports"]}
            for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"), ("startupProbe", "/healthz")):
                self.assertEqual(container[probe]["httpGet"]["path"], path)
                self.assertIn(container[probe]["httpGet"]["port"], ports)

    def test_what_a_pod_mounts_and_reads_is_there(self):
        [secret] = k8s.secret().all
        for made, container, spec in self.each_container():
            volumes = {v["name"]: v for v in spec["volumes"]}
            claims = {"data"} if container["name"] == "redis" else set()
            self.assertLessEqual({m["name"] for m in container["volumeMounts"]}, set(volumes) | claims)
            for volume in volumes.values():
                if "configMap" in volume:
                    self.assertIsNotNone(made.named("ConfigMap", volume["configMap"]["name"]), volume)
                if "secret" in volume:
                    self.assertEqual(volume["secret"]["secretName"], secret["metadata"]["name"])
                    keys = {item["key"] for item in volume["secret"].get("items", ())}
                    self.assertLessEqual(keys, set(secret["stringData"]))
            made.environment(container)  # every key of a ConfigMap that is named

    def test_a_pod_has_the_time_that_its_drain_takes(self):
        for made, container, spec in self.each_container("node"):
            config = without_comments(made.config(spec)["node.json"])
            command, wait_s = container["lifecycle"]["preStop"]["exec"]["command"][1:]
            self.assertEqual(command, "drain")
            self.assertGreaterEqual(spec["terminationGracePeriodSeconds"],
                                    int(wait_s) + config["drain_timeout_s"] + CLOSING_S)


    def test_a_rollout_that_waits_for_a_drain_is_not_given_up(self):
        for _, made in self.each():
            for deployment in made.of("Deployment"):
                spec = deployment["spec"]
                if spec.get("strategy", {}).get("rollingUpdate", {}).get("maxSurge") == 0:
                    self.assertGreater(spec.get("progressDeadlineSeconds", 600),
                                       spec["template"]["spec"]["terminationGracePeriodSeconds"] + 60)


class ConfigTest(Case):
    def test_programs_accept_what_their_pods_give_them(self):
        for made, container, spec in self.each_container("node", "scheduler"):
            [(file, text)] = made.config(spec).items()
            self.assertEqual(container["args"], [container["name"], "-c", f"/etc/headwater/{file}"])
            with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
                config.write(text)
                config.flush()
                done = subprocess.run([os.path.join(harness.BIN_DIR, f"headwater-{container['name']}"), "--check-config",
                                       "-c", config.name], env={**harness.sanitizer_env(), **made.environment(container)},
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_ports_are_those_that_programs_listen_at(self):
        keys = {"node": {"rtmp": "rtmp.listen", "http": "http.listen", "admin": "admin.listen"},
                "scheduler": {"api": "http.listen", "entry": "entry.listen"}}
        for made, container, spec in self.each_container("node", "scheduler"):
            program = container["name"]
            config = without_comments(made.config(spec)[f"{program}.json"])
            env = made.environment(container)
            expected = {name: listens(defaults_of(program), config, env, key) for name, key in keys[program].items()}
            self.assertEqual({p["name"]: p["containerPort"] for p in container["ports"]}, expected)
            self.assertEqual({p["protocol"] for p in container["ports"]}, {"TCP"})

    def test_files_of_secrets_are_keys_of_the_secret(self):
        [secret] = k8s.secret().all
        for made, container, spec in self.each_container("node", "scheduler"):
            mounted = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "secrets"]
            [text] = made.config(spec).values()
            named = re.findall(r'"(/run/secrets/[^"]+)"', text)
            self.assertGreaterEqual(len(named), 2)
            for path in named:
                self.assertEqual([os.path.dirname(path)], mounted)
                self.assertIn(os.path.basename(path), secret["stringData"])

    def test_schedulers_that_are_many_share_a_redis(self):
        for made, container, _ in self.each_container("scheduler"):
            env = made.environment(container)
            n = made.named("Deployment", "headwater-scheduler")["spec"]["replicas"]
            if env.get("HEADWATER_STORE__TYPE") == "memory":
                self.assertEqual(n, 1)
                continue
            self.assertGreaterEqual(n, 2)
            redis = made.named("StatefulSet", "headwater-redis")
            sentinels = [s for s in env.get("HEADWATER_STORE__REDIS__SENTINELS", "").split(",") if s]
            self.assertEqual(len(sentinels), redis["spec"]["replicas"] if redis else 0)
            self.assertEqual(sentinels, [f"headwater-redis-{i}.headwater-redis:26379" for i in range(len(sentinels))])

    def test_nodes_find_the_schedulers(self):
        for made, container, spec in self.each_container("node"):
            [place] = without_comments(made.config(spec)["node.json"])["cluster"]["schedulers"]
            service = made.named("Service", re.fullmatch(r"http://([a-z-]+):8090", place)[1])
            self.assertEqual([p["port"] for p in service["spec"]["ports"]], [8090])
            self.assertEqual(service["spec"]["sessionAffinity"], "ClientIP")


class TogetherTest(Case):
    def pods(self, made, selector):
        return [(name, spec) for name, _, spec, labels in made.workloads() if k8s.matches(selector, labels)]

    def ports(self, pods):
        return {port["name"] for _, spec in pods for c in spec["containers"] for port in c.get("ports", ())}

    def test_services_and_policies_name_ports_of_pods(self):
        for _, made in self.each():
            for service in made.of("Service"):
                pods = self.pods(made, {"matchLabels": service["spec"]["selector"]})
                self.assertEqual(len(pods), 1, service["metadata"]["name"])
                self.assertLessEqual({p["targetPort"] for p in service["spec"]["ports"]}, self.ports(pods))
            for policy in made.of("NetworkPolicy"):
                pods = self.pods(made, policy["spec"]["podSelector"])
                self.assertTrue(pods, policy["metadata"]["name"])
                named = {p["port"] for rule in policy["spec"]["ingress"] for p in rule.get("ports", ())}
                self.assertLessEqual(named, self.ports(pods))
                self.assertTrue(all("from" in rule or {p["port"] for p in rule["ports"]} <= {"rtmp", "http", "entry"}
                                    for rule in policy["spec"]["ingress"]), "open to all")

    def test_every_pod_that_listens_is_under_a_policy(self):
        for _, made in self.each():
            for name, _, spec, labels in made.workloads():
                if any(c.get("ports") for c in spec["containers"]):
                    self.assertTrue([p for p in made.of("NetworkPolicy")
                                     if k8s.matches(p["spec"]["podSelector"], labels)], name)

    def test_nodes_reach_a_dns_cache_but_no_metadata(self):
        for _, made in self.each():
            [rule] = made.named("NetworkPolicy", "headwater-node")["spec"]["egress"]
            kept = [ipaddress.ip_network(net) for to in rule["to"] for net in to["ipBlock"]["except"]]
            reached = [ip for ip in ("169.254.20.10", "10.96.0.10", "169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254")
                       if not any(ipaddress.ip_address(ip) in net for net in kept)]
            self.assertEqual(reached, ["169.254.20.10", "10.96.0.10"])

    def test_budgets_and_monitors_find_their_pods(self):
        for _, made in self.each():
            for name, _, spec, labels in made.workloads():
                if any(c.get("ports") for c in spec["containers"]):
                    self.assertEqual(len([b for b in made.of("PodDisruptionBudget")
                                          if k8s.matches(b["spec"]["selector"], labels)]), 1, name)
            for monitor in made.of("PodMonitor"):
                ports = self.ports(self.pods(made, monitor["spec"]["selector"]))
                self.assertLessEqual({e["port"] for e in monitor["spec"]["podMetricsEndpoints"]}, ports)
            for monitor in made.of("ServiceMonitor"):
                found = [s for s in made.of("Service") if k8s.matches(monitor["spec"]["selector"], s["metadata"]["labels"])]
                self.assertEqual([p["name"] for s in found for p in s["spec"]["ports"]],
                                 [e["port"] for e in monitor["spec"]["endpoints"]])

    def test_jobs_of_monitors_are_those_that_alerts_look_for(self):
        with open(os.path.join(harness.ROOT, "deploy", "prometheus", "prometheus.yaml"), encoding="utf-8") as file:
            jobs = set(re.findall(r"job_name: (\S+)", file.read()))
        for overlay, made in self.each():
            found = [s["metadata"]["name"] for monitor in made.of("ServiceMonitor") for s in made.of("Service")
                     if k8s.matches(monitor["spec"]["selector"], s["metadata"]["labels"])]
            for monitor in made.of("PodMonitor"):
                for end in monitor["spec"]["podMetricsEndpoints"]:
                    found += [r["replacement"] for r in end.get("relabelings", ()) if r["targetLabel"] == "job"]
            self.assertEqual(set(found), jobs if overlay in ("production", "hostnetwork") else set())

    def test_pods_of_a_kind_stay_apart(self):
        for _, made in self.each():
            for name, _, spec, labels in made.workloads():
                if not any(c.get("ports") for c in spec["containers"]):
                    continue
                rules = spec["affinity"]["podAntiAffinity"]
                self.assertEqual(len(rules), 1, name)
                terms = rules.get("requiredDuringSchedulingIgnoredDuringExecution") or [
                    one["podAffinityTerm"] for one in rules["preferredDuringSchedulingIgnoredDuringExecution"]]
                spread = spec.get("topologySpreadConstraints", ())
                for rule in (*terms, *spread):
                    self.assertTrue(k8s.matches(rule["labelSelector"], labels), name)
                if any(c["name"] in ("node", "scheduler") for c in spec["containers"]):
                    self.assertEqual([s["topologyKey"] for s in spread], ["topology.kubernetes.io/zone"])

    def test_who_scales_says_how_many(self):
        for _, made in self.each():
            scaled = made.of("HorizontalPodAutoscaler", "ScaledObject")
            edges = made.named("Deployment", "headwater-edge")["spec"]
            self.assertEqual("replicas" in edges, not scaled)

    def test_names_are_those_of_one_namespace(self):
        for _, made in self.each():
            spaces = {o["metadata"].get("namespace") for o in made.all if o["kind"] != "Namespace"}
            self.assertEqual(spaces, {"headwater"})
            for binding in made.of("RoleBinding"):
                [subject] = binding["subjects"]
                self.assertIsNotNone(made.named("ServiceAccount", subject["name"]))
                self.assertEqual(subject["namespace"], "headwater")


if __name__ == "__main__":
    unittest.main()
